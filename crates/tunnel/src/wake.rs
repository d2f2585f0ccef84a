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
            tunnel.has_slept("the machine slept").await;
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
}
