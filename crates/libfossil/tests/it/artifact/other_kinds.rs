//! The rules of all kinds but check-ins.

use super::*;

#[test]
fn rules_of_clusters_and_control_artifacts_are_those_of_stock() {
    assert_cases(vec![
        ("a cluster", format!("M {A}\nM {B}\nM {C}\n"), Same),
        ("a member twice", format!("M {A}\nM {A}\n"), Same),
        ("members out of order", format!("M {B}\nM {A}\n"), Same),
        ("a cluster with a date", format!("{D}M {A}\n"), Same),
        ("an empty member", "M \n".into(), Same),
        ("a control artifact", format!("{D}T +x {A}\nU u\n"), Same),
        ("without a user", format!("{D}T +x {A}\n"), Same),
        ("without a tag", format!("{D}U u\n"), Same),
        ("only a date", D.into(), Same),
        ("a tag of itself", format!("{D}T +x *\nU u\n"), Same),
        ("a text", format!("{D}T +x {A}\nU u\nW 1\nx\n"), Same),
    ]);
}

#[test]
fn rules_of_wiki_pages_and_tickets_are_those_of_stock() {
    let wiki =
        |title: &str, size: &str, text: &str| format!("{D}L {title}\nU u\nW {size}\n{text}\n");
    assert_cases(vec![
        ("a page", wiki("x", "3", "abc"), Same),
        (
            "a page with everything",
            format!("C c\n{D}L x\nN text/plain\nP {A} {B}\nU u\nW 3\nabc\n"),
            Same,
        ),
        ("a long size", wiki("x", "4", "abc"), Same),
        ("a longer size", wiki("x", "400", "abc"), Same),
        ("a short size", wiki("x", "2", "abc"), Same),
        ("a size followed by junk", wiki("x", "3x", "abc"), Same),
        ("an overflowing size", wiki("x", "4294967299", "abc"), Same),
        ("no size", wiki("x", "", "abc"), Same),
        ("an empty text", wiki("x", "0", ""), Same),
        ("a text with newlines", wiki("x", "7", "a\nU x\n\n"), Same),
        ("a text with a NUL", wiki("x", "3", "a\0c"), Same),
        ("two texts", format!("{D}L x\nU u\nW 1\na\nW 1\na\n"), Same),
        ("a title of 100", wiki(&"x".repeat(100), "3", "abc"), Same),
        ("a title of 101", wiki(&"x".repeat(101), "3", "abc"), Same),
        ("a title with a space", wiki("x\\sy", "3", "abc"), Same),
        ("a title with two", wiki("x\\s\\sy", "3", "abc"), Same),
        ("a title that ends in one", wiki("x\\s", "3", "abc"), Same),
        (
            "a title that starts with one",
            wiki("\\sx", "3", "abc"),
            Same,
        ),
        ("a title with a tab", wiki("x\\ty", "3", "abc"), Same),
        ("a title with DEL", wiki("x\x7f\u{ff}", "3", "abc"), Same),
        ("an empty title", wiki("", "3", "abc"), Same),
        ("no title", format!("{D}U u\nW 3\nabc\n"), Same),
        ("no user", format!("{D}L x\nW 3\nabc\n"), Same),
        (
            "a ticket",
            format!("{D}J +a b\nJ a b\nJ b\nJ c \nK {A}\nU u\n"),
            Same,
        ),
        (
            "fields out of order",
            format!("{D}J b\nJ a\nK {A}\nU u\n"),
            Same,
        ),
        ("a field twice", format!("{D}J b\nJ b\nK {A}\nU u\n"), Same),
        (
            "an escaped field",
            format!("{D}J a\\sb b\\sc\nK {A}\nU u\n"),
            Same,
        ),
        (
            "a field without a name",
            format!("{D}J \nK {A}\nU u\n"),
            Same,
        ),
        ("no fields", format!("{D}K {A}\nU u\n"), Same),
        ("no ticket", format!("{D}J b\nU u\n"), Same),
        ("a short ticket", format!("{D}J b\nK abc\nU u\n"), Same),
        ("a long ticket", format!("{D}J b\nK {C}\nU u\n"), Same),
    ]);
}

#[test]
fn rules_of_attachments_and_technotes_are_those_of_stock() {
    let note = |cards: &str| format!("C c\n{D}E 2026-01-01T00:00:00 {A}\n{cards}W 3\nabc\n");
    assert_cases(vec![
        (
            "an attachment",
            format!("A f.txt page {A}\nC c\n{D}N x\nU u\n"),
            Same,
        ),
        ("taken off", format!("A f.txt page\n{D}U u\n"), Same),
        ("by nobody", format!("A f.txt page\n{D}"), Same),
        ("on a ticket", format!("A f.txt {B} {A}\n{D}"), Same),
        ("in a directory", format!("A a/f.txt page {A}\n{D}"), Same),
        ("outside", format!("A ../f.txt page {A}\n{D}"), Same),
        (
            "with a reserved name",
            format!("A .fslckout page {A}\n{D}"),
            Same,
        ),
        ("with an empty source", format!("A f.txt page \n{D}"), Same),
        ("on nothing", format!("A f.txt  {A}\n{D}"), Same),
        ("twice", format!("A f.txt page\nA f.txt page\n{D}"), Same),
        ("a technote", note("T +x *\nU u\n"), Same),
        (
            "with its MIME type first",
            note(&format!("N text/x\nP {B}\nU u\n")),
            Same,
        ),
        (
            "with its MIME type late",
            note(&format!("P {B}\nN text/x\nU u\n")),
            Same,
        ),
        (
            "with its MIME type later",
            note(&format!("P {B}\nT +x *\nN text/x\nU u\n")),
            Same,
        ),
        ("with an inherited tag", note("T *x *\nU u\n"), Same),
        ("with a tag taken off", note("T -x *\nU u\n"), Same),
        (
            "with a tag elsewhere",
            note(&format!("T +x {B}\nU u\n")),
            Same,
        ),
        ("without a user", note(""), Same),
        (
            "without an identifier",
            format!("C c\n{D}E 2026-01-01T00:00:00\nU u\nW 3\nabc\n"),
            Same,
        ),
        (
            "with a long identifier",
            format!("{D}E 2026-01-01T00:00:00 {C}\nU u\nW 3\nabc\n"),
            Same,
        ),
    ]);
}

#[test]
fn rules_of_forum_posts_are_those_of_stock() {
    let post = |cards: &str| format!("{D}{cards}U u\nW 3\nabc\n");
    assert_cases(vec![
        (
            "a wiki page with the late MIME type",
            format!("{D}L x\nP {B}\nN text/x\nU u\nW 3\nabc\n"),
            Same,
        ),
        ("a thread", post("H title\n"), Same),
        (
            "a reply",
            post(&format!("G {A}\nI {B}\nN text/x\nP {B}\n")),
            Same,
        ),
        ("a reply with a title", post(&format!("H t\nI {B}\n")), Same),
        (
            "a post with two parents",
            post(&format!("H t\nP {A} {B}\n")),
            Same,
        ),
        ("a post without anything", post(""), Same),
        ("a post without a text", format!("{D}H t\nU u\n"), Same),
        (
            "a post with a comment",
            format!("C x\n{D}H t\nU u\nW 1\nx\n"),
            Same,
        ),
    ]);
}
