//! The transcript, written where the runner reads it.

use seawall_replay::transcript::{self, Event, What};

use crate::arch::memory::Window;

const HEADER: u64 = transcript::HEADER_BYTES as u64;
const EVENT: u64 = transcript::EVENT_BYTES as u64;

/// A transcript in physical memory. Two plain numbers, so that last words can have a copy.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Record {
    window: Window,
    capacity: u32,
}

impl Record {
    /// Begins an empty transcript that fills `window`.
    pub(crate) fn begin(window: Window) -> Self {
        let room = window.bytes().saturating_sub(HEADER) / EVENT;
        let capacity = u32::try_from(room).unwrap_or(u32::MAX);
        put(window, 0, &transcript::header(capacity));
        Self { window, capacity }
    }

    /// Adds an event. The count comes last: a reader that sees it sees the event.
    pub(crate) fn add(self, event: &Event) {
        let happened = self.happened();
        if happened < u64::from(self.capacity) {
            put(self.window, HEADER + happened * EVENT, &event.encode());
        }
        self.set_happened(happened.saturating_add(1));
    }

    /// The latest event by which the page of `ipa` was opened or made read-only; what a delivery belongs to.
    pub(crate) fn opening(self, ipa: u64) -> Option<Event> {
        let kept = self.happened().min(u64::from(self.capacity));
        (0..kept)
            .rev()
            .filter_map(|index| self.event(index))
            .find(|event| matches!(event.what, What::Opened | What::Protected) && event.ipa == ipa & !0xfff)
    }

    fn event(self, index: u64) -> Option<Event> {
        let mut raw = [0; transcript::EVENT_BYTES];
        let start = HEADER + index * EVENT;
        for (slot, offset) in raw.chunks_exact_mut(8).zip((start..).step_by(8)) {
            slot.copy_from_slice(&self.window.read_at(offset)?.to_le_bytes());
        }
        Event::decode(&raw)
    }

    fn happened(self) -> u64 {
        self.window.read_at(transcript::COUNT_OFFSET as u64).unwrap_or(0)
    }

    fn set_happened(self, count: u64) {
        // The window is as long as a header at least, by the handover's check.
        let _ = self.window.write_at(transcript::COUNT_OFFSET as u64, count);
    }
}

fn put(window: Window, start: u64, bytes: &[u8; 32]) {
    for (word, offset) in bytes.chunks_exact(8).zip((start..).step_by(8)) {
        let word = word.try_into().map_or(0, u64::from_le_bytes);
        let _ = window.write_at(offset, word);
    }
}
