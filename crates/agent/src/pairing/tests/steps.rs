//! Step by step: the link is lost, or a person on either side has enough, in the place of each message and of the end after the last one. In the end both
//! are paired or neither has anything.

use super::*;

/// Lets the two reach each other again, and each ask the other what it does not know; the one that offered before the other, or after it.
async fn meet_again(host: &Side, guest: &Side, host_first: bool) {
    if host_first {
        host.asks_if_kept(guest).await;
    }
    guest.asks_if_in_doubt(host).await;
    host.asks_if_kept(guest).await;
}

/// How a link is lost, and what comes then.
#[derive(Debug, Clone, Copy)]
struct Loss {
    /// How many messages it has carried.
    messages: usize,
    knocks: bool,
    /// Whether a person at the side that claimed ends what is in doubt there.
    is_ended: bool,
    /// Whether both are started anew.
    is_restarted: bool,
    host_first: bool,
}

/// Pairs two over a link that is lost, and looks at what is left once they have met again.
async fn lose(loss: Loss) {
    let (mut host, mut guest) = (Side::new(1), Side::new(2));
    let wish = match loss.knocks {
        true => ClaimOffer {
            offer: host.id.to_string(),
            code: None,
        },
        false => by_link(&host.offer().await),
    };
    let ended = pair(&host, &guest, &wish, Some(loss.messages), BOTH_ACCEPT).await;
    // Once it has said that it has everything, only the other side knows.
    let is_doubt = loss.messages >= MESSAGES - 1;
    match &ended {
        Err(End::Doubt) if is_doubt => {}
        Err(End::Lost(_)) if !is_doubt => {}
        ended => panic!("{loss:?}: {ended:?}"),
    }
    if is_doubt && loss.is_ended {
        let refused = guest.pairings.refuse(&host.id, Why::Cancelled).await;
        refused.expect("ended");
    }
    if loss.is_restarted {
        (host, guest) = (host.again(), guest.again());
    }
    meet_again(&host, &guest, loss.host_first).await;
    let expected = loss.messages == MESSAGES && !loss.is_ended;
    let paired = [host.is_paired_with(&guest), guest.is_paired_with(&host)];
    assert_eq!(paired, [expected; 2], "{loss:?}");
    // Before its first message nobody has claimed the offer.
    if loss.messages == 0 {
        host.pairings.withdraw().await.expect("withdrawn");
    }
    for side in [&host, &guest] {
        assert_eq!(side.pairings.parts.members.unconfirmed(), [], "{loss:?}");
        assert!(expected || side.has_nothing(), "{loss:?}");
    }
}

#[tokio::test]
async fn wherever_the_link_is_lost_both_are_paired_in_the_end_or_neither_has_anything() {
    for messages in 0..=MESSAGES {
        // Before the last message there is nothing in doubt that a person could end, and nobody to be asked.
        let ends: &[(bool, bool)] = match messages < MESSAGES - 1 {
            true => &[(false, true)],
            false => &[(false, false), (false, true), (true, false), (true, true)],
        };
        for (knocks, is_restarted) in [(false, false), (true, false), (false, true)] {
            for (is_ended, host_first) in ends {
                let loss = Loss {
                    messages,
                    knocks,
                    is_ended: *is_ended,
                    is_restarted,
                    host_first: *host_first,
                };
                lose(loss).await;
            }
        }
    }
}

#[tokio::test]
async fn who_ends_it_at_any_step_is_not_paired_or_is_told_that_it_is_too_late() {
    for here in [false, true] {
        for messages in 0..=MESSAGES {
            let (host, guest) = (Side::new(1), Side::new(2));
            let wish = by_link(&host.offer().await);
            let held = way::Held::default();
            let over = link(Some((messages, Fate::Held(held.clone()))));
            let person = async {
                held.waits.cancelled().await;
                let refused = match here {
                    true => guest.pairings.refuse(&host.id, Why::Cancelled).await,
                    false => host.pairings.refuse(&guest.id, Why::Cancelled).await,
                };
                held.on.cancel();
                refused.map_err(|error| error.code)
            };
            let pairing = pair_over(over, &host, &guest, &wish, BOTH_ACCEPT);
            let (ended, refused) = tokio::join!(pairing, person);
            meet_again(&host, &guest, false).await;
            // Before the first message the host knows nobody; after the last one both have said that they have everything.
            let said_all = MESSAGES - usize::from(here);
            let expected = match messages {
                0 | MESSAGES if !here => Err(Code::NotFound),
                _ if messages >= said_all => Err(Code::Conflict),
                _ => Ok(()),
            };
            let step = format!("{messages} {here}: {refused:?} {ended:?}");
            assert_eq!(refused, expected, "{step}");
            let paired = [host.is_paired_with(&guest), guest.is_paired_with(&host)];
            assert_eq!(paired, [refused.is_err(); 2], "{step}");
            if refused.is_ok() {
                host.pairings.withdraw().await.expect("withdrawn");
                assert!(host.has_nothing() && guest.has_nothing(), "{step}");
            }
        }
    }
}
