//! What the guest says of itself: notes in its journal, beside the aborts.
//!
//! A note has a kind from 0x80 up and thirteen words of 64 bits; the journal's own layout is the agent's, and its version
//! is the notes' too. The runner reads them at the end and holds them against the scenario.
//!
//! | kind | note | words, counted from 0; those that are not named are 0 |
//! | --- | --- | --- |
//! | 0x80 | [`Note::Task`] | 0: slot, bits 15:0, and bit 16 = a bystander; 1, 2: program's name; 3: low half state, 1 alive, 2 exited, 3 killed, 4 isolated, 5 faulted, high half exit code or class; 4: progress; 5: progress at the last abort; 6: damage; 7: low half restarts, high half charged |
//! | 0x81 | [`Note::Census`] | 0: 0 = at the start, else at the end; 1: frames; 2: free; 3: retired; 4: bytes of heap in use; 5: bytes of heap; 6: tables; 7: retired and still mapped |
//! | 0x82 | [`Note::Measure`] | 0: number; 1: instructions |
//! | 0x83 | [`Note::Started`] | 0: slot; 1, 2: program's name; 3: restarts |
//! | 0x84 | [`Note::Booted`] | 0: instructions |
//! | 0x86 | [`Note::Pending`] | 0: checkpoint number; 1: ISR_EL1.A, 0 or 1; 2: memory errors handled |
//! | 0x87 | [`Note::Told`] | 0: slot; 1: address; 2: frame; 3: 0 = only told, else bit 8 and the decision, bits 7:0; 4: how many more |
//! | 0x8b | [`Note::Mapping`] | 0: frame; 1: ESR_EL1; 2: FAR_EL1; 3: how many others could be read |
//!
//! A name is 16 bytes, little endian in its two words. Every other kind, and what is unused above, is kept for later.

/// How a task stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum TaskState {
    /// Ready, running or asleep.
    Alive,
    /// Left by its own exit, with that code.
    Exited(u32),
    /// Killed for a memory error.
    Killed,
    /// Stopped for a memory error and kept for inspection.
    Isolated,
    /// Killed for a fault of its own that was no memory error (the syndrome's class).
    Faulted(u32),
    /// Newer than this reader.
    Unknown(u32),
}

impl TaskState {
    const fn to_words(self) -> (u32, u32) {
        match self {
            Self::Alive => (1, 0),
            Self::Exited(code) => (2, code),
            Self::Killed => (3, 0),
            Self::Isolated => (4, 0),
            Self::Faulted(class) => (5, class),
            Self::Unknown(state) => (state, 0),
        }
    }

    const fn from_words(state: u32, detail: u32) -> Self {
        match state {
            1 => Self::Alive,
            2 => Self::Exited(detail),
            3 => Self::Killed,
            4 => Self::Isolated,
            5 => Self::Faulted(detail),
            other => Self::Unknown(other),
        }
    }

    /// One word for people and for scenarios.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Alive => "alive",
            Self::Exited(_) => "exited",
            Self::Killed => "killed",
            Self::Isolated => "isolated",
            Self::Faulted(_) => "faulted",
            Self::Unknown(_) => "unknown",
        }
    }
}

/// A task at the guest's end.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TaskReport {
    /// Its slot.
    pub task: u16,
    /// Its program's name, padded with zeros.
    pub program: [u8; 16],
    /// How it stands.
    pub state: TaskState,
    /// Whether the guest waited for it, or it is there only to be unharmed.
    pub bystander: bool,
    /// What it has counted.
    pub progress: u64,
    /// What it had counted when the last abort of the run arrived.
    pub progress_at_last_abort: u64,
    /// What it found changed in its memory, stack or registers.
    pub damage: u64,
    /// How often it was started again.
    pub restarts: u32,
    /// How often a memory error was charged to it.
    pub charged: u32,
}

/// The guest's stock, taken at its start and at its end.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Census {
    /// False for the one at the start.
    pub at_end: bool,
    /// Frames that exist.
    pub frames: u64,
    /// Frames that may be handed out.
    pub free: u64,
    /// Frames that will never be handed out again.
    pub retired: u64,
    /// Bytes of heap in use.
    pub heap_used: u64,
    /// Bytes of heap.
    pub heap: u64,
    /// Frames that have become tables of the kernel's own mapping of memory.
    pub tables: u64,
    /// Retired frames that this mapping has still.
    pub still_mapped: u64,
}

/// A note.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Note {
    /// A task at the end.
    Task(TaskReport),
    /// The stock.
    Census(Census),
    /// A figure a program measured: its number in the program, and instructions.
    Measure {
        /// Which figure.
        number: u64,
        /// How many instructions.
        value: u64,
    },
    /// A task was started: its slot, its program and how often that slot was started before.
    Started {
        /// The slot.
        task: u16,
        /// The program's name, padded with zeros.
        program: [u8; 16],
        /// 0 for the first time.
        restarts: u32,
    },
    /// Instructions from the guest's first to the first of EL0; zero where they cannot be counted.
    Booted {
        /// How many.
        instructions: u64,
    },
    /// Whether an SError was pending (ISR_EL1.A) where the kernel has them masked, and how many memory errors it had
    /// handled by then.
    Pending {
        /// The checkpoint's number.
        number: u64,
        /// ISR_EL1.A.
        serror: bool,
        /// Memory errors handled so far.
        handled: u64,
    },
    /// The kernel has read a retired frame by its own mapping of memory, and every other frame of that frame's 2 MiB.
    Mapping {
        /// The frame.
        frame: u64,
        /// ESR_EL1 of the exception that reading it brought; zero when it brought none.
        esr: u64,
        /// FAR_EL1 of the same.
        far: u64,
        /// How many of the others could be read.
        sound: u64,
    },
    /// A task's page was lost with a frame that it shared: its mapping leads nowhere now, or it has touched it since.
    Told {
        /// The task's slot; where it was told, that of its process's first task.
        task: u16,
        /// The page's address, or the one that it touched.
        address: u64,
        /// The frame.
        frame: u64,
        /// What came of the touch, as the agent numbers decisions; `None` where it was only told.
        touched: Option<u8>,
        /// How many more were told of the same frame than are named.
        more: u64,
    },
    /// Newer than this reader.
    Unknown {
        /// Its kind.
        kind: u8,
        /// Its words.
        words: [u64; 13],
    },
}

const TASK: u8 = 0x80;
const CENSUS: u8 = 0x81;
const MEASURE: u8 = 0x82;
const STARTED: u8 = 0x83;
const BOOTED: u8 = 0x84;
const PENDING: u8 = 0x86;
const TOLD: u8 = 0x87;
const MAPPING: u8 = 0x8b;

const fn low(word: u64) -> u32 {
    (word & 0xffff_ffff) as u32
}

const fn high(word: u64) -> u32 {
    (word >> 32) as u32
}

const fn pair(low: u32, high: u32) -> u64 {
    (low as u64) | ((high as u64) << 32)
}

fn name_words(name: [u8; 16]) -> [u64; 2] {
    let whole = u128::from_le_bytes(name);
    #[expect(clippy::cast_possible_truncation, reason = "the two halves of one value")]
    let halves = [whole as u64, (whole >> 64) as u64];
    halves
}

const fn name_bytes(low: u64, high: u64) -> [u8; 16] {
    ((low as u128) | ((high as u128) << 64)).to_le_bytes()
}

const fn slot(word: u64) -> u16 {
    (word & 0xffff) as u16
}

impl Note {
    /// As a note's kind and words.
    #[must_use]
    pub fn encode(&self) -> (u8, [u64; 13]) {
        match *self {
            Self::Task(t) => {
                let [name_low, name_high] = name_words(t.program);
                let (state, detail) = t.state.to_words();
                let head = u64::from(t.task) | (u64::from(t.bystander) << 16);
                let counts = pair(t.restarts, t.charged);
                let last = [t.progress, t.progress_at_last_abort, t.damage, counts];
                let [progress, at_abort, damage, counts] = last;
                let state = pair(state, detail);
                (
                    TASK,
                    [
                        head, name_low, name_high, state, progress, at_abort, damage, counts, 0, 0, 0, 0, 0,
                    ],
                )
            }
            Self::Census(c) => (
                CENSUS,
                [
                    u64::from(c.at_end),
                    c.frames,
                    c.free,
                    c.retired,
                    c.heap_used,
                    c.heap,
                    c.tables,
                    c.still_mapped,
                    0,
                    0,
                    0,
                    0,
                    0,
                ],
            ),
            Self::Measure { number, value } => (MEASURE, [number, value, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]),
            Self::Started {
                task,
                program,
                restarts,
            } => {
                let [name_low, name_high] = name_words(program);
                let words = [
                    u64::from(task),
                    name_low,
                    name_high,
                    u64::from(restarts),
                    0,
                    0,
                    0,
                    0,
                    0,
                    0,
                    0,
                    0,
                    0,
                ];
                (STARTED, words)
            }
            Self::Booted { instructions } => (BOOTED, [instructions, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]),
            Self::Pending {
                number,
                serror,
                handled,
            } => (
                PENDING,
                [number, u64::from(serror), handled, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
            ),
            Self::Mapping {
                frame,
                esr,
                far,
                sound,
            } => (MAPPING, [frame, esr, far, sound, 0, 0, 0, 0, 0, 0, 0, 0, 0]),
            Self::Told {
                task,
                address,
                frame,
                touched,
                more,
            } => {
                let decision = match touched {
                    None => 0,
                    Some(decision) => u64::from(decision) | 0x100,
                };
                (
                    TOLD,
                    [
                        u64::from(task),
                        address,
                        frame,
                        decision,
                        more,
                        0,
                        0,
                        0,
                        0,
                        0,
                        0,
                        0,
                        0,
                    ],
                )
            }
            Self::Unknown { kind, words } => (kind, words),
        }
    }

    /// From a note's kind and words: every value is a note.
    #[must_use]
    pub const fn decode(kind: u8, words: &[u64; 13]) -> Self {
        let [a, b, c, d, e, f, g, h, ..] = *words;
        match kind {
            TASK => Self::Task(TaskReport {
                task: slot(a),
                bystander: a & (1 << 16) != 0,
                program: name_bytes(b, c),
                state: TaskState::from_words(low(d), high(d)),
                progress: e,
                progress_at_last_abort: f,
                damage: g,
                restarts: low(h),
                charged: high(h),
            }),
            CENSUS => Self::Census(Census {
                at_end: a != 0,
                frames: b,
                free: c,
                retired: d,
                heap_used: e,
                heap: f,
                tables: g,
                still_mapped: h,
            }),
            MEASURE => Self::Measure { number: a, value: b },
            STARTED => Self::Started {
                task: slot(a),
                program: name_bytes(b, c),
                restarts: low(d),
            },
            BOOTED => Self::Booted { instructions: a },
            PENDING => Self::Pending {
                number: a,
                serror: b != 0,
                handled: c,
            },
            MAPPING => Self::Mapping {
                frame: a,
                esr: b,
                far: c,
                sound: d,
            },
            TOLD => Self::Told {
                task: slot(a),
                address: b,
                frame: c,
                touched: match d {
                    0 => None,
                    _ => Some((d & 0xff) as u8),
                },
                more: e,
            },
            _ => Self::Unknown { kind, words: *words },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_note_comes_back_as_it_went() {
        let program = *b"load\0\0\0\0\0\0\0\0\0\0\0\0";
        let task = TaskReport {
            task: 2,
            program,
            state: TaskState::Exited(7),
            bystander: true,
            progress: 10,
            progress_at_last_abort: 9,
            damage: 1,
            restarts: 3,
            charged: 4,
        };
        for note in [
            Note::Task(task),
            Note::Task(TaskReport {
                state: TaskState::Faulted(0x24),
                ..task
            }),
            Note::Task(TaskReport {
                state: TaskState::Unknown(99),
                bystander: false,
                ..task
            }),
            Note::Census(Census {
                at_end: true,
                frames: 1,
                free: 2,
                retired: 3,
                heap_used: 4,
                heap: 5,
                tables: 6,
                still_mapped: 7,
            }),
            Note::Mapping {
                frame: 1,
                esr: 2,
                far: 3,
                sound: 4,
            },
            Note::Measure { number: 1, value: 60 },
            Note::Started {
                task: 3,
                program,
                restarts: 2,
            },
            Note::Booted {
                instructions: 123_456,
            },
            Note::Pending {
                number: 1,
                serror: true,
                handled: 2,
            },
            Note::Told {
                task: 4_095,
                address: 0x5000_0000,
                frame: 0x40123,
                touched: None,
                more: 4_000,
            },
            Note::Told {
                task: 5,
                address: 0x5000_0040,
                frame: 0x40123,
                touched: Some(0),
                more: 0,
            },
            Note::Unknown {
                kind: 0xfe,
                words: [7; 13],
            },
        ] {
            let (kind, words) = note.encode();
            assert_eq!(Note::decode(kind, &words), note);
        }
    }

    #[test]
    fn a_tasks_note_is_laid_out_as_documented() {
        let words = [0x1_0005, 0x6461_6f6c, 0, 3, 8, 6, 0, 0x2_0000_0001, 0, 0, 0, 0, 0];
        let Note::Task(task) = Note::decode(0x80, &words) else {
            panic!("kind 0x80 is a task")
        };
        assert_eq!(
            (task.task, task.bystander, task.state),
            (5, true, TaskState::Killed)
        );
        assert_eq!(
            (&task.program[..4], task.restarts, task.charged),
            (&b"load"[..], 1, 2)
        );
    }

    /// Kinds and words typed in from the module's table.
    #[test]
    fn every_note_is_laid_out_as_documented() {
        const NAME: u64 = 0x0064_6165_7268_7470;
        let program = *b"pthread\0idler\0\0\0";
        let task = TaskReport {
            task: 5,
            program,
            state: TaskState::Killed,
            bystander: true,
            progress: 8,
            progress_at_last_abort: 6,
            damage: 9,
            restarts: 1,
            charged: 2,
        };
        let tail = 0x72_656c_6469;
        for (note, kind, words) in [
            (
                Note::Task(task),
                0x80,
                &[0x1_0005, NAME, tail, 3, 8, 6, 9, 0x2_0000_0001][..],
            ),
            (
                Note::Task(TaskReport {
                    bystander: false,
                    state: TaskState::Exited(7),
                    ..task
                }),
                0x80,
                &[5, NAME, tail, 0x7_0000_0002, 8, 6, 9, 0x2_0000_0001],
            ),
            (
                Note::Census(Census {
                    at_end: true,
                    frames: 10,
                    free: 11,
                    retired: 12,
                    heap_used: 13,
                    heap: 14,
                    tables: 15,
                    still_mapped: 16,
                }),
                0x81,
                &[1, 10, 11, 12, 13, 14, 15, 16],
            ),
            (
                Note::Measure {
                    number: 0x101,
                    value: 60,
                },
                0x82,
                &[0x101, 60],
            ),
            (
                Note::Started {
                    task: 3,
                    program,
                    restarts: 2,
                },
                0x83,
                &[3, NAME, tail, 2],
            ),
            (Note::Booted { instructions: 99 }, 0x84, &[99]),
            (
                Note::Pending {
                    number: 4,
                    serror: true,
                    handled: 2,
                },
                0x86,
                &[4, 1, 2],
            ),
            (
                Note::Told {
                    task: 4_095,
                    address: 0x5000_0000,
                    frame: 0x40123,
                    touched: None,
                    more: 7,
                },
                0x87,
                &[0xfff, 0x5000_0000, 0x40123, 0, 7],
            ),
            (
                Note::Told {
                    task: 5,
                    address: 0x5000_0040,
                    frame: 0x40123,
                    touched: Some(0),
                    more: 0,
                },
                0x87,
                &[5, 0x5000_0040, 0x40123, 0x100],
            ),
            (
                Note::Mapping {
                    frame: 0x40123,
                    esr: 0x9600_0006,
                    far: 0xffff_0000_4012_3000,
                    sound: 511,
                },
                0x8b,
                &[0x40123, 0x9600_0006, 0xffff_0000_4012_3000, 511],
            ),
        ] {
            let mut all = [0; 13];
            all[..words.len()].copy_from_slice(words);
            assert_eq!(note.encode(), (kind, all));
            assert_eq!(Note::decode(kind, &all), note);
        }
        for (state, word) in [
            (TaskState::Alive, 1),
            (TaskState::Exited(3), 0x3_0000_0002),
            (TaskState::Killed, 3),
            (TaskState::Isolated, 4),
            (TaskState::Faulted(0x24), 0x24_0000_0005),
        ] {
            assert_eq!(Note::Task(TaskReport { state, ..task }).encode().1[3], word);
        }
        for kind in [0x85, 0x88, 0x8a, 0x8c, 0xff] {
            let words = [1; 13];
            assert_eq!(Note::decode(kind, &words), Note::Unknown { kind, words });
        }
    }
}
