//! Notices that the machine slept, where nobody says so, or that no relay has been reachable for long, and has the endpoint made anew. Endpoints have been
//! seen to stay deaf for minutes after sleep, and to believe for hours in a relay that was gone.

use std::time::{Instant, SystemTime};

use crate::endpoint::Tunnel;
use crate::limits;

/// Looks after an endpoint until it ends.
pub(crate) async fn look_after(tunnel: Tunnel) {
    let mut clocks = Clocks::now();
    let mut relays_gone: Option<Instant> = None;
    loop {
        tokio::select! {
            () = tunnel.stopped().cancelled() => return,
            () = tokio::time::sleep(limits::LOOK) => {}
        }
        let then = std::mem::replace(&mut clocks, Clocks::now());
        let relays = tunnel.relays();
        let all_gone = !relays.is_empty() && relays.iter().all(|relay| !relay.connected);
        let since = *relays_gone.get_or_insert_with(Instant::now);
        if !all_gone {
            relays_gone = None;
        }
        if clocks.slept_since(then) {
            tunnel.has_slept(Witness::Clocks).await;
        } else if tunnel
            .endpoint()
            .is_none_or(|endpoint| endpoint.is_closed())
        {
            tunnel.rebuild("the endpoint had ended").await;
        } else if all_gone && since.elapsed() > limits::RELAY_STALE {
            tunnel.rebuild("no relay was reachable").await;
            relays_gone = None;
        }
    }
}

/// Who says that the machine has slept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Witness {
    /// The system.
    System,
    /// Two clocks that drifted apart.
    Clocks,
}

impl Witness {
    /// Returns why the endpoint is made anew, for people.
    pub(crate) fn words(self) -> &'static str {
        match self {
            Self::System => "the machine has woken",
            Self::Clocks => "the machine slept",
        }
    }
}

/// A sleep, with who has told of it.
#[derive(Debug)]
pub(crate) struct Sleep {
    first: Instant,
    told_by: Vec<Witness>,
}

impl Sleep {
    /// Takes in the word of a witness. Returns whether it is of another sleep than the last one: no witness tells of one twice.
    pub(crate) fn is_news(last: &mut Option<Self>, by: Witness, now: Instant) -> bool {
        let same = last.as_mut().filter(|it| {
            now.saturating_duration_since(it.first) <= limits::ONE_WAKING
                && !it.told_by.contains(&by)
        });
        match same {
            Some(sleep) => {
                sleep.told_by.push(by);
                false
            }
            None => {
                let told_by = vec![by];
                *last = Some(Self {
                    first: now,
                    told_by,
                });
                true
            }
        }
    }
}

/// The wall clock, which goes on while the machine sleeps, and the one that does not.
#[derive(Clone, Copy)]
struct Clocks {
    wall: SystemTime,
    awake: Instant,
}

impl Clocks {
    fn now() -> Self {
        Self {
            wall: SystemTime::now(),
            awake: Instant::now(),
        }
    }

    /// Returns whether the wall clock went on much more than the other. Somebody who sets it forward looks the same, and costs a reconnect.
    fn slept_since(self, then: Self) -> bool {
        let wall = self.wall.duration_since(then.wall).unwrap_or_default();
        let awake = self.awake.saturating_duration_since(then.awake);
        wall.saturating_sub(awake) > limits::SLEPT
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn sleep_is_told_from_time_that_passes_and_from_a_clock_that_is_set_back() {
        let then = Clocks::now();
        let later = |wall: u64, awake: u64| Clocks {
            wall: then.wall + Duration::from_secs(wall),
            awake: then.awake + Duration::from_secs(awake),
        };
        assert!(!later(300, 300).slept_since(then));
        assert!(later(305 + 30, 305).slept_since(then));
        let set_back = Clocks {
            wall: then.wall - Duration::from_secs(3600),
            ..later(0, 5)
        };
        assert!(!set_back.slept_since(then));
    }

    #[test]
    fn each_sleep_is_news_once_whoever_tells_of_it_first_and_however_soon_the_next_one_comes() {
        use Witness::{Clocks, System};
        let begin = Instant::now();
        let mut last = None;
        for (seconds, by, is_news) in [
            (0, System, true),
            (3, Clocks, false),
            (5, System, true),
            (8, Clocks, false),
            (100, Clocks, true),
            (101, System, false),
            (102, System, true),
            (200, Clocks, true),
            (208, System, true),
        ] {
            let now = begin + Duration::from_secs(seconds);
            assert_eq!(
                Sleep::is_news(&mut last, by, now),
                is_news,
                "at {seconds} s"
            );
        }
    }
}
