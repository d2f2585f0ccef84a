//! Whether a request may be passed on: read card by card, before the server sees any of it.
//!
//! A request with a login card of its own is the server's to judge; the card is bound to every byte that follows it, so such a request passes
//! untouched. Of all others the bridge asks what an agent would: each card needs the right that Fossil wants for it. What is then made in the
//! name of the bridge's own account asks for no more configuration than the caller may see, whatever that account may.

use bytes::{Bytes, BytesMut};
use libfossil::auth::Capabilities;
use libfossil::xfer::card::{Card, Pragma};
use libfossil::xfer::config::Area;
use libfossil::xfer::extension::{ContentName, Extension};
use libfossil::xfer::parse::{Item, Items};

/// A request that may be passed on.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Passed {
    /// The message; as it came, unless it is made in the account's name and asked for configuration that its sender may not see.
    pub(crate) message: Bytes,
    /// Whether it has a login card of its own.
    pub(crate) signed: bool,
    /// Whether it clones.
    pub(crate) clones: bool,
    /// Whether it may change what the server holds.
    pub(crate) writes: bool,
}

/// Returns the request if `capabilities` allow all of it. `lent` says that it is going to be made in the name of the bridge's account.
///
/// # Errors
/// The text of an `error` card, in the words of a Fossil server.
pub(crate) fn judge(
    message: &Bytes,
    capabilities: Capabilities,
    lent: bool,
) -> Result<Passed, String> {
    let mut passed = Passed {
        message: message.clone(),
        signed: false,
        clones: false,
        writes: false,
    };
    // The first card alone: what stands before a login is not covered by it.
    let mut first = true;
    let mut kept = BytesMut::new();
    let mut cut = false;
    let mut items = Items::new(message.clone());
    let mut at = 0;
    while let Some(item) = items.next() {
        let end = message.len() - items.rest().len();
        let line = message.slice(at..end);
        at = end;
        let card = match item {
            Item::Card(card) => card,
            Item::Comment(_) => {
                first = false;
                kept.extend_from_slice(&line);
                continue;
            }
            Item::Blank => return Err("bad command: \n".to_owned()),
            Item::Unknown(line) => return Err(format!("bad command: {line}")),
            Item::Malformed(fault) => return Err(fault.to_owned()),
        };
        match &card {
            Card::Login(_) if first => passed.signed = true,
            Card::Login(_) => return Err("a login card has to come first".to_owned()),
            Card::Clone(_) => passed.clones = true,
            Card::File { .. }
            | Card::CompressedFile { .. }
            | Card::UvFile { .. }
            | Card::Config { .. }
            | Card::Piece { .. } => passed.writes = true,
            _ => {}
        }
        first = false;
        if passed.signed {
            continue;
        }
        allow(&card, capabilities)?;
        match &card {
            Card::ReqConfig(name) if lent && !capabilities.may_administer() => {
                cut = true;
                kept.extend_from_slice(&seen(name, capabilities));
            }
            _ => kept.extend_from_slice(&line),
        }
    }
    if cut {
        passed.message = kept.freeze();
    }
    Ok(passed)
}

/// Makes sure that a card needs no right that its sender lacks.
fn allow(card: &Card, capabilities: Capabilities) -> Result<(), String> {
    let reads = ("not authorized to read", capabilities.may_read());
    let writes = ("not authorized to write", capabilities.may_write());
    let private = (
        "not authorized to sync private content",
        capabilities.may_see_private(),
    );
    let uv = (
        "Write permissions for unversioned files missing",
        // Agents take the unversioned files of whoever may write; whether the server does is for its own rights to say.
        capabilities.may_write_unversioned() || capabilities.may_write(),
    );
    let (text, allowed) = match card {
        Card::Pull { .. }
        | Card::UvGimme(_)
        | Card::Pragma(Pragma::UvHash(_) | Pragma::Extension(Extension::Range { .. })) => reads,
        Card::Push { .. }
        | Card::File { .. }
        | Card::CompressedFile { .. }
        | Card::Pragma(Pragma::CiLock { .. } | Pragma::CiUnlock(_)) => writes,
        Card::Clone(_) => ("not authorized to clone", capabilities.may_clone()),
        Card::Private | Card::Pragma(Pragma::SendPrivate) => private,
        Card::UvFile { .. } | Card::Pragma(Pragma::Extension(Extension::UvOffer(_))) => uv,
        Card::Config { .. } => (
            "not authorized to push configuration",
            capabilities.may_administer(),
        ),
        Card::Piece { name, .. }
        | Card::Pragma(Pragma::Extension(Extension::Oversize { name, .. })) => match name {
            ContentName::Artifact(_) => writes,
            ContentName::Unversioned(_) => uv,
        },
        _ => return Ok(()),
    };
    match allowed {
        true => Ok(()),
        false => Err(text.to_owned()),
    }
}

/// Returns cards for the areas under this name that their sender may see.
fn seen(name: &str, capabilities: Capabilities) -> Vec<u8> {
    let areas = Area::named(name).into_iter();
    areas
        .filter(|area| area.may_be_seen_by(capabilities))
        .flat_map(|area| Card::ReqConfig(area.name().to_owned()).to_bytes())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const CODE: &str = "0123456789abcdef0123456789abcdef01234567";

    fn judged(text: &str, letters: &str, lent: bool) -> Result<Passed, String> {
        let message = Bytes::from(text.replace("CODE", CODE));
        judge(&message, Capabilities::from_letters(letters), lent)
    }

    #[test]
    fn each_card_needs_its_right() {
        let file = "push CODE CODE\nfile CODE 3\nabc";
        let no_private = "not authorized to sync private content";
        let no_uv = "Write permissions for unversioned files missing";
        for (text, letters, refusal) in [
            ("pull CODE CODE\n", "o", None),
            ("pull CODE CODE\n", "", Some("not authorized to read")),
            ("clone 3 1\n", "g", None),
            ("clone 3 1\n", "o", Some("not authorized to clone")),
            (file, "io", None),
            (file, "go", Some("not authorized to write")),
            ("file CODE 3\nabc", "o", Some("not authorized to write")),
            ("pragma send-private\n", "gios", Some(no_private)),
            ("pragma send-private\n", "x", None),
            ("uvfile a 1 CODE 3 0\nabc", "go", Some(no_uv)),
            ("uvfile a 1 CODE 3 0\nabc", "gio", None),
            ("uvfile a 1 CODE 3 0\nabc", "y", None),
            (
                "config /user 1\na\n",
                "gio",
                Some("not authorized to push configuration"),
            ),
            ("uvgimme a\n", "", Some("not authorized to read")),
            ("pragma client-version 22900 20260821 0\n", "", None),
            (
                "pragma edgesync-range CODE 0 9\n",
                "",
                Some("not authorized to read"),
            ),
            ("gimme CODE\nigot CODE\n# x\n", "", None),
        ] {
            let judged = judged(text, letters, false);
            assert_eq!(judged.as_ref().err().map(String::as_str), refusal, "{text}");
            if let Ok(passed) = judged {
                assert_eq!(passed.message, text.replace("CODE", CODE));
            }
        }
    }

    #[test]
    fn what_is_no_message_is_not_passed_on() {
        assert_eq!(judged("\n", "s", false), Err("bad command: \n".to_owned()));
        let unknown = judged("pull CODE CODE\nformat disk\n", "s", false);
        assert_eq!(unknown, Err("bad command: format disk\n".to_owned()));
        let cut = judged("file CODE 30\nabc", "s", false);
        assert_eq!(cut, Err("malformed file line".to_owned()));
    }

    #[test]
    fn a_login_of_its_own_leaves_the_judgement_to_the_server() {
        let text = "login ada CODE CODE\npush CODE CODE\nreqconfig /all\nfile CODE 3\nabc";
        let passed = judged(text, "o", true).expect("passed on");
        assert!(passed.signed && passed.writes && !passed.clones);
        assert_eq!(passed.message, text.replace("CODE", CODE));
        for late in [
            "pull CODE CODE\nlogin ada CODE CODE\n",
            "# x\nlogin ada CODE CODE\n",
        ] {
            let refused = judged(late, "o", true);
            assert_eq!(refused, Err("a login card has to come first".to_owned()));
        }
    }

    #[test]
    fn the_account_lends_no_sight_of_users() {
        let text = "clone 3 1\nreqconfig /all\nreqconfig /user\n# end\n";
        let passed = judged(text, "go", true).expect("passed on");
        let message = String::from_utf8(passed.message.to_vec()).expect("text");
        for hidden in ["/user", "/all", "/email"] {
            assert!(!message.contains(hidden), "{message}");
        }
        assert!(message.contains("reqconfig /project\n") && message.ends_with("# end\n"));
        assert!(message.starts_with("clone 3 1\n"));
        for (letters, lent) in [("goa", true), ("go", false)] {
            let passed = judged(text, letters, lent).expect("passed on");
            assert_eq!(passed.message, text);
        }
    }
}
