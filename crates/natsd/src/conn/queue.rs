//! Bytes in the order in which they are to be written: runs that were copied together, and shared pieces between them.

use std::collections::VecDeque;
use std::io::IoSlice;

use bytes::Bytes;

use crate::limits::OUTPUT_CHUNK_BYTES;

/// Most pieces given to one system call.
pub(crate) const SLICES: usize = 64;

/// A queue of bytes.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    pieces: VecDeque<Piece>,
    /// The run that is appended to; it comes after all pieces.
    tail: Vec<u8>,
    /// Bytes at the start of the first piece (or of the tail, if there is no piece) that were written.
    written: usize,
    len: usize,
}

#[derive(Debug)]
enum Piece {
    Run(Vec<u8>),
    Shared(Bytes),
}

impl AsRef<[u8]> for Piece {
    fn as_ref(&self) -> &[u8] {
        match self {
            Self::Run(run) => run,
            Self::Shared(bytes) => bytes,
        }
    }
}

impl Queue {
    /// Bytes that are left.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Appends what `write` appends to the buffer that it is given; `about` bytes, as far as known beforehand.
    pub(crate) fn append(&mut self, about: usize, write: impl FnOnce(&mut Vec<u8>)) {
        if self.tail.len() + about > OUTPUT_CHUNK_BYTES && !self.tail.is_empty() {
            let next = Vec::with_capacity(about.max(OUTPUT_CHUNK_BYTES));
            let mut full = std::mem::replace(&mut self.tail, next);
            // A run of one message of half its room would cost twice what it counts for.
            if full.len() < full.capacity() / 8 * 7 {
                full.shrink_to_fit();
            }
            self.pieces.push_back(Piece::Run(full));
        }
        let before = self.tail.len();
        write(&mut self.tail);
        self.len += self.tail.len() - before;
    }

    /// Appends bytes that others hold as well.
    pub(crate) fn share(&mut self, bytes: Bytes) {
        self.len += bytes.len();
        if !self.tail.is_empty() {
            let run = std::mem::take(&mut self.tail);
            self.pieces.push_back(Piece::Run(run));
        }
        self.pieces.push_back(Piece::Shared(bytes));
    }

    /// Fills in the first pieces, and returns how many.
    pub(crate) fn slices<'a>(&'a self, slices: &mut [IoSlice<'a>]) -> usize {
        let mut skip = self.written;
        let pieces = self
            .pieces
            .iter()
            .map(AsRef::as_ref)
            .chain([self.tail.as_slice()]);
        let mut count = 0;
        for (slice, piece) in slices.iter_mut().zip(pieces) {
            *slice = IoSlice::new(piece.get(skip..).unwrap_or_default());
            skip = 0;
            count += 1;
        }
        count
    }

    /// Forgets bytes that were written.
    pub(crate) fn advance(&mut self, written: usize) {
        self.len = self.len.saturating_sub(written);
        self.written += written;
        while let Some(first) = self.pieces.front() {
            let len = first.as_ref().len();
            if self.written < len {
                return;
            }
            self.written -= len;
            self.pieces.pop_front();
        }
        if self.len == 0 {
            // Keep as much memory as this round needed, so that a connection's buffer follows its traffic.
            let used = self.tail.len();
            self.tail.clear();
            if used * 4 < self.tail.capacity() {
                self.tail.shrink_to(used * 2);
            }
            self.written = 0;
        }
    }

    /// Returns the queue for use again, emptied.
    pub(crate) fn recycled(mut self) -> Self {
        self.pieces.clear();
        self.tail.clear();
        if self.tail.capacity() > OUTPUT_CHUNK_BYTES {
            self.tail = Vec::new();
        }
        self.written = 0;
        self.len = 0;
        self
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(queue: &mut Queue, most: usize) -> Vec<u8> {
        let mut slices = [IoSlice::new(&[]); SLICES];
        let count = queue.slices(&mut slices);
        let mut bytes: Vec<u8> = slices[..count]
            .iter()
            .flat_map(|slice| slice.to_vec())
            .collect();
        bytes.truncate(most);
        queue.advance(bytes.len());
        bytes
    }

    /// Bytes that the queue keeps allocated, the shared ones included.
    fn memory(queue: &Queue) -> usize {
        let of = |piece: &Piece| match piece {
            Piece::Run(run) => run.capacity(),
            Piece::Shared(bytes) => bytes.len(),
        };
        queue.pieces.iter().map(of).sum::<usize>() + queue.tail.capacity()
    }

    proptest! {
        #[test]
        fn what_waits_costs_about_what_it_counts_for(lens in prop::collection::vec(1..70_000_usize, 20..40), shared in any::<bool>()) {
            let mut queue = Queue::default();
            for len in lens {
                if shared {
                    queue.append(100, |tail| tail.extend_from_slice(b"MSG a 1 1\r\n"));
                    queue.share(vec![0; len].into());
                } else {
                    queue.append(len, |tail| tail.resize(tail.len() + len, 0));
                }
            }
            prop_assert!(memory(&queue) <= queue.len() / 8 * 9 + 2 * OUTPUT_CHUNK_BYTES, "{} for {}", memory(&queue), queue.len());
        }

        #[test]
        fn bytes_come_out_in_order(acts in prop::collection::vec((any::<bool>(), 0..100_000_usize, 1..150_000_usize), 1..6)) {
            let (mut queue, mut put, mut got) = (Queue::default(), Vec::new(), Vec::new());
            for (byte, (shared, len, most)) in (0..).zip(acts) {
                let bytes = vec![byte; len];
                put.extend_from_slice(&bytes);
                if shared {
                    queue.share(bytes.into());
                } else {
                    queue.append(len, |tail| tail.extend_from_slice(&bytes));
                }
                prop_assert_eq!(queue.len(), put.len() - got.len());
                got.extend(read(&mut queue, most));
            }
            while queue.len() > 0 {
                got.extend(read(&mut queue, usize::MAX));
            }
            prop_assert!(put == got);
        }
    }
}
