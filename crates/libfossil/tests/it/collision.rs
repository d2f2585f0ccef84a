//! Two contents with one SHA1, as published by Stevens and others in 2017: the second is never taken for the first, and stock
//! agrees on what each is called.

use libfossil::db::{Error, Visibility};
use libfossil::name::HashName;

use crate::stock::Lab;
use crate::store::{create, now};

/// What both begin with, up to the blocks that differ.
const PREFIX: &[u8] = b"%PDF-1.3\n%\xe2\xe3\xcf\xd3\n\n\n1 0 obj\n<</Width 2 0 R/Height 3 0 R/Type 4 0 R/Subtype 5 0 R\
/Filter 6 0 R/ColorSpace 7 0 R/Length 8 0 R/BitsPerComponent 8>>\nstream\n\xff\xd8\xff\xfe\x00$SHA-1 is dead!!!!!\
\x85/\xec\t#9u\x9c9\xb1\xa1\xc6<L\x97\xe1\xff\xfe\x01";

/// The blocks that differ, in hexadecimal.
const BLOCKS: [&str; 2] = [
    "7f46dc93a6b67e013b029aaa1db2560b45ca67d688c7f84b8c4c791fe02b3df614f86db1690901c56b45c1530afedfb7\
     6038e972722fe7ad728f0e4904e046c230570fe9d41398abe12ef5bc942be33542a4802d98b5d70f2a332ec37fac3514\
     e74ddc0f2cc1a874cd0c78305a21566461309789606bd0bf3f98cda8044629a1",
    "7346dc9166b67e118f029ab621b2560ff9ca67cca8c7f85ba84c79030c2b3de218f86db3a90901d5df45c14f26fedfb3\
     dc38e96ac22fe7bd728f0e45bce046d23c570feb141398bb552ef5a0a82be331fea48037b8b5d71f0e332edf93ac3500\
     eb4ddc0decc1a864790c782c76215660dd309791d06bd0af3f98cda4bc4629b1",
];

fn twins() -> [Vec<u8>; 2] {
    BLOCKS.map(|blocks| {
        let digits: Vec<u8> = blocks.bytes().collect();
        let bytes = digits.chunks_exact(2).map(|pair| {
            let pair = std::str::from_utf8(pair).expect("digits");
            u8::from_str_radix(pair, 16).expect("a byte")
        });
        PREFIX.iter().copied().chain(bytes).collect()
    })
}

#[test]
fn content_with_the_sha1_of_another_is_refused_under_that_name() {
    let lab = Lab::new();
    let mut repo = create(&lab, "a.fossil");
    let [one, other] = twins();
    let shared = HashName::sha1_of(&one);
    assert_eq!(shared, HashName::sha1_of(&other), "the contents collide");
    assert_ne!(one, other);
    for twin in [&one, &other] {
        let stored = repo.write(now(), |tx| {
            tx.store_named(&shared, twin, Visibility::Public)
        });
        assert!(
            matches!(stored, Err(Error::HashMismatch { .. })),
            "{stored:?}"
        );
    }
    assert!(repo.rid(&shared).expect("readable").is_none());
}

#[test]
fn colliding_contents_are_stored_under_the_names_that_stock_gives_them() {
    let lab = Lab::new();
    let twins = twins();
    for (policy, verb) in [("0", "sha1sum"), ("2", "sha3sum")] {
        let name = format!("{policy}.fossil");
        let mut repo = create(&lab, &name);
        for (index, twin) in twins.iter().enumerate() {
            let stored = repo.write(now(), |tx| {
                tx.set_config("hash-policy", policy)?;
                tx.store(twin, Visibility::Public)
            });
            let stored = stored.expect("stored");
            let file = lab.path(&format!("twin{index}"));
            std::fs::write(&file, twin).expect("written");
            let said = lab.fossil(&[verb, file.to_str().expect("a plain path")]);
            assert!(
                said.starts_with(stored.name.as_str()),
                "{said}: {}",
                stored.name
            );
            assert_eq!(repo.content(stored.rid).expect("content"), *twin);
        }
        drop(repo);
        lab.assert_sound(&lab.path(&name));
    }
}
