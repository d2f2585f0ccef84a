//! Tests of the card reader.

use proptest::prelude::*;

use super::*;

fn items(message: &[u8]) -> Vec<Item> {
    Items::new(Bytes::copy_from_slice(message)).collect()
}

fn hash() -> impl Strategy<Value = HashName> {
    (any::<Vec<u8>>(), any::<bool>()).prop_map(|(content, sha3)| {
        if sha3 {
            HashName::sha3_of(&content)
        } else {
            HashName::sha1_of(&content)
        }
    })
}

fn code() -> impl Strategy<Value = String> {
    hash().prop_map(|hash| hash.as_str().to_owned())
}

fn content() -> impl Strategy<Value = Bytes> {
    any::<Vec<u8>>().prop_map(Bytes::from)
}

fn entry() -> impl Strategy<Value = UvEntry> {
    (
        "[a-z]{1,8}(/[a-z.é]{3,8}){0,2}",
        0..i64::MAX,
        prop::option::of(hash()),
        0..1000_u32,
    )
        .prop_map(|(name, mtime, hash, size)| UvEntry {
            name,
            mtime,
            hash,
            size,
        })
}

fn pragmas() -> impl Strategy<Value = Pragma> {
    let number = 0..=2_147_483_647_u32;
    let version =
        (number.clone(), number, 0..240_000_u32).prop_map(|(release, date, time)| Version {
            release,
            date,
            time,
        });
    prop_oneof![
        version.clone().prop_map(Pragma::ClientVersion),
        version.prop_map(Pragma::ServerVersion),
        Just(Pragma::SendPrivate),
        Just(Pragma::SendCatalog),
        Just(Pragma::ReqClusters),
        code().prop_map(Pragma::UvHash),
        Just(Pragma::UvPushOk),
        Just(Pragma::UvPullOnly),
        (hash(), code()).prop_map(|(check_in, client)| Pragma::CiLock { check_in, client }),
        code().prop_map(Pragma::CiUnlock),
        ("\\PC{1,9}", 0..i64::MAX).prop_map(|(user, mtime)| Pragma::CiLockFail { user, mtime }),
        Just(Pragma::AvoidDeltaManifests),
    ]
}

fn cards() -> impl Strategy<Value = Card> {
    let seqno = 0..=2_147_483_647_u32;
    prop_oneof![
        (code(), code()).prop_map(|(server, project)| Card::Pull { server, project }),
        (code(), code()).prop_map(|(server, project)| Card::Push { server, project }),
        Just(Card::Clone(CloneRequest::Names)),
        (seqno.clone(), seqno.clone())
            .prop_map(|(version, seqno)| Card::Clone(CloneRequest::Contents { version, seqno })),
        (hash(), prop::option::of(hash()), content()).prop_map(|(hash, source, content)| {
            Card::File {
                hash,
                source,
                content,
            }
        }),
        (hash(), prop::option::of(hash()), seqno.clone(), content()).prop_map(
            |(hash, source, size, content)| Card::CompressedFile {
                hash,
                source,
                size,
                content
            }
        ),
        Just(Card::Private),
        (hash(), any::<bool>()).prop_map(|(hash, private)| Card::IGot { hash, private }),
        hash().prop_map(Card::Gimme),
        entry().prop_map(Card::UvIGot),
        entry().prop_map(|entry| Card::UvGimme(entry.name)),
        (entry(), content()).prop_map(|(mut entry, content)| {
            entry.size = u32::try_from(content.len()).unwrap_or_default();
            Card::UvFile {
                entry,
                flags: 0,
                content,
            }
        }),
        entry().prop_map(|entry| Card::UvFile {
            entry,
            flags: 4,
            content: Bytes::new()
        }),
        content().prop_map(|content| Card::Config {
            name: "/user".into(),
            content
        }),
        "/[a-z]{1,9}".prop_map(Card::ReqConfig),
        ("\\PC{1,20}", code(), code()).prop_map(|(user, nonce, signature)| Card::Login(Login {
            user,
            nonce,
            signature
        })),
        ".{1,20}".prop_map(Card::Cookie),
        seqno.prop_map(Card::CloneSeqno),
        ".{1,20}".prop_map(Card::Message),
        ".{1,20}".prop_map(Card::Error),
        pragmas().prop_map(Card::Pragma),
    ]
}

proptest! {
    #[test]
    fn what_is_written_is_read_back(cards in prop::collection::vec(cards(), 0..20)) {
        let message: Vec<u8> = cards.iter().flat_map(Card::to_bytes).collect();
        prop_assert_eq!(items(&message), cards.into_iter().map(Item::Card).collect::<Vec<_>>());
    }

    #[test]
    fn any_message_is_read_without_panic(message: Vec<u8>) {
        items(&message);
    }

    #[test]
    fn a_cut_or_changed_message_is_read_without_panic(
        cards in prop::collection::vec(cards(), 1..10), cut: prop::sample::Index, at: prop::sample::Index, byte: u8
    ) {
        let mut message: Vec<u8> = cards.iter().flat_map(Card::to_bytes).collect();
        items(&message[..cut.index(message.len())]);
        let at = at.index(message.len());
        message[at] = byte;
        items(&message);
    }
}

#[test]
fn hostile_sizes_end_the_message() {
    let hash = HashName::sha1_of(b"x");
    for size in [
        "-1",
        "0x1",
        "2147483648",
        "99999999999999999999",
        "2",
        "2147483647",
    ] {
        for card in [
            format!("file {hash} {size}\nx"),
            format!("cfile {hash} 1 {size}\nx"),
            format!("uvfile name 1 {hash} {size} 0\nx"),
            format!("config /user {size}\nx"),
        ] {
            let message = format!("{card}\nigot {hash}\n");
            let items = items(message.as_bytes());
            // A size that fits the message swallows what follows; all others are refused at once.
            assert!(items.len() == 1 || size == "2", "{card}: {items:?}");
            assert!(
                matches!(items[0], Item::Malformed(_)) || size == "2",
                "{card}: {items:?}"
            );
        }
    }
}

#[test]
fn names_of_unversioned_files_stay_inside() {
    let hash = HashName::sha1_of(b"");
    for name in ["../x", "/x", "a/../b", "a//b", "a/", ".fslckout", "."] {
        let message = format!("uvfile {name} 1 {hash} 0 0\n");
        assert_eq!(
            items(message.as_bytes()),
            [Item::Malformed("malformed uvfile line")],
            "{name}"
        );
        assert!(
            matches!(
                items(format!("uvgimme {name}\n").as_bytes())[..],
                [Item::Unknown(_)]
            ),
            "{name}"
        );
    }
}

#[test]
fn bad_commands_are_quoted_and_cut() {
    let long = "x".repeat(MAX_LINE + 10);
    for line in [
        "",
        "what is this\n",
        "gimme\n",
        "gimme 1234\n",
        "pull a b\n",
        "igot XYZ\n",
        "clone 3\n",
        long.as_str(),
    ] {
        match &items(line.as_bytes())[..] {
            [] => assert!(line.is_empty()),
            [Item::Unknown(text)] => {
                assert!(text.len() <= MAX_QUOTED && line.starts_with(text.as_str()));
            }
            other => panic!("{line}: {other:?}"),
        }
    }
    assert_eq!(items(b"\n \t\r\n"), [Item::Blank, Item::Blank]);
    assert_eq!(
        items(b"# timestamp x\n#\n"),
        [
            Item::Comment("timestamp x".into()),
            Item::Comment(String::new())
        ]
    );
}

#[test]
fn line_endings_of_windows_and_further_tokens_are_let_pass() {
    let hash = HashName::sha1_of(b"x");
    assert_eq!(
        items(format!("gimme {hash}\r\n").as_bytes()),
        [Item::Card(Card::Gimme(hash))]
    );
    let message = format!("igot {hash} 1 2 3 4 5 6 7\n");
    assert_eq!(
        items(message.as_bytes()),
        [Item::Card(Card::IGot {
            hash,
            private: true
        })]
    );
}

#[test]
fn unusable_pragmas_are_ignored() {
    for pragma in [
        "ci-lock",
        "ci-lock xyz me",
        "client-version -1",
        "client-version 99999999999",
        "uv-hash zz",
        "what",
    ] {
        assert_eq!(
            items(format!("pragma {pragma}\n").as_bytes()),
            [Item::Card(Card::Pragma(Pragma::Unknown))],
            "{pragma}"
        );
    }
}
