//! What people write for an agent: its id, the beginning of it, or its name.

use std::collections::BTreeSet;

use super::{Code, Error};
use crate::trust::EndpointId;

/// Returns the id of the agent that is meant by `text`, among these with their ids and names. A whole id is taken as it is, and a whole name goes before
/// the beginning of an id.
///
/// # Errors
/// `not_found` when no agent has that name, or an id that begins so; `conflict`, with their ids, when several have.
pub fn agent_called<'a>(
    text: &str,
    known: impl IntoIterator<Item = (&'a str, &'a str)>,
) -> Result<EndpointId, Error> {
    if let Ok(id) = text.parse() {
        return Ok(id);
    }
    let begins = text.to_ascii_lowercase();
    let (mut named, mut begun) = (BTreeSet::new(), BTreeSet::new());
    for (id, name) in known {
        if name == text && !text.is_empty() {
            named.insert(id);
        }
        if !begins.is_empty() && id.starts_with(&begins) {
            begun.insert(id);
        }
    }
    let ids = if named.is_empty() { begun } else { named };
    let mut of_one = ids.iter();
    match (of_one.next(), of_one.next()) {
        (Some(id), None) => id
            .parse()
            .map_err(|error: crate::trust::EndpointIdError| Error::bad_request(error.to_string())),
        (None, _) => Err(Error::not_found(format!(
            "no agent is called {text}, or has an id that begins so"
        ))
        .with_hint("edgesync peers lists the agents that are heard.")),
        _ => {
            let ids: Vec<&str> = ids.into_iter().collect();
            let message = format!("several agents are called {text}: {}", ids.join(", "));
            Err(Error::new(Code::Conflict, message).with_hint("Write the id of the one."))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_agent_goes_by_its_name_or_an_id_or_the_beginning_of_one() {
        let ids = ["5f", "5e", "a0", "c1"].map(|it| it.repeat(32));
        let known = || {
            // The last one is called as the id of another begins.
            let names = ["studio", "studio", "a0", "5f"];
            ids.iter().map(String::as_str).zip(names)
        };
        let called = |text: &str| agent_called(text, known()).map(|id| id.to_string());
        assert_eq!(called("a0"), Ok(ids[2].clone()));
        assert_eq!(called("5F5"), Ok(ids[0].clone()));
        assert_eq!(called("5f"), Ok(ids[3].clone()));
        let unknown = "07".repeat(32);
        assert_eq!(
            called(&unknown),
            Ok(unknown.clone()),
            "a whole id needs no name"
        );
        for several in ["studio", "5"] {
            let error = called(several).expect_err("two");
            assert_eq!(error.code, Code::Conflict);
            assert!(error.message.contains(&ids[0]) && error.message.contains(&ids[1]));
        }
        for nobody in ["", "laptop", "5g"] {
            assert_eq!(called(nobody).expect_err("none").code, Code::NotFound);
        }
    }
}
