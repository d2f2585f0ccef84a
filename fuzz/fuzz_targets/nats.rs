//! The NATS parser: any bytes, cut anywhere, give the same operations as in one piece, and none reaches beyond them.

#![no_main]

use libfuzzer_sys::fuzz_target;
use natsd::proto::{Kind, Parser};

const LINE_MAX: usize = 256;
const PAYLOAD_MAX: usize = 256;

fn run<'a>(kind: Kind, pieces: impl IntoIterator<Item = &'a [u8]>) -> Vec<String> {
    let mut parser = Parser::new(kind, LINE_MAX, PAYLOAD_MAX);
    let (mut buffer, mut out) = (Vec::new(), Vec::new());
    for piece in pieces {
        buffer.extend_from_slice(piece);
        let mut from = 0;
        loop {
            match parser.next(&buffer[from..]) {
                Ok(Some((op, used))) => {
                    out.push(format!("{op:?}"));
                    from += used;
                }
                Ok(None) => break,
                Err(error) => {
                    out.push(error.to_string());
                    return out;
                }
            }
        }
        buffer.drain(..from);
    }
    out
}

fuzz_target!(|data: (u8, u16, &[u8])| {
    let (kind, cut, bytes) = data;
    let kind = [Kind::Client, Kind::Leaf, Kind::Route][usize::from(kind) % 3];
    let whole = run(kind, [bytes]);
    let (one, two) = bytes.split_at(usize::from(cut).min(bytes.len()));
    assert_eq!(run(kind, [one, two]), whole);
    assert_eq!(run(kind, bytes.chunks(1)), whole);
});
