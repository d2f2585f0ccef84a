//! The order of a conversation: each message comes after the one that its sender saw last. Clocks decide only between messages
//! that were written without knowing of each other.

use std::collections::{BTreeSet, HashMap};

use libfossil::time::Timestamp;

use super::Head;
use crate::name::MessageId;

/// Returns the messages of one thread in the order of the conversation.
pub(super) fn conversation<'a>(heads: &[&'a Head]) -> Vec<&'a Head> {
    let by_id: HashMap<MessageId, &Head> =
        heads.iter().map(|head| (head.fields.id, *head)).collect();
    let mut followers: HashMap<MessageId, Vec<&Head>> = HashMap::new();
    let mut ready: BTreeSet<(Timestamp, MessageId)> = BTreeSet::new();
    let rank = |head: &Head| (head.fields.timestamp, head.fields.id);
    for &head in heads {
        match head.fields.after.filter(|id| by_id.contains_key(id)) {
            Some(before) => followers.entry(before).or_default().push(head),
            None => drop(ready.insert(rank(head))),
        }
    }
    let mut ordered = Vec::with_capacity(heads.len());
    while let Some((_, id)) = ready.pop_first() {
        ordered.extend(by_id.get(&id));
        ready.extend(
            followers
                .remove(&id)
                .unwrap_or_default()
                .into_iter()
                .map(rank),
        );
    }
    // Messages that claim to follow each other in a ring come last, by their clocks.
    let mut ring: Vec<&Head> = followers.into_values().flatten().collect();
    ring.sort_unstable_by_key(|head| rank(head));
    ordered.extend(ring);
    ordered
}
