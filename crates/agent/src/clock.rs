//! The present: what the system's clock shows in libfossil's form, and a clock beside it that nobody sets.

use edgesync_notify::desk::Now;
use libfossil::time::Timestamp;

use crate::api::Time;

/// Returns the present time.
pub(crate) fn now() -> Timestamp {
    timestamp(Time::now())
}

/// Returns a time in libfossil's form.
pub(crate) fn timestamp(time: Time) -> Timestamp {
    Timestamp::from_unix_millis(time.unix_millis())
}

/// Returns the present time on both clocks.
pub(crate) fn present() -> Now {
    Now {
        wall: now(),
        steady: Timestamp::from_unix_millis(steady_ms()),
    }
}

/// Returns how long the machine has been on, sleep included: whoever waits has waited meanwhile.
#[cfg(target_os = "linux")]
fn steady_ms() -> i64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    time.tv_sec
        .saturating_mul(1000)
        .saturating_add(time.tv_nsec / 1_000_000)
}

/// Returns how long this process has measured time. Whether that goes on in sleep is the system's choice.
#[cfg(not(target_os = "linux"))]
fn steady_ms() -> i64 {
    static BEGUN: std::sync::OnceLock<std::time::Instant> = std::sync::OnceLock::new();
    let begun = BEGUN.get_or_init(std::time::Instant::now);
    i64::try_from(begun.elapsed().as_millis()).unwrap_or(i64::MAX)
}
