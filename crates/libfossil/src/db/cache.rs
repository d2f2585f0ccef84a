//! A bounded store of recently expanded contents.
//!
//! Entries are keyed by hash name, not by row number: a name means the same content for ever, whatever
//! other programs do to the file meanwhile.

use std::collections::{BTreeMap, HashMap};

use bytes::Bytes;

use crate::name::HashName;

/// Contents by name, the least recently used leaving first when a byte budget is exceeded.
#[derive(Debug)]
pub(crate) struct ContentCache {
    budget_bytes: usize,
    held_bytes: usize,
    tick: u64,
    entries: HashMap<HashName, Entry>,
    by_age: BTreeMap<u64, HashName>,
}

#[derive(Debug)]
struct Entry {
    content: Bytes,
    last_used: u64,
}

impl ContentCache {
    /// Returns an empty cache that holds at most `budget_bytes` of content.
    pub(crate) fn new(budget_bytes: usize) -> Self {
        Self {
            budget_bytes,
            held_bytes: 0,
            tick: 0,
            entries: HashMap::new(),
            by_age: BTreeMap::new(),
        }
    }

    /// Returns how many bytes of content are held.
    pub(crate) fn held_bytes(&self) -> usize {
        self.held_bytes
    }

    /// Returns the content called `name` if it is held, and makes it the youngest.
    pub(crate) fn get(&mut self, name: &HashName) -> Option<Bytes> {
        let entry = self.entries.get_mut(name)?;
        self.tick += 1;
        self.by_age.remove(&entry.last_used);
        self.by_age.insert(self.tick, *name);
        entry.last_used = self.tick;
        Some(entry.content.clone())
    }

    /// Holds `content`, unless it alone would take more than a quarter of the budget.
    pub(crate) fn insert(&mut self, name: HashName, content: Bytes) {
        if content.len() > self.budget_bytes / 4 {
            return;
        }
        self.remove(&name);
        self.tick += 1;
        self.held_bytes += content.len();
        self.by_age.insert(self.tick, name);
        self.entries.insert(
            name,
            Entry {
                content,
                last_used: self.tick,
            },
        );
        while self.held_bytes > self.budget_bytes {
            let Some((_, oldest)) = self.by_age.pop_first() else {
                break;
            };
            if let Some(entry) = self.entries.remove(&oldest) {
                self.held_bytes -= entry.content.len();
            }
        }
    }

    fn remove(&mut self, name: &HashName) {
        if let Some(entry) = self.entries.remove(name) {
            self.by_age.remove(&entry.last_used);
            self.held_bytes -= entry.content.len();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(byte: u8, len: usize) -> (HashName, Bytes) {
        let content = Bytes::from(vec![byte; len]);
        (HashName::sha1_of(&content), content)
    }

    #[test]
    fn the_least_recently_used_leaves_first() {
        let mut cache = ContentCache::new(100);
        let items: Vec<_> = (0..5).map(|byte| item(byte, 20)).collect();
        for (name, content) in &items {
            cache.insert(*name, content.clone());
        }
        assert!(cache.get(&items[0].0).is_some());
        let (name, content) = item(9, 20);
        cache.insert(name, content);
        assert!(cache.get(&items[0].0).is_some());
        assert!(cache.get(&items[1].0).is_none());
        assert_eq!(cache.held_bytes, 100);
    }

    #[test]
    fn one_huge_content_does_not_push_out_the_rest() {
        let mut cache = ContentCache::new(100);
        let (small, huge) = (item(1, 20), item(2, 26));
        cache.insert(small.0, small.1);
        cache.insert(huge.0, huge.1);
        assert!(cache.get(&small.0).is_some());
        assert!(cache.get(&huge.0).is_none());
    }
}
