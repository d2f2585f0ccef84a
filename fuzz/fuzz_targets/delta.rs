//! Deltas: any bytes are refused or applied within the cap, and a delta made here gives its target back.

#![no_main]

use libfossil::blob::delta;
use libfuzzer_sys::fuzz_target;

const MAX: usize = 1 << 16;

fuzz_target!(|data: (&[u8], &[u8])| {
    let (source, other) = data;
    if let Ok(target) = delta::apply(source, other, MAX) {
        assert!(target.len() <= MAX);
        assert_eq!(delta::output_size(other), Ok(target.len()));
    }
    let made = delta::encode(source, other);
    assert_eq!(
        delta::apply(source, &made, other.len()).as_deref(),
        Ok(other)
    );
});
