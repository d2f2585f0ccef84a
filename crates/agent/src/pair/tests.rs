//! Both sides against each other, and everything that can go wrong between them.

use std::time::Duration;

use super::claimant::ClaimantError;
use super::code::Secret;
use super::desk::{KeptOffer, Now, Paired, Standing};
use super::message::{Hex, Why};
use super::offer::OfferSecret;
use super::*;
use crate::api::Time;
use crate::limits;
use crate::state::StateDb;

const HOUR: Duration = Duration::from_secs(3600);

fn at(seconds: i64) -> Now {
    Now {
        wall: Time::from_unix_millis(1_700_000_000_000 + seconds * 1000),
        up: HOUR + Duration::from_secs(u64::try_from(seconds).expect("not before the start")),
    }
}

fn host() -> Party {
    Party::from([1; 32])
}

fn phone() -> Party {
    Party::from([2; 32])
}

fn name(text: &str) -> DeviceName {
    text.parse().expect("a name")
}

fn rights() -> Rights {
    Rights {
        capabilities: "gio".to_owned(),
        projects: vec![],
    }
}

/// A desk with one offer, and the offer as its QR code and as its typed code.
struct Stand {
    desk: Desk,
    read: OfferText,
    typed: OfferText,
}

impl Stand {
    fn new(purpose: Purpose) -> Self {
        let (secret, code) = (
            Secret::from([7; 16]),
            "ABCD-EFGH-2345".parse().expect("a code"),
        );
        let text = |proof| OfferText {
            host: host(),
            place: String::new(),
            proof,
        };
        let (read, typed) = (
            text(OfferSecret::Read(secret)),
            text(OfferSecret::Typed(code)),
        );
        let mut desk = Desk::new(host(), name("studio"), vec![], at(0));
        desk.offer(
            purpose,
            read.proof.verifier(&host(), purpose),
            typed.proof.verifier(&host(), purpose),
            at(0),
        );
        Self { desk, read, typed }
    }

    /// Restarts the agent; what it knew is what is in `agent.db`.
    fn restart(&mut self, now: Now) {
        let folder = tempfile::tempdir().expect("a folder");
        let open = || {
            StateDb::open(&folder.path().join("agent.db"))
                .expect("a database")
                .0
        };
        for purpose in Purpose::ALL {
            set_offers(&open(), purpose, &self.desk.kept()).expect("written");
        }
        let kept = offers(&open()).expect("read");
        self.desk = Desk::new(host(), name("studio"), kept, now);
    }

    fn nothing_is_left(&self) {
        assert!(self.desk.kept().is_empty(), "an offer is left");
        let open = self
            .desk
            .pending()
            .into_iter()
            .filter(|it| !matches!(it.standing, Standing::Ended(_)));
        assert_eq!(open.count(), 0, "somebody is left");
    }
}

fn claimant(me: Party, offer: &OfferText, purpose: Purpose) -> Claimant {
    Claimant::new(
        me,
        offer,
        purpose,
        name("laptop"),
        [*me.as_bytes().first().expect("32 bytes"); 32],
    )
    .expect("not its own")
}

/// Claims and reveals; returns the digits of both sides.
fn meet(
    desk: &mut Desk,
    claimant: &mut Claimant,
    me: Party,
    purpose: Purpose,
    now: Now,
) -> Result<[Digits; 2], Refusal> {
    let hello = desk.claim(me, purpose, &claimant.claim(), [9; 32], now)?;
    let reveal = claimant.hello(&hello).expect("the host knows the secret");
    let of_host = desk.reveal(&me, &reveal, now)?;
    let (_, of_claimant) = claimant.met().expect("they met");
    Ok([of_host, of_claimant])
}

#[test]
fn both_sides_show_the_same_digits_and_are_paired_when_both_accept() {
    for purpose in Purpose::ALL {
        for typed in [false, true] {
            let mut stand = Stand::new(purpose);
            let offer = if typed { &stand.typed } else { &stand.read };
            let mut laptop = claimant(phone(), offer, purpose);
            let [one, other] =
                meet(&mut stand.desk, &mut laptop, phone(), purpose, at(1)).expect("met");
            assert_eq!(one, other);
            assert_eq!(laptop.met().expect("met").0.as_str(), "studio");
            stand
                .desk
                .accept(&phone(), Some(other), rights(), at(2))
                .expect("accepted");
            let paired = stand.desk.agree(&phone(), at(3)).expect("agreed");
            assert_eq!(
                paired,
                Paired {
                    party: phone(),
                    purpose,
                    name: name("laptop"),
                    rights: rights()
                }
            );
            stand.desk.finish(&phone(), at(4)).expect("paired");
            stand.nothing_is_left();
        }
    }
}

#[test]
fn the_offer_is_spent_by_its_first_claim() {
    let mut stand = Stand::new(Purpose::Agent);
    let mut laptop = claimant(phone(), &stand.read, Purpose::Agent);
    let digits = meet(&mut stand.desk, &mut laptop, phone(), Purpose::Agent, at(1)).expect("met");
    stand
        .desk
        .accept(&phone(), Some(digits[0]), rights(), at(2))
        .expect("accepted");
    stand.desk.agree(&phone(), at(3)).expect("agreed");
    stand.desk.finish(&phone(), at(4)).expect("paired");
    for offer in [&stand.read, &stand.typed] {
        let again = claimant(Party::from([3; 32]), offer, Purpose::Agent);
        let refused = stand.desk.claim(
            Party::from([3; 32]),
            Purpose::Agent,
            &again.claim(),
            [9; 32],
            at(5),
        );
        assert_eq!(refused, Err(Refusal::Offer));
    }
}

#[test]
fn five_wrong_tries_spend_the_offer_over_a_restart_too() {
    let mut stand = Stand::new(Purpose::Device);
    let right = claimant(phone(), &stand.typed, Purpose::Device).claim();
    let wrong = OfferText {
        proof: OfferSecret::Typed("2222-2222-2222".parse().expect("a code")),
        ..stand.typed.clone()
    };
    for round in 0..limits::OFFER_TRIES {
        assert_eq!(
            stand.desk.open(Purpose::Device).map(|it| it.1),
            Some(limits::OFFER_TRIES - round)
        );
        let guess = claimant(Party::from([10 + round; 32]), &wrong, Purpose::Device);
        let refused = stand.desk.claim(
            Party::from([10 + round; 32]),
            Purpose::Device,
            &guess.claim(),
            [9; 32],
            at(1),
        );
        assert_eq!(refused, Err(Refusal::Offer));
        stand.restart(at(1));
    }
    assert_eq!(
        stand
            .desk
            .claim(phone(), Purpose::Device, &right, [9; 32], at(2)),
        Err(Refusal::Offer)
    );
    stand.nothing_is_left();
}

#[test]
fn an_offer_for_one_purpose_counts_for_no_other() {
    let mut stand = Stand::new(Purpose::Device);
    let claim = claimant(phone(), &stand.read, Purpose::Agent).claim();
    assert_eq!(
        stand
            .desk
            .claim(phone(), Purpose::Agent, &claim, [9; 32], at(1)),
        Err(Refusal::Offer)
    );
    assert_eq!(
        stand
            .desk
            .claim(phone(), Purpose::Device, &claim, [9; 32], at(1)),
        Err(Refusal::Offer)
    );
}

#[test]
fn a_claim_counts_for_the_device_alone_that_made_it() {
    let mut stand = Stand::new(Purpose::Agent);
    let claim = claimant(phone(), &stand.read, Purpose::Agent).claim();
    let other = Party::from([3; 32]);
    assert_eq!(
        stand
            .desk
            .claim(other, Purpose::Agent, &claim, [9; 32], at(1)),
        Err(Refusal::Offer)
    );
}

#[test]
fn an_offer_ends_after_ten_minutes_on_either_clock_and_when_the_clock_is_put_back() {
    let later = |wall: i64, up: u64| Now {
        wall: Time::from_unix_millis(1_700_000_000_000 + wall * 1000),
        up: HOUR + Duration::from_secs(up),
    };
    for (now, counts) in [
        (later(599, 599), true),
        (later(600, 600), false),
        // It slept: only the wall's clock went on.
        (later(700, 5), false),
        (later(86_400 * 365, 5), false),
        // The wall's clock was put back.
        (later(5, 600), false),
        (later(-30, 10), true),
        (later(-90, 10), false),
    ] {
        let mut stand = Stand::new(Purpose::Agent);
        let claim = claimant(phone(), &stand.read, Purpose::Agent).claim();
        let claimed = stand
            .desk
            .claim(phone(), Purpose::Agent, &claim, [9; 32], now);
        assert_eq!(claimed.is_ok(), counts, "{now:?}");
        if !counts {
            stand.nothing_is_left();
        }
    }
}

#[test]
fn a_restart_keeps_an_open_offer_for_the_rest_of_its_time_and_nothing_of_a_claimed_one() {
    let mut stand = Stand::new(Purpose::Agent);
    stand.restart(at(300));
    assert!(stand.desk.open(Purpose::Agent).is_some());
    stand.restart(at(600));
    stand.nothing_is_left();

    let mut stand = Stand::new(Purpose::Agent);
    let mut laptop = claimant(phone(), &stand.read, Purpose::Agent);
    let digits = meet(&mut stand.desk, &mut laptop, phone(), Purpose::Agent, at(1)).expect("met");
    stand.restart(at(2));
    stand.nothing_is_left();
    assert_eq!(
        stand
            .desk
            .accept(&phone(), Some(digits[0]), rights(), at(3)),
        Err(Refusal::Unknown)
    );
}

#[test]
fn of_two_devices_that_know_the_secret_neither_is_paired() {
    let mut stand = Stand::new(Purpose::Device);
    let mut first = claimant(phone(), &stand.read, Purpose::Device);
    let digits = meet(&mut stand.desk, &mut first, phone(), Purpose::Device, at(1)).expect("met");
    let second = Party::from([3; 32]);
    let claim = claimant(second, &stand.typed, Purpose::Device).claim();
    assert_eq!(
        stand
            .desk
            .claim(second, Purpose::Device, &claim, [9; 32], at(2)),
        Err(Refusal::Offer)
    );
    let accepted = stand
        .desk
        .accept(&phone(), Some(digits[0]), rights(), at(3));
    assert_eq!(accepted, Err(Refusal::Ended(Why::Offer)));
    stand.nothing_is_left();
}

#[test]
fn other_digits_end_the_pairing() {
    let mut stand = Stand::new(Purpose::Agent);
    let mut laptop = claimant(phone(), &stand.read, Purpose::Agent);
    let [digits, _] =
        meet(&mut stand.desk, &mut laptop, phone(), Purpose::Agent, at(1)).expect("met");
    let other = if digits.to_string() == "000000" {
        "000001"
    } else {
        "000000"
    };
    let refused = stand.desk.accept(
        &phone(),
        Some(other.parse().expect("digits")),
        rights(),
        at(2),
    );
    assert_eq!(refused, Err(Refusal::Differ));
    assert_eq!(
        stand.desk.accept(&phone(), Some(digits), rights(), at(3)),
        Err(Refusal::Ended(Why::Differ))
    );
    stand.nothing_is_left();
}

#[test]
fn cancelling_or_losing_the_link_at_any_step_leaves_nothing() {
    for steps in 0..4 {
        let mut stand = Stand::new(Purpose::Agent);
        let mut laptop = claimant(phone(), &stand.read, Purpose::Agent);
        let hello = stand
            .desk
            .claim(phone(), Purpose::Agent, &laptop.claim(), [9; 32], at(1))
            .expect("claimed");
        if steps > 0 {
            let reveal = laptop.hello(&hello).expect("hello");
            stand
                .desk
                .reveal(&phone(), &reveal, at(1))
                .expect("revealed");
        }
        if steps > 1 {
            stand
                .desk
                .accept(&phone(), None, rights(), at(2))
                .expect("accepted");
        }
        if steps > 2 {
            stand.desk.agree(&phone(), at(2)).expect("agreed");
        }
        assert!(stand.desk.end(&phone(), Why::Cancelled), "step {steps}");
        stand.nothing_is_left();
        assert_eq!(
            stand.desk.finish(&phone(), at(3)),
            Err(Refusal::Ended(Why::Cancelled))
        );
        stand.desk.forget(&phone());
        assert!(stand.desk.pending().is_empty());
    }
}

#[test]
fn steps_out_of_order_end_the_pairing() {
    type Act = fn(&mut Desk) -> Result<(), Refusal>;
    let early_agreement: Act = |desk| desk.agree(&phone(), at(2)).map(drop);
    let early_end: Act = |desk| desk.finish(&phone(), at(2));
    for act in [early_agreement, early_end] {
        let mut stand = Stand::new(Purpose::Agent);
        let mut laptop = claimant(phone(), &stand.read, Purpose::Agent);
        meet(&mut stand.desk, &mut laptop, phone(), Purpose::Agent, at(1)).expect("met");
        assert_eq!(act(&mut stand.desk), Err(Refusal::Nonsense));
        assert_eq!(
            stand.desk.accept(&phone(), None, rights(), at(3)),
            Err(Refusal::Ended(Why::Nonsense))
        );
        stand.nothing_is_left();
    }
}

#[test]
fn a_part_that_the_claimant_was_not_bound_to_ends_the_pairing() {
    let mut stand = Stand::new(Purpose::Agent);
    let mut laptop = claimant(phone(), &stand.read, Purpose::Agent);
    let hello = stand
        .desk
        .claim(phone(), Purpose::Agent, &laptop.claim(), [9; 32], at(1))
        .expect("claimed");
    let mut reveal = laptop.hello(&hello).expect("hello");
    // What somebody between the two would choose after having seen the host's part.
    reveal.nonce = Hex([5; 32]);
    assert_eq!(
        stand.desk.reveal(&phone(), &reveal, at(1)),
        Err(Refusal::Nonsense)
    );
    stand.nothing_is_left();
}

#[test]
fn who_does_not_know_the_secret_is_no_host() {
    let stand = Stand::new(Purpose::Agent);
    let mut laptop = claimant(phone(), &stand.read, Purpose::Agent);
    let mut impostor = Stand::new(Purpose::Agent).desk;
    let wrong = OfferSecret::Read(Secret::from([8; 16])).verifier(&host(), Purpose::Agent);
    impostor.offer(Purpose::Agent, wrong, wrong, at(0));
    assert_eq!(
        impostor.claim(phone(), Purpose::Agent, &laptop.claim(), [9; 32], at(1)),
        Err(Refusal::Offer)
    );
    let mut hello = Stand::new(Purpose::Agent)
        .desk
        .claim(phone(), Purpose::Agent, &laptop.claim(), [9; 32], at(1))
        .expect("hello");
    hello.proof = Hex([0; 32]);
    assert_eq!(laptop.hello(&hello), Err(ClaimantError::Impostor));
    assert!(laptop.met().is_none());
}

#[test]
fn another_version_is_refused_before_anything_is_looked_at() {
    let mut stand = Stand::new(Purpose::Agent);
    let mut claim = claimant(phone(), &stand.read, Purpose::Agent).claim();
    for version in [0, 2, u32::MAX] {
        claim.version = version;
        assert_eq!(
            stand
                .desk
                .claim(phone(), Purpose::Agent, &claim, [9; 32], at(1)),
            Err(Refusal::Version)
        );
    }
    assert_eq!(
        stand.desk.open(Purpose::Agent).map(|it| it.1),
        Some(limits::OFFER_TRIES)
    );
}

#[test]
fn nobody_pairs_with_himself() {
    let stand = Stand::new(Purpose::Agent);
    let own = Claimant::new(host(), &stand.read, Purpose::Agent, name("studio"), [1; 32]);
    assert_eq!(own.map(drop), Err(ClaimantError::Own));
}

#[test]
fn people_who_take_too_long_are_not_paired() {
    let mut stand = Stand::new(Purpose::Agent);
    let mut laptop = claimant(phone(), &stand.read, Purpose::Agent);
    meet(&mut stand.desk, &mut laptop, phone(), Purpose::Agent, at(1)).expect("met");
    let late = at(1 + i64::try_from(limits::DECISION_LIFE.as_secs()).expect("seconds"));
    assert_eq!(
        stand.desk.accept(&phone(), None, rights(), late),
        Err(Refusal::Ended(Why::Late))
    );
    stand.desk.tick(at(100_000));
    assert!(stand.desk.pending().is_empty());
}

#[test]
fn who_knocks_without_an_offer_waits_for_people_who_compare() {
    let mut stand = Stand::new(Purpose::Agent);
    let mut laptop = Claimant::knocking(phone(), host(), name("laptop"), [4; 32]).expect("another");
    let [one, other] =
        meet(&mut stand.desk, &mut laptop, phone(), Purpose::Agent, at(1)).expect("met");
    assert_eq!(one, other);
    let waiting = stand.desk.pending();
    assert_eq!(
        waiting.iter().map(|it| it.knows_secret).collect::<Vec<_>>(),
        [false]
    );
    assert_eq!(
        stand.desk.open(Purpose::Agent).map(|it| it.1),
        Some(limits::OFFER_TRIES),
        "knocking takes no try"
    );
    // No knocking for devices, and no more of them than the list holds.
    let knock = Claimant::knocking(phone(), host(), name("x"), [4; 32])
        .expect("another")
        .claim();
    assert_eq!(
        stand
            .desk
            .claim(phone(), Purpose::Device, &knock, [9; 32], at(1)),
        Err(Refusal::Offer)
    );
    for number in 0..limits::PENDING {
        let party = Party::from([100 + u8::try_from(number).expect("few"); 32]);
        let knock = Claimant::knocking(party, host(), name("x"), [4; 32])
            .expect("another")
            .claim();
        let full = stand
            .desk
            .claim(party, Purpose::Agent, &knock, [9; 32], at(1))
            .is_err();
        assert_eq!(full, number == limits::PENDING - 1);
    }
}

#[test]
fn a_new_offer_takes_the_place_of_the_one_before() {
    let mut stand = Stand::new(Purpose::Agent);
    let new = OfferSecret::Read(Secret::from([8; 16])).verifier(&host(), Purpose::Agent);
    stand.desk.offer(Purpose::Agent, new, new, at(1));
    let claim = claimant(phone(), &stand.read, Purpose::Agent).claim();
    assert_eq!(
        stand
            .desk
            .claim(phone(), Purpose::Agent, &claim, [9; 32], at(1)),
        Err(Refusal::Offer)
    );
    assert!(stand.desk.withdraw(Purpose::Agent) && !stand.desk.withdraw(Purpose::Agent));
    let kept: Vec<KeptOffer> = stand.desk.kept();
    assert!(kept.is_empty());
}
