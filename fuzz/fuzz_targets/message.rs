//! Messages of the sync protocol: any body is refused or read to its end, and a card that was read and is written again
//! reads the same.

#![no_main]

use bytes::Bytes;
use libfossil::xfer::card::{Card, Pragma};
use libfossil::xfer::frame::{self, ContentType};
use libfossil::xfer::parse::{Item, Items};
use libfuzzer_sys::fuzz_target;

fn read(message: Bytes) {
    let most = message.len();
    let mut count = 0;
    for item in Items::new(message) {
        count += 1;
        assert!(count <= most, "each item takes at least a byte");
        // Unknown pragmas are understood as something to leave out.
        if let Item::Card(card) = item
            && card != Card::Pragma(Pragma::Unknown)
        {
            let again = Items::new(card.to_bytes().into()).next();
            assert_eq!(again, Some(Item::Card(card)));
        }
    }
}

fuzz_target!(|data: &[u8]| {
    for content_type in [ContentType::Packed, ContentType::Plain] {
        if let Ok(message) = frame::decode(content_type, Bytes::copy_from_slice(data)) {
            read(message);
        }
    }
});
