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
