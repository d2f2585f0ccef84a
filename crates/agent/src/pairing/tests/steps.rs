//! Step by step: the link is lost, or a person on either side has enough, in the place of each message and of the end after the last one.

use super::*;

/// Lets the guest hear from the host what became of a pairing that it does not know the end of, as it asks when it can reach the host.
async fn settle_if_in_doubt(ended: &Result<(), End>, host: &Side, guest: &Side) {
    if matches!(ended, Err(End::Doubt)) {
        guest.settle(host, host.is_paired_with(guest)).await;
    }
}

#[tokio::test]
async fn a_link_that_is_lost_at_any_message_leaves_nothing_behind() {
    for knocks in [false, true] {
        for messages in 0..MESSAGES {
            let (host, guest) = (Side::new(1), Side::new(2));
            let wish = match knocks {
                true => ClaimOffer {
                    offer: host.id.to_string(),
                    code: None,
                },
                false => by_link(&host.offer().await),
            };
            let ended = pair(&host, &guest, &wish, Some(messages), BOTH_ACCEPT).await;
            // Once it has said that it has everything, only the other side knows.
            if messages == MESSAGES - 1 {
                assert!(matches!(ended, Err(End::Doubt)), "{ended:?}");
                assert!(!guest.settle(&host, false).await);
            } else {
                assert!(matches!(ended, Err(End::Lost(_))), "{messages}: {ended:?}");
            }
            // Before its first message nobody has claimed the offer.
            if messages == 0 {
                host.pairings.withdraw().await.expect("withdrawn");
            }
            assert!(host.has_nothing(), "{messages}: {:?}", host.pairings.show());
            assert!(guest.has_nothing(), "{messages}");
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
            settle_if_in_doubt(&ended, &host, &guest).await;
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
