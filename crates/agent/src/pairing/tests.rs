//! Both sides as they run, over a link that can be lost, with people who accept or do not. What is left behind is looked at on both.

mod steps;
mod way;

use std::time::Duration;

use edgesync_tunnel::{PeerId, Ticket};
use tokio::time::timeout;

use super::*;
use crate::api::{ClaimOffer, PendingAgent, PendingState};
use crate::samples;
use crate::trust::{Register, Trust};
use claim::Aim;
use way::{Fate, Lossy, link};

/// Long enough for any machine; nothing waits for it when all is well.
const PATIENCE: Duration = Duration::from_secs(60);

/// Messages of a pairing that ends well: claim, hello, reveal, accept, done, paired, bye.
const MESSAGES: usize = 7;

struct Side {
    pairings: Arc<Pairings>,
    trust: Arc<Trust>,
    id: Party,
    /// What its `agent.db` held at first.
    at_first: Vec<String>,
    seed: u8,
    folder: tempfile::TempDir,
}

impl Side {
    fn new(seed: u8) -> Self {
        Self::open(seed, tempfile::tempdir().expect("a folder"))
    }

    /// Ends it and starts it anew.
    fn again(self) -> Self {
        let Self {
            seed,
            folder,
            at_first,
            ..
        } = self;
        Self {
            at_first,
            ..Self::open(seed, folder)
        }
    }

    fn open(seed: u8, folder: tempfile::TempDir) -> Self {
        let (state, _) = StateDb::open(&folder.path().join("agent.db")).expect("a database");
        let state = Arc::new(state);
        let at_first = rows(&state);
        let keys = Arc::new(samples::keys(seed));
        let trust = Arc::new(Trust::new(Register::of_run([], None)));
        let events = Arc::new(Events::new());
        let id = keys.id();
        let name = DeviceName::of(&format!("laptop-{seed}"));
        let members = Members::open(
            keys,
            Arc::clone(&state),
            Arc::clone(&trust),
            Arc::clone(&events),
            name,
        );
        let parts = Parts {
            host: id,
            state,
            events,
            members: members.expect("members"),
            stopped: CancellationToken::new(),
        };
        Self {
            pairings: Pairings::open(parts).expect("opened"),
            trust,
            id,
            at_first,
            seed,
            folder,
        }
    }

    async fn offer(&self) -> MadeOffer {
        let ticket = Ticket::of(PeerId::from(*self.id.as_bytes()));
        let offered = self.pairings.offer(&ticket.to_string()).await;
        offered.expect("an offer")
    }

    fn is_paired_with(&self, other: &Self) -> bool {
        let members = self.pairings.parts.members.view();
        assert_eq!(
            members.members.contains_key(&other.id),
            self.trust.register.knows(&other.id)
        );
        self.trust.register.knows(&other.id)
    }

    /// Hears from the other side whether it keeps the pairing that is in doubt here. Returns whether the two are paired by that.
    async fn settle(&self, host: &Self, kept: bool) -> bool {
        let settled = self.pairings.settle_doubt(host.id, kept).await;
        settled.expect("written")
    }

    /// Asks the one that made the offer, as over the tunnel, what became of a pairing of whose end this one has not heard.
    async fn asks_if_in_doubt(&self, host: &Self) {
        let keeps = host.pairings.parts.members.listens_to(&self.id);
        self.settle(host, keeps).await;
    }

    /// Asks one with which this one keeps a pairing, as over the tunnel, whether it keeps it, too, if it has not shown that.
    async fn asks_if_kept(&self, guest: &Self) {
        let mut unconfirmed = self.pairings.parts.members.unconfirmed().into_iter();
        if unconfirmed.any(|(id, _)| id == guest.id) {
            let listens = guest.pairings.parts.members.listens_to(&self.id);
            if listens {
                guest.settle(self, true).await;
            }
            let answered = self.pairings.is_answered(guest.id, listens).await;
            assert!(answered.expect("written"));
        }
    }

    /// Nothing is left of a pairing: no trust, no record, no open question, no name, and no row of any table.
    fn has_nothing(&self) -> bool {
        let alive = |it: &PendingAgent| it.other.state != PendingState::Ended;
        self.pairings.parts.members.have().is_empty()
            && self.trust.register.everyone("").is_empty()
            && !self.pairings.show().pending.iter().any(alive)
            && locked(&self.pairings.names).is_empty()
            && rows(&self.pairings.parts.state) == self.at_first
    }

    /// Does what a person does as soon as there are digits to compare.
    async fn person(&self, does: Does) {
        let mut turns = self.pairings.turn.subscribe();
        let mut accepted = false;
        loop {
            turns.mark_unchanged();
            let pending = self.pairings.show().pending;
            let mut pending = pending.iter().map(|it| &it.other);
            if let Some(pending) = pending.find(|it| it.digits.is_some())
                && !accepted
            {
                accepted = true;
                let party = pending.id.parse().expect("an id");
                let digits = match does {
                    Does::TypeOthers => "000000".to_owned(),
                    _ => pending.digits.clone().expect("digits"),
                };
                match does {
                    Does::Cancel => {
                        let ended = self.pairings.refuse(&party, Why::Cancelled).await;
                        ended.expect("ended");
                    }
                    Does::Withdraw => self.pairings.withdraw().await.expect("withdrawn"),
                    Does::Accept | Does::TypeOthers => {
                        let wish = AcceptAgent {
                            digits: Some(digits),
                            ..AcceptAgent::default()
                        };
                        let _ = self.pairings.accept(&party, wish).await;
                    }
                    Does::Nothing => {}
                }
            }
            if turns.changed().await.is_err() {
                return;
            }
        }
    }
}

/// Returns every row of every table.
fn rows(state: &StateDb) -> Vec<String> {
    let connection = state.connection();
    let names = "SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name";
    let mut query = connection.prepare(names).expect("a query");
    let names = query.query_map([], |row| row.get::<_, String>(0));
    let names: Vec<String> = names
        .expect("tables")
        .map(|it| it.expect("a name"))
        .collect();
    let of_table = |name: &String| {
        let all = format!("SELECT * FROM \"{name}\"");
        let mut query = connection.prepare(&all).expect("a query");
        let columns = query.column_count();
        let row = |row: &rusqlite::Row<'_>| {
            let cell = |at| row.get_ref(at).map(|cell| format!("{cell:?}"));
            let cells: rusqlite::Result<Vec<String>> = (0..columns).map(cell).collect();
            cells.map(|cells| format!("{name} {cells:?}"))
        };
        let rows = query.query_map([], row).expect("rows");
        rows.map(|it| it.expect("a row")).collect::<Vec<_>>()
    };
    names.iter().flat_map(of_table).collect()
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Does {
    Accept,
    Cancel,
    Withdraw,
    TypeOthers,
    Nothing,
}

/// Lets `claimant` claim this of `host` while people do these things, until both sides have ended.
async fn pair(
    host: &Side,
    claimant: &Side,
    wish: &ClaimOffer,
    messages: Option<usize>,
    people: (Does, Does),
) -> Result<(), End> {
    let fate = messages.map(|after| (after, Fate::Lost));
    pair_over(link(fate), host, claimant, wish, people).await
}

/// The same over this link.
async fn pair_over(
    (one, other): (Lossy, Lossy),
    host: &Side,
    claimant: &Side,
    wish: &ClaimOffer,
    (there, here): (Does, Does),
) -> Result<(), End> {
    let aim = Aim::of(wish).expect("an aim");
    let (machine, _) = claimant.pairings.prepare(&aim).expect("prepared");
    let both = async {
        let hosting = Arc::clone(&host.pairings).host(claimant.id, one);
        let claiming = async {
            let claimed = claimant.pairings.claim_over(&aim, machine, other).await;
            if let Err(end) = &claimed
                && !matches!(end, End::Doubt)
            {
                claimant.pairings.claim_ended(&host.id, end);
            }
            claimed
        };
        tokio::join!(hosting, claiming).1
    };
    let ended = async {
        tokio::select! {
            ended = both => ended,
            () = host.person(there) => unreachable!("people stay"),
            () = claimant.person(here) => unreachable!("people stay"),
        }
    };
    timeout(PATIENCE, ended).await.expect("both sides end")
}

fn by_link(made: &MadeOffer) -> ClaimOffer {
    ClaimOffer {
        offer: made.url.clone(),
        code: None,
    }
}

fn by_code(host: &Side, code: &str) -> ClaimOffer {
    ClaimOffer {
        offer: host.id.to_string(),
        code: Some(code.to_owned()),
    }
}

const BOTH_ACCEPT: (Does, Does) = (Does::Accept, Does::Accept);

#[tokio::test]
async fn who_claims_an_offer_is_paired_once_both_people_have_accepted() {
    for by_hand in [false, true] {
        let (host, guest) = (Side::new(1), Side::new(2));
        let made = host.offer().await;
        let wish = match by_hand {
            true => by_code(&host, &made.code),
            false => by_link(&made),
        };
        let paired = pair(&host, &guest, &wish, None, BOTH_ACCEPT).await;
        paired.expect("paired");
        assert!(host.is_paired_with(&guest) && guest.is_paired_with(&host));
        host.asks_if_kept(&guest).await;
        let views = [&host, &guest].map(|side| side.pairings.parts.members.view().mesh.clone());
        assert!(views[0].is_some() && views[0] == views[1], "{views:?}");
        for side in [&host, &guest] {
            assert_eq!(side.pairings.show().pending, []);
        }
        // The offer counts once.
        assert_eq!(host.pairings.show().offer, None);
        let third = Side::new(3);
        let again = pair(&host, &third, &wish, None, BOTH_ACCEPT).await;
        assert!(matches!(again, Err(End::Said(Why::Offer))), "{again:?}");
        assert!(third.has_nothing() && !host.is_paired_with(&third));
    }
}

#[tokio::test]
async fn who_knocks_without_an_offer_waits_for_people_too() {
    let (host, guest) = (Side::new(1), Side::new(2));
    let wish = ClaimOffer {
        offer: host.id.to_string(),
        code: None,
    };
    let paired = pair(&host, &guest, &wish, None, BOTH_ACCEPT).await;
    paired.expect("paired");
    assert!(host.is_paired_with(&guest) && guest.is_paired_with(&host));
}

#[tokio::test]
async fn before_the_other_has_shown_that_it_keeps_the_pairing_nobody_else_hears_of_it() {
    let (host, guest) = (Side::new(1), Side::new(2));
    let wish = by_link(&host.offer().await);
    let paired = pair(&host, &guest, &wish, None, BOTH_ACCEPT).await;
    paired.expect("paired");
    let members = &host.pairings.parts.members;
    let told = || {
        members
            .lacking(&std::collections::BTreeSet::new(), usize::MAX)
            .0
    };
    let view = members.view();
    assert!(host.is_paired_with(&guest) && view.unconfirmed.contains(&guest.id));
    assert!(view.mesh.is_none() && told().is_empty() && members.have().is_empty());
    assert!(members.confirm(&guest.id).expect("written"));
    let view = members.view();
    assert!(view.mesh.is_some() && view.unconfirmed.is_empty() && !told().is_empty());
    // From now on no word takes it off.
    let answered = host.pairings.is_answered(guest.id, false).await;
    assert!(!answered.expect("nothing is written") && host.is_paired_with(&guest));
    let host = host.again();
    assert!(host.is_paired_with(&guest));
    assert_eq!(host.pairings.parts.members.unconfirmed(), []);
}

#[tokio::test]
async fn when_the_end_itself_is_lost_the_other_side_is_asked_and_both_say_the_same() {
    let (host, guest) = (Side::new(1), Side::new(2));
    let made = host.offer().await;
    let ended = pair(&host, &guest, &by_link(&made), Some(MESSAGES), BOTH_ACCEPT).await;
    assert!(matches!(ended, Err(End::Doubt)), "{ended:?}");
    assert!(host.is_paired_with(&guest) && !guest.is_paired_with(&host));
    let shown = guest.pairings.show().pending;
    let shown = &shown[0].other;
    assert!(shown.state == PendingState::Accepted && shown.why.is_some());
    // The host says that it keeps it.
    assert!(guest.settle(&host, true).await);
    assert!(guest.is_paired_with(&host));
    assert_eq!(guest.pairings.show().pending, []);
    assert!(
        !guest.settle(&host, true).await,
        "there is no doubt any more"
    );
}

#[tokio::test]
async fn who_ends_what_is_in_doubt_or_begins_anew_is_not_paired_by_it() {
    let (host, guest) = (Side::new(1), Side::new(2));
    let made = host.offer().await;
    let ended = pair(&host, &guest, &by_link(&made), Some(MESSAGES), BOTH_ACCEPT).await;
    assert!(matches!(ended, Err(End::Doubt)), "{ended:?}");
    let refused = guest.pairings.refuse(&host.id, Why::Cancelled).await;
    refused.expect("ended");
    assert!(!guest.settle(&host, true).await && guest.has_nothing());
    let made = host.offer().await;
    let again = pair(&host, &guest, &by_link(&made), None, BOTH_ACCEPT).await;
    again.expect("paired");
    assert!(guest.is_paired_with(&host));
}

#[tokio::test]
async fn whoever_does_not_accept_on_either_side_leaves_nothing_behind() {
    for people in [
        (Does::Cancel, Does::Nothing),
        (Does::Nothing, Does::Cancel),
        (Does::Cancel, Does::Accept),
        (Does::Accept, Does::Cancel),
        (Does::Withdraw, Does::Accept),
        (Does::TypeOthers, Does::Accept),
        (Does::Accept, Does::TypeOthers),
    ] {
        let (host, guest) = (Side::new(1), Side::new(2));
        let made = host.offer().await;
        let ended = pair(&host, &guest, &by_link(&made), None, people).await;
        assert!(matches!(ended, Err(End::Said(_))), "{people:?}: {ended:?}");
        assert!(host.has_nothing() && guest.has_nothing(), "{people:?}");
        // Nobody gets further with the same offer.
        let again = pair(&host, &guest, &by_link(&made), None, BOTH_ACCEPT).await;
        assert!(matches!(again, Err(End::Said(Why::Offer))), "{again:?}");
    }
}

#[tokio::test]
async fn five_wrong_codes_spend_the_offer() {
    let (host, guest) = (Side::new(1), Side::new(2));
    let made = host.offer().await;
    let wrong = by_code(&host, "ABCD-EFGH-2345");
    for left in (0..5).rev() {
        let ended = pair(&host, &guest, &wrong, None, BOTH_ACCEPT).await;
        assert!(matches!(ended, Err(End::Said(Why::Offer))), "{ended:?}");
        let offer = host.pairings.show().offer;
        assert_eq!(offer.map_or(0, |offer| offer.tries), left);
    }
    let right = by_code(&host, &made.code);
    let ended = pair(&host, &guest, &right, None, BOTH_ACCEPT).await;
    assert!(matches!(ended, Err(End::Said(Why::Offer))), "{ended:?}");
    assert!(host.has_nothing() && guest.has_nothing());
}

#[tokio::test]
async fn of_two_that_claim_one_offer_none_is_paired() {
    let (host, guest, third) = (Side::new(1), Side::new(2), Side::new(3));
    let wish = by_link(&host.offer().await);
    let first = pair(&host, &guest, &wish, None, (Does::Nothing, Does::Accept));
    let second = async {
        // Once the first is there.
        let mut turns = host.pairings.turn.subscribe();
        while host.pairings.show().pending.is_empty() {
            turns.changed().await.expect("a turn");
        }
        pair(&host, &third, &wish, None, (Does::Nothing, Does::Accept)).await
    };
    let (first, second) = tokio::join!(first, second);
    for ended in [first, second] {
        assert!(matches!(ended, Err(End::Said(Why::Offer))), "{ended:?}");
    }
    assert!(host.has_nothing() && guest.has_nothing() && third.has_nothing());
}
