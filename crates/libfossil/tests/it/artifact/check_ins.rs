//! The rules of check-ins and of the names of their files.

use super::*;

#[test]
fn rules_of_check_ins_are_those_of_stock() {
    let file = |arguments: &str| format!("C x\n{D}F {arguments}\nU u\n");
    let tags = |lines: &str| format!("C x\n{D}{lines}U u\n");
    assert_cases(vec![
        (
            "a usual one",
            format!("C x\n{D}F a {A}\nP {B}\nR {SUM}\nT *branch * trunk\nU u\n"),
            Same,
        ),
        // Content is never filed under an upper-case name.
        (
            "an upper-case hash",
            file(&format!("a {}", A.to_uppercase())),
            Stricter,
        ),
        ("a hash of 39 digits", file(&format!("a {}", &A[1..])), Same),
        (
            "a hash with a letter g",
            file(&format!("a g{}", &A[1..])),
            Same,
        ),
        ("a SHA3 hash", file(&format!("a {C}")), Same),
        ("parents only", format!("{D}P {A}\nU u\n"), Same),
        ("files only", format!("{D}F a {A}\n"), Same),
        ("checksum only", format!("{D}R {SUM}\n"), Same),
        ("cherry-pick only", format!("{D}Q +{A}\n"), Same),
        ("baseline only", format!("B {A}\n{D}"), Same),
        ("no date", format!("C x\nP {A}\n"), Same),
        ("an empty comment", format!("C \n{D}"), Same),
        ("a comment without a space", format!("C\n{D}"), Same),
        ("two comments", format!("C x\nC y\n{D}"), Same),
        ("a word too many", format!("C x y\n{D}"), Same),
        ("a trailing space", format!("C x \n{D}"), Same),
        ("a carriage return", format!("C x\r\n{D}"), Same),
        ("a NUL", format!("C x\0y\n{D}"), Same),
        ("an escaped NUL", format!("C x\\0y\n{D}"), Same),
        ("an unknown escape", format!("C x\\qy\\\n{D}"), Same),
        ("an unknown card", format!("C x\n{D}X y\n"), Same),
        ("a lower-case card", format!("C x\n{D}c y\n"), Same),
        ("a card of another kind", format!("C x\n{D}K {A}\n"), Same),
        ("cards out of order", format!("{D}C x\n"), Same),
        ("an empty line", format!("C x\n\n{D}"), Same),
        ("a MIME type", format!("C x\n{D}N text/plain\nU u\n"), Same),
        (
            "two MIME types",
            format!("C x\n{D}N text/plain\nN text/plain\n"),
            Same,
        ),
        ("two users", tags("U a\n"), Same),
        ("an empty user twice", format!("C x\n{D}U \nU \n"), Same),
        ("an escaped user", format!("C x\n{D}U a\\sb\n"), Same),
    ]);
}

#[test]
fn rules_of_parents_checksums_and_tags_are_those_of_stock() {
    let tags = |lines: &str| format!("C x\n{D}{lines}U u\n");
    assert_cases(vec![
        ("no parents", format!("C x\n{D}P\n"), Same),
        ("an empty parent", format!("C x\n{D}P \n"), Same),
        (
            "two lines of parents",
            format!("C x\n{D}P {A}\nP {B}\n"),
            Same,
        ),
        ("a parent twice", format!("C x\n{D}P {A} {A}\n"), Same),
        (
            "a cherry-pick of a range",
            format!("C x\n{D}Q -{A} {B}\nQ -{A} {B}\n"),
            Same,
        ),
        (
            "a cherry-pick without a sign",
            format!("C x\n{D}Q {A}\n"),
            Same,
        ),
        (
            "an upper-case checksum",
            format!("C x\n{D}R {}\n", SUM.to_uppercase()),
            Same,
        ),
        ("two checksums", format!("C x\n{D}R {SUM}\nR {SUM}\n"), Same),
        (
            "a short checksum",
            format!("C x\n{D}R {}\n", &SUM[1..]),
            Same,
        ),
        ("an early Z card", format!("C x\n{D}Z {SUM}\n"), Same),
        ("an early bad Z card", format!("C x\n{D}Z x\n"), Same),
        (
            "a tag",
            tags(&format!("T *x * v\nT *x {A}\nT +x {A} v\nT -x *\n")),
            Same,
        ),
        ("tags out of order", tags("T *y *\nT *x *\n"), Same),
        ("signs out of order", tags("T +x *\nT *x *\n"), Same),
        (
            "self after another",
            tags(&format!("T *x {A}\nT *x *\n")),
            Same,
        ),
        (
            "targets out of order",
            tags(&format!("T *x {B}\nT *x {A}\n")),
            Same,
        ),
        ("the same tag twice", tags("T *x *\nT *x * v\n"), Same),
        ("a tag without a sign", tags("T x *\n"), Same),
        ("a tag without a name", tags("T + *\n"), Same),
        ("a tag like a hash", tags("T +beef *\n"), Same),
        ("a tag like an upper-case hash", tags("T +BEEF *\n"), Same),
        ("a tag with an empty value", tags("T *x * \n"), Same),
        ("a tag with two values", tags("T *x * v w\n"), Same),
        ("a tag on nothing", tags("T *x\n"), Same),
        ("a tag on a word", tags("T *x y\n"), Same),
        ("an escaped tag", tags("T *x\\sy *\n"), Same),
        ("a tag whose sign is escaped", tags("T \\*x *\n"), Same),
    ]);
}

#[test]
fn rules_of_file_names_are_those_of_stock() {
    let lab = Lab::new();
    let hash = A.as_bytes();
    let check = |what: &str, files: &[&[u8]], relation| assert_files(&lab, what, files, relation);
    for name in [
        "../x",
        "/x",
        "a/../../b",
        "./a",
        "a//b",
        "a/",
        "",
        ".",
        "..",
        "a/.",
        "a/..",
        "...",
        "a/...",
        ".a",
        "a..",
        "a\\\\b",
        "C:x",
        "con",
        "a\\sb",
        "\u{fc}",
        "\u{202e}x",
        ".git/config",
        "FOSSIL~1",
        "a\\nb",
        "a\x01b",
        "a:b",
        "a.",
    ] {
        check(name, &[&[name.as_bytes(), b" ", hash].concat()], Same);
    }
    for name in [
        &b"\xff"[..],
        b"\xc0\xaf",
        b"\xed\xa0\x80",
        b"\xf0\x9f\x98\x80",
    ] {
        check("bytes", &[&[name, b" ", hash].concat()], Same);
    }
    for name in [
        "_FOSSIL_",
        ".fslckout",
        ".FSLCKOUT-WAL",
        "a/_fossil_-journal",
        ".fslckout-shm",
        ".fslckout-wal-wal",
    ] {
        // Stock ignores such files, and so they do not count for the order of the others either.
        check(name, &[&[name.as_bytes(), b" ", hash].concat()], Same);
        check(
            name,
            &[
                &[name.as_bytes(), b" ", hash].concat(),
                &[b"+ ", hash].concat(),
            ],
            Same,
        );
    }
}

#[test]
fn rules_of_file_cards_are_those_of_stock() {
    let lab = Lab::new();
    let hash = A.as_bytes();
    let check = |what: &str, files: &[&[u8]], relation| assert_files(&lab, what, files, relation);
    check(
        "reserved but out of order",
        &[&[b"b ", hash].concat(), &[b"a/.fslckout ", hash].concat()],
        Same,
    );
    check(
        "not sorted",
        &[&[b"b ", hash].concat(), &[b"a ", hash].concat()],
        Same,
    );
    check(
        "twice",
        &[&[b"a ", hash].concat(), &[b"a ", hash].concat()],
        Same,
    );
    check(
        "sorted bytewise",
        &[
            &[b"a-b ", hash].concat(),
            &[b"a/b ", hash].concat(),
            &[b"a0 ", hash].concat(),
        ],
        Same,
    );
    check(
        "cut at a NUL",
        &[&[b"a\\0b ", hash].concat(), &[b"ab ", hash].concat()],
        Same,
    );
    check(
        "equal up to a NUL",
        &[&[b"a\\0b ", hash].concat(), &[b"a\\0c ", hash].concat()],
        Same,
    );
    check("no hash", &[b"a"], Same);
    check(
        "strange permission",
        &[&[b"a ", hash, b" zzz"].concat()],
        Same,
    );
    check("renamed", &[&[b"a ", hash, b" w b"].concat()], Same);
    check(
        "renamed, no permission",
        &[&[b"a ", hash, b"  b"].concat()],
        Same,
    );
    check(
        "renamed from outside",
        &[&[b"a ", hash, b" w ../b"].concat()],
        Same,
    );
    check(
        "renamed from a reserved name",
        &[&[b"a ", hash, b" w .fslckout"].concat()],
        Same,
    );
    check(
        "too many arguments",
        &[&[b"a ", hash, b" w b c"].concat()],
        Same,
    );
    // Longer than any system's paths.
    check(
        "20,000 bytes",
        &[&[&[b'a'; 20_000][..], b" ", hash].concat()],
        Stricter,
    );
}

/// Compares us with stock on a check-in with these F cards.
fn assert_files(lab: &Lab, what: &str, files: &[&[u8]], relation: Relation) {
    let cards: Vec<u8> = files
        .iter()
        .flat_map(|file| [b"F ", *file, b"\n"].concat())
        .collect();
    let cards = [b"C x\n", D.as_bytes(), &cards, b"U u\n"].concat();
    assert_relation(lab, what, &sealed(&cards), relation);
}
