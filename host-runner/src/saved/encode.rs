//! From a VM to bytes.

use sha2::{Digest, Sha256};

use super::{
    DIGEST_OFFSET, HEADER_BYTES, MAGIC, MOST_BYTES, PAGE, SECTION_BYTES, Saved, SavedError, Section, VERSION,
};

/// SHA-256 over these parts, one after the other.
pub(super) fn digest(parts: &[&[u8]]) -> [u8; 32] {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part);
    }
    hash.finalize().into()
}

/// The digest that a file of these bytes has to name.
pub(super) fn digest_of_file(bytes: &[u8]) -> Option<[u8; 32]> {
    let (before, after) = (bytes.get(..DIGEST_OFFSET)?, bytes.get(HEADER_BYTES..)?);
    Some(digest(&[before, after]))
}

/// Gives bytes the length and the digest that a file of them has to name, for those who change one on purpose.
#[cfg(any(test, fuzzing))]
pub(crate) fn seal(file: &mut [u8]) {
    let length = file.len() as u64;
    if file.len() < HEADER_BYTES {
        return;
    }
    fill(file, 16, &length.to_le_bytes());
    if let Some(digest) = digest_of_file(file) {
        fill(file, DIGEST_OFFSET, &digest);
    }
}

/// As bytes.
///
/// # Errors
/// [`SavedError::TooLarge`].
pub fn encode(saved: &Saved) -> Result<Vec<u8>, SavedError> {
    let bytes = saved.memory.len() as u64 * (PAGE as u64 + 8);
    if bytes > MOST_BYTES {
        return Err(SavedError::TooLarge(bytes));
    }
    let mut file = vec![0; HEADER_BYTES];
    let reports = (!saved.board.reports.is_empty()).then_some(Section::Reports);
    let lives = (!saved.board.lives.is_empty()).then_some(Section::Lives);
    let sections = Section::ALL.into_iter().chain(reports).chain(lives);
    for section in sections.clone() {
        let start = file.len();
        file.resize(start + SECTION_BYTES, 0);
        put_section(saved, section, &mut file);
        let length = (file.len() - start - SECTION_BYTES) as u64;
        fill(&mut file, start, &(section as u32).to_le_bytes());
        fill(&mut file, start + 8, &length.to_le_bytes());
    }
    let length = file.len() as u64;
    if length > MOST_BYTES {
        return Err(SavedError::TooLarge(length));
    }
    fill(&mut file, 0, &MAGIC);
    fill(&mut file, 8, &VERSION.to_le_bytes());
    fill(&mut file, 12, &count(sections.count()).to_le_bytes());
    fill(&mut file, 16, &length.to_le_bytes());
    if let Some(digest) = digest_of_file(&file) {
        fill(&mut file, DIGEST_OFFSET, &digest);
    }
    Ok(file)
}

/// Overwrites bytes that are there.
fn fill(file: &mut [u8], at: usize, bytes: &[u8]) {
    if let Some(place) = file.get_mut(at..at + bytes.len()) {
        place.copy_from_slice(bytes);
    }
}

/// What is longer than this is longer than a file can be.
fn count(items: usize) -> u32 {
    u32::try_from(items).unwrap_or(u32::MAX)
}

fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    out.extend(count(bytes.len()).to_le_bytes());
    out.extend(bytes);
}

fn put_longs(out: &mut Vec<u8>, longs: &[u64]) {
    for long in longs {
        out.extend(long.to_le_bytes());
    }
}

fn put_section(saved: &Saved, section: Section, out: &mut Vec<u8>) {
    match section {
        Section::Scenario => {
            put_bytes(out, saved.scenario.name.as_bytes());
            out.extend(saved.scenario.digest);
        }
        Section::Machine => {
            let machine = &saved.machine;
            put_longs(out, &[machine.memory_base, machine.memory_bytes]);
            for word in [machine.ipa_bits, machine.interrupts, machine.used] {
                out.extend(word.to_le_bytes());
            }
            put_bytes(out, machine.linux.as_bytes());
        }
        Section::Cpu => put_longs(out, &[saved.cpu.midr, saved.cpu.revidr, saved.cpu.aidr]),
        Section::Layout => {
            for pages in [&saved.layout.holes, &saved.layout.read_only] {
                out.extend(count(pages.len()).to_le_bytes());
                put_longs(out, pages);
            }
            out.extend(count(saved.layout.poisoned.len()).to_le_bytes());
            for (page, by) in &saved.layout.poisoned {
                put_longs(out, &[*page]);
                out.push(*by as u8);
            }
        }
        Section::Memory => {
            out.extend(count(saved.memory.len()).to_le_bytes());
            for page in &saved.memory {
                put_longs(out, &[page.ipa]);
                out.extend(page.bytes.as_slice());
            }
        }
        Section::Registers => {
            out.extend(count(saved.registers.len()).to_le_bytes());
            for register in &saved.registers {
                put_longs(out, &[register.id]);
                out.extend(&register.bytes);
            }
        }
        Section::Gic => {
            out.extend(count(saved.gic.len()).to_le_bytes());
            for attribute in &saved.gic {
                out.extend(attribute.group.to_le_bytes());
                put_longs(out, &[attribute.attr, attribute.value]);
            }
        }
        Section::Vcpu => {
            let vcpu = &saved.vcpu;
            out.extend(vcpu.mp_state.to_le_bytes());
            out.extend([u8::from(vcpu.serror_pending), u8::from(vcpu.serror_has_esr)]);
            put_longs(out, &[vcpu.serror_esr]);
        }
        Section::Board => put_board(saved, out),
        Section::Reports => {
            let reports = &saved.board.reports;
            out.extend(count(reports.len()).to_le_bytes());
            put_longs(out, reports);
        }
        Section::Lives => {
            let lives = &saved.board.lives;
            out.push(u8::from(lives.reboots));
            out.extend(count(lives.journals.len()).to_le_bytes());
            for journal in &lives.journals {
                put_bytes(out, journal);
            }
        }
        Section::Transcript => {
            put_longs(out, &[saved.events_lost]);
            out.extend(count(saved.transcript.len()).to_le_bytes());
            for event in &saved.transcript {
                out.extend(event.encode());
            }
        }
    }
}

fn put_board(saved: &Saved, out: &mut Vec<u8>) {
    let board = &saved.board;
    out.extend(count(board.counts.len()).to_le_bytes());
    for step in &board.counts {
        out.extend(step.seen.to_le_bytes());
        out.extend(step.fired.to_le_bytes());
    }
    let (start, end) = board.journal.unwrap_or_default();
    put_longs(out, &[board.journal_address]);
    out.push(u8::from(board.journal.is_some()));
    put_longs(out, &[start, end]);
    for register in board.uart {
        out.extend(register.to_le_bytes());
    }
    put_bytes(out, &board.console);
    out.extend(count(board.pages.len()).to_le_bytes());
    for (page, step, announcement) in &board.pages {
        put_longs(out, &[*page]);
        out.extend(step.to_le_bytes());
        put_longs(out, &[*announcement]);
    }
}
