//! Structural artifacts: any bytes are refused or read, and what is read and written again reads the same.

#![no_main]

use libfossil::artifact::{self, Artifact, Fault, Md5, ParseError};
use libfuzzer_sys::fuzz_target;

fn check(content: &[u8]) {
    let Ok(read) = artifact::parse(content) else {
        return;
    };
    assert!(artifact::may_be_structural(content));
    let written = match &read {
        Artifact::CheckIn(check_in) => check_in.to_bytes(),
        Artifact::Cluster(cluster) => cluster.to_bytes(),
        Artifact::Control(control) => control.to_bytes(),
        _ => return,
    };
    match artifact::parse(&written) {
        Ok(again) => assert_eq!(again, read),
        // Hours and time zones can move a date out of the years that are written with four digits.
        Err(error) => assert!(matches!(
            error,
            ParseError::Line {
                fault: Fault::Date(_),
                ..
            }
        )),
    }
}

fuzz_target!(|data: &[u8]| {
    check(data);
    // Sealed, so that more than the checksum is tried.
    let seal = format!("Z {}\n", Md5::of(data));
    check(&[data, seal.as_bytes()].concat());
});
