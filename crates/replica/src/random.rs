//! Randomness from one seed: for spreading waits, not for secrets.

use std::time::Duration;

/// The SplitMix64 generator.
#[derive(Debug, Clone)]
pub(crate) struct Random(u64);

impl Random {
    pub(crate) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Returns a duration from nothing up to `most`.
    pub(crate) fn up_to(&mut self, most: Duration) -> Duration {
        let millis = u64::try_from(most.as_millis()).unwrap_or(u64::MAX - 1);
        Duration::from_millis(self.next() % millis.saturating_add(1))
    }

    /// Returns `middle`, up to a quarter more or less.
    pub(crate) fn around(&mut self, middle: Duration) -> Duration {
        middle.mul_f64(0.75) + self.up_to(middle.mul_f64(0.5))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_differ_and_stay_near() {
        let mut random = Random::new(1);
        let middle = Duration::from_secs(8);
        let waits: Vec<Duration> = (0..100).map(|_| random.around(middle)).collect();
        assert!(waits.iter().all(|wait| (6..=10).contains(&wait.as_secs())));
        assert!(waits.iter().any(|wait| *wait < middle));
        assert!(waits.iter().any(|wait| *wait > middle));
        assert_eq!(random.up_to(Duration::ZERO), Duration::ZERO);
    }
}
