//! How an agent proves that a message key is its own: the binding of [`crate::trust`], written into each signature.

use edgesync_notify::name::Key;
use edgesync_notify::sign::Signer;

use crate::identity::Identity;
use crate::text::{from_hex, to_hex};
use crate::trust::EndpointId;
use crate::trust::keys::{Binding, KEY_BYTES, SIGNATURE_BYTES};

/// Returns the key that this identity signs messages with.
pub(super) fn signer(identity: &Identity) -> Signer {
    let keys = identity.keys().clone();
    let binding = *keys.binding();
    let sign = move |bytes: &[u8]| keys.sign_message(bytes);
    let voucher = format!("{}{}", to_hex(&binding.nkey), to_hex(&binding.signature));
    Signer::new(Key::from_bytes(binding.message), sign).vouched_for_by(voucher)
}

/// Returns the identity that `from` names, if the voucher proves that the key is its own.
pub(super) fn owner(from: &str, key: Key, voucher: &str) -> Option<EndpointId> {
    let id: EndpointId = from.parse().ok()?;
    let (nkey, signature) = voucher.split_at_checked(KEY_BYTES * 2)?;
    let binding = Binding {
        nkey: from_hex::<KEY_BYTES>(nkey)?,
        message: *key.as_bytes(),
        signature: from_hex::<SIGNATURE_BYTES>(signature)?,
    };
    binding.is_of(&id).then_some(id)
}

#[cfg(test)]
mod tests {
    use edgesync_notify::message::Message;
    use edgesync_notify::sign::Context;

    use super::*;

    const VECTORS: &str = include_str!("../../../notify/tests/fixtures/signatures.json");

    #[test]
    fn the_vector_with_a_voucher_proves_whose_its_key_is_and_no_other_voucher_does() {
        let vectors: serde_json::Value = serde_json::from_str(VECTORS).expect("JSON");
        let vectors = vectors["vectors"].as_array().expect("vectors");
        let vector = vectors.iter().find(|it| it["identity"].is_string());
        let vector = vector.expect("one with a voucher");
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("identity");
        let seed = vector["identity"].as_str().expect("a seed");
        std::fs::write(&file, seed).expect("written");
        let identity = Identity::in_file(&file).expect("an identity");

        let message = vector["message"].to_string();
        let message = Message::read(message.as_bytes()).expect("a message");
        let given = message.signature().expect("signed");
        let voucher = given.voucher.as_deref().expect("a voucher");
        let made = signer(&identity).sign(Context::Message, &message.signed_text());
        assert_eq!(made.voucher.as_deref(), Some(voucher));
        assert_eq!((made.key, made.value()), (given.key, given.value()));

        let owned = owner(&message.from, given.key, voucher);
        assert_eq!(
            owned.map(|id| id.to_string()).as_deref(),
            Some(&*message.from)
        );
        let changed = format!("{}{}", &voucher[2..], &voucher[..2]);
        assert_eq!(owner(&message.from, given.key, &changed), None);
        assert_eq!(owner(&"ab".repeat(32), given.key, voucher), None);
    }
}
