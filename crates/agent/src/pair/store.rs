//! Open offers in `agent.db`: of their secrets only what proves that somebody knows them. Nothing of this is in anything that syncs.

use rusqlite::params;

use super::desk::KeptOffer;
use super::offer::Purpose;
use crate::api::Time;
use crate::state::StateDb;

/// The table.
pub(crate) const TABLES: &str = "
    CREATE TABLE IF NOT EXISTS offer(
        purpose TEXT PRIMARY KEY,
        secret TEXT NOT NULL,
        typed TEXT NOT NULL,
        made_ms INTEGER NOT NULL,
        tries INTEGER NOT NULL
    ) STRICT;
";

/// Returns the open offers. A row that makes no sense counts as none.
pub(crate) fn offers(state: &StateDb) -> rusqlite::Result<Vec<KeptOffer>> {
    let connection = state.connection();
    let mut query =
        connection.prepare("SELECT purpose, secret, typed, made_ms, tries FROM offer")?;
    let mut rows = query.query([])?;
    let mut offers = Vec::new();
    while let Some(row) = rows.next()? {
        let (purpose, secret, typed): (String, String, String) =
            (row.get(0)?, row.get(1)?, row.get(2)?);
        let purpose = Purpose::ALL.into_iter().find(|it| it.as_str() == purpose);
        if let (Some(purpose), Ok(secret), Ok(typed)) = (purpose, secret.parse(), typed.parse()) {
            offers.push(KeptOffer {
                purpose,
                secret,
                typed,
                made: Time::from_unix_millis(row.get(3)?),
                tries: row.get(4)?,
            });
        }
    }
    Ok(offers)
}

/// Replaces the open offers for a purpose; agents and phones have a desk each.
pub(crate) fn set_offers(
    state: &StateDb,
    purpose: Purpose,
    offers: &[KeptOffer],
) -> rusqlite::Result<()> {
    let mut connection = state.connection();
    let transaction = connection.transaction()?;
    transaction.execute("DELETE FROM offer WHERE purpose = ?1", [purpose.as_str()])?;
    for offer in offers.iter().filter(|it| it.purpose == purpose) {
        transaction.execute(
            "INSERT INTO offer(purpose, secret, typed, made_ms, tries) VALUES(?1, ?2, ?3, ?4, ?5)",
            params![
                offer.purpose.as_str(),
                offer.secret.to_string(),
                offer.typed.to_string(),
                offer.made.unix_millis(),
                offer.tries
            ],
        )?;
    }
    transaction.commit()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pair::Party;
    use crate::pair::code::{Secret, TypedCode};
    use crate::pair::offer::OfferSecret;

    #[test]
    fn no_secret_is_in_the_file() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("agent.db");
        let (state, _) = StateDb::open(&path).expect("a database");
        let (secret, code) = (
            Secret::random().expect("random"),
            TypedCode::random().expect("random"),
        );
        let host = Party::from([1; 32]);
        let verifier = |proof: OfferSecret| proof.verifier(&host, Purpose::Agent);
        let offer = KeptOffer {
            purpose: Purpose::Agent,
            secret: verifier(OfferSecret::Read(secret.clone())),
            typed: verifier(OfferSecret::Typed(code.clone())),
            made: Time::from_unix_millis(1),
            tries: 5,
        };
        set_offers(&state, Purpose::Agent, std::slice::from_ref(&offer)).expect("written");
        drop(state);
        let bytes = std::fs::read(&path).expect("read");
        let holds = |needle: &[u8]| bytes.windows(needle.len()).any(|window| window == needle);
        assert!(holds(offer.secret.to_string().as_bytes()));
        assert!(!holds(secret.to_string().as_bytes()) && !holds(secret.bytes()));
        assert!(!holds(code.plain().as_bytes()) && !holds(code.to_string().as_bytes()));
    }
}
