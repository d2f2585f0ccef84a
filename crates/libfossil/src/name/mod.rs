//! Names that cannot hold a bad value: of artifacts, of files in a check-in, of projects.

mod hash_name;
mod project_code;
mod repo_path;
#[cfg(target_arch = "x86_64")]
mod sha3_lanes;

pub(crate) use hash_name::HashInProgress;
pub use hash_name::{HashAlgorithm, HashName, HashNameError};
pub use project_code::{ProjectCode, ProjectCodeError};
pub use repo_path::{PathError, RepoPath, is_reserved};

/// Returns whether `bytes` are all digits of lower-case hexadecimal numbers.
fn is_lower_hex(bytes: &[u8]) -> bool {
    // Without an early end, so that many bytes are compared at once.
    bytes.iter().fold(true, |all, byte| {
        all & matches!(byte, b'0'..=b'9' | b'a'..=b'f')
    })
}

/// Writes the lower-case hexadecimal digits of `bytes` to the front of `out`.
pub(crate) fn write_hex(bytes: &[u8], out: &mut [u8]) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    for (byte, pair) in bytes.iter().zip(out.chunks_exact_mut(2)) {
        if let [high, low] = pair {
            *high = DIGITS[usize::from(byte >> 4)];
            *low = DIGITS[usize::from(byte & 15)];
        }
    }
}
