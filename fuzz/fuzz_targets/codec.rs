//! Packed content: any bytes are refused or unpacked within the cap, and what was packed unpacks to itself.

#![no_main]

use libfossil::blob::codec;
use libfuzzer_sys::fuzz_target;

const MAX: usize = 1 << 20;

fuzz_target!(|data: &[u8]| {
    if let Ok(content) = codec::unpack(data, MAX) {
        assert!(content.len() <= MAX);
        let beginning = codec::peek(data, 8).expect("what unpacks has a beginning");
        assert!(content.starts_with(&beginning));
    }
    assert_eq!(
        codec::unpack(&codec::pack(data), data.len()).as_deref(),
        Ok(data)
    );
});
