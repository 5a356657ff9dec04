//! Faults of the MMU that the kernel has an answer to: a write to a page that is to be copied first, and a touch of a
//! page whose frame was retired when somebody else met it.
//!
//! When a frame goes that others map as well, each of them is told: its mapping becomes a marker. Nobody meets the
//! poison a second time; whoever touches the marker gets what its rule says, and the journal says why.

use seawall_agent::engine::Kernel as _;
use seawall_agent::engine::{Handler, Rule, Snapshot};
use seawall_agent::{Decision, Esr, FrameNumber, TaskId, VirtualAddress};
use seawall_firmware::frames::Holder;
use seawall_firmware::leaf::Leaf;
use seawall_replay::report::{Note, TaskState};

use super::copies::Refusal;
use super::task::State;
use super::{Guest, Kernel};
use crate::arch::frame::Frame;
use crate::arch::registers;
use crate::arch::space::Space;

/// Of those who are told of one frame, so many are named.
pub(super) const MOST_TOLD: usize = 16;

/// Frames that are tried for one copy of a page, when they turn out to be poisoned themselves.
const MOST_FRAMES: u32 = 4;

/// Last-level codes of the FSC [Arm ARM D24.2.45].
const TRANSLATION: u64 = 0b00_0111;
const PERMISSION: u64 = 0b00_1111;

/// Somebody who is told that a page of its own is lost.
#[derive(Clone, Copy, Debug)]
pub(super) struct Telling {
    slot: u16,
    address: VirtualAddress,
    frame: FrameNumber,
}

impl Telling {
    pub(super) const NOTHING: Self = Self {
        slot: 0,
        address: VirtualAddress(0),
        frame: FrameNumber(0),
    };
}

/// What became of a fault.
enum Answer {
    /// The instruction may run again.
    Again,
    /// The page is lost, with this frame.
    Lost(FrameNumber),
    /// The task does not go on.
    Ended,
    /// It is the task's own.
    None,
}

impl Guest {
    /// A synchronous exception from EL0 that is no memory error.
    #[cold]
    #[inline(never)]
    pub(super) fn fault(&mut self, taken: &Snapshot) -> *mut Frame {
        let mut answer = self.resolve(taken);
        if matches!(answer, Answer::None) && self.kernel.is_first_write(taken) {
            answer = Answer::Again;
        }
        // What is lost may be one of the tables that were looked into.
        self.kernel.note_walk(self.kernel.current);
        if self.judge_walks() && !self.kernel.current_runs() {
            answer = Answer::Ended;
        }
        match answer {
            Answer::Again => self.leave(),
            Answer::Ended => self.next(),
            Answer::Lost(frame) => self.touched(VirtualAddress(taken.far), frame),
            Answer::None => {
                let class = u32::from(Esr(taken.esr).class().bits());
                self.kernel.end_current(TaskState::Faulted(class));
                self.next()
            }
        }
    }

    /// The same for a copy of the current task's memory that the MMU did not permit: what the task's own access would get,
    /// a copy for it does. Only that for a lost page nobody ends: the call fails, as where a copy meets the poison itself.
    #[cold]
    #[inline(never)]
    pub(super) fn copy_faulted(&mut self, taken: &Snapshot) -> Refusal {
        if !self.kernel.current_runs() {
            return Refusal::Address;
        }
        match self.resolve(taken) {
            Answer::Again => Refusal::Unwritten,
            // The page that was to be copied first met poison.
            Answer::Lost(_) if taken.esr & 0x3f == PERMISSION => Refusal::Poison,
            Answer::Lost(frame) => self.copied_marker(VirtualAddress(taken.far), frame),
            Answer::Ended => Refusal::Poison,
            Answer::None if self.kernel.is_first_write(taken) => Refusal::Unwritten,
            Answer::None => Refusal::Address,
        }
    }

    /// A copy has come to a page that is lost.
    fn copied_marker(&mut self, address: VirtualAddress, frame: FrameNumber) -> Refusal {
        let slot = self.kernel.current;
        if self.had_again(slot, address) {
            self.note_touched(slot, address, frame, Decision::Heal);
            return Refusal::Healed;
        }
        self.note_lost(slot, address, frame, Decision::FailCopy);
        Refusal::Poison
    }

    fn resolve(&mut self, taken: &Snapshot) -> Answer {
        let Some(abort) = Esr(taken.esr).abort() else {
            return Answer::None;
        };
        let address = VirtualAddress(taken.far);
        let space = self.kernel.slot(self.kernel.current).space;
        let Some((table, leaf)) = space.and_then(|space| space.entry(address)) else {
            return Answer::None;
        };
        let leaf = Leaf(leaf);
        match (taken.esr & 0x3f, leaf.lost(), leaf.copied_on_write()) {
            (TRANSLATION, Some(frame), _) => Answer::Lost(frame),
            (PERMISSION, _, Some(frame)) if abort.wnr() == Some(true) => {
                self.copy_on_write(space, address, (table, leaf), frame)
            }
            _ => Answer::None,
        }
    }

    /// Gives the current task a frame of its own for a page that it shares, and is about to write.
    fn copy_on_write(
        &mut self,
        space: Option<Space>,
        address: VirtualAddress,
        (table, leaf): (FrameNumber, Leaf),
        frame: FrameNumber,
    ) -> Answer {
        let (Some(space), plain) = (space, address.untagged().0) else {
            return Answer::None;
        };
        let home = self.kernel.slot(self.kernel.current).home;
        // A fork that failed leaves pages that nobody else has.
        if self.kernel.frames.holder(frame) == Holder::Task(home) {
            space.replace(table, plain, leaf.own(frame));
            return Answer::Again;
        }
        for _ in 0..MOST_FRAMES {
            let Some(own) = self.kernel.take_frame(home) else {
                return Answer::None;
            };
            let refusal = match self.copy_page(own, plain) {
                Ok(()) => {
                    space.replace(table, plain, leaf.own(own));
                    self.kernel.words_moved(home, frame, own);
                    return Answer::Again;
                }
                Err(refusal) => refusal,
            };
            let is_own_lost = self.kernel.frames.holder(own) == Holder::Retired;
            let list = &mut self.kernel.tasks.slot_mut(home).frames;
            self.kernel.frames.give_back_newest(own, list);
            match refusal {
                Refusal::Address => return Answer::None,
                // Had again meanwhile, if the instruction finds it so.
                Refusal::Healed | Refusal::Unwritten => return Answer::Again,
                Refusal::Poison if !self.kernel.current_runs() => return Answer::Ended,
                // The page itself is sound: another frame will do.
                Refusal::Poison if is_own_lost => {}
                Refusal::Poison => return Answer::Lost(frame),
            }
        }
        Answer::None
    }

    /// A task touches a page that it lost: its handler is asked, or it gets what its rule says.
    fn touched(&mut self, address: VirtualAddress, frame: FrameNumber) -> *mut Frame {
        let slot = self.kernel.current;
        let task = TaskId(slot);
        if self.had_again(slot, address) {
            self.note_touched(slot, address, frame, Decision::Heal);
            return self.leave();
        }
        let handler = self.kernel.handler_of(slot);
        if handler == Handler::Ready {
            self.note_lost(slot, address, frame, Decision::Signal);
            self.kernel.tell_of_marker(task, address);
            return self.leave();
        }
        // Of an error in a handler the agent says the same.
        let rule = match handler {
            Handler::Busy => Rule::Kill,
            Handler::Ready | Handler::Absent => self.kernel.rule(task),
        };
        let decision = match rule {
            Rule::Isolate => {
                self.kernel.isolate(task);
                Decision::Isolate
            }
            Rule::Restart { left } if left > 0 => {
                self.kernel.restart(task);
                Decision::Restart
            }
            Rule::Kill | Rule::Restart { .. } => {
                self.kernel.kill(task);
                Decision::Kill
            }
        };
        self.note_lost(slot, address, frame, decision);
        self.next()
    }

    /// Where a copy failed by what is not known to be of that frame, there is nothing lost to speak of.
    fn note_lost(&mut self, slot: u16, address: VirtualAddress, frame: FrameNumber, decision: Decision) {
        if self.kernel.frames.holder(frame) == Holder::Retired {
            self.note_touched(slot, address, frame, decision);
        }
    }

    /// Has a page again that was told to be lost, and that is as its program's image has it.
    fn had_again(&mut self, slot: u16, address: VirtualAddress) -> bool {
        let healed = self.kernel.map_again(slot, address);
        if self.kernel.healing.is_some() {
            self.source_aborted();
        }
        healed
    }

    fn note_touched(&mut self, task: u16, address: VirtualAddress, frame: FrameNumber, decision: Decision) {
        self.note(&Note::Told {
            task,
            address: address.0,
            frame: frame.0,
            touched: Some(decision as u8),
            more: 0,
        });
    }

    /// Puts on record who was told.
    #[cold]
    #[inline(never)]
    pub(super) fn note_told(&mut self) {
        let count = core::mem::replace(&mut self.kernel.told_count, 0);
        let more = usize::from(count).saturating_sub(MOST_TOLD);
        let told = self.kernel.told;
        for telling in told.iter().take(usize::from(count)) {
            self.note(&Note::Told {
                task: telling.slot,
                address: telling.address.0,
                frame: telling.frame.0,
                touched: None,
                more: more as u64,
            });
        }
    }
}

impl Kernel {
    /// Tells every member of a family that a frame which they map is lost, but for those that have ended. The one
    /// that is charged has met it itself, and is not told of it besides.
    ///
    /// The frame lies at the same address in all of them: where an abort named it, at that address. Where it was reported
    /// otherwise, each member is gone through.
    #[cold]
    #[inline(never)]
    pub(super) fn tell_family(&mut self, frame: FrameNumber, family: u16) {
        let far = VirtualAddress(self.handling.far).untagged();
        // In a copy it is the task whose memory it was, and not who asked for it.
        let met = match (self.handling.esr, self.copying) {
            (0, _) => 0,
            (_, Some(copying)) => self.slot(copying.task.0).home,
            (_, None) => self.slot(self.current).home,
        };
        let (mut slot, members) = {
            let family = self.families.slot(family);
            (family.first, family.members)
        };
        for _ in 0..members {
            let task = self.tasks.slot(slot);
            let (member, next) = (slot, task.next_member);
            slot = next;
            let Some(space) = task.space.filter(|_| !matches!(task.state, State::Ended(_))) else {
                continue;
            };
            // Of its page is decided by whoever met it.
            if member == met {
                continue;
            }
            let lost = space.lose_wherever(far, frame);
            self.note_walk(member);
            if let Some(address) = lost {
                let telling = Telling {
                    slot: member,
                    address,
                    frame,
                };
                if let Some(place) = self.told.get_mut(usize::from(self.told_count)) {
                    *place = telling;
                }
                self.told_count = self.told_count.saturating_add(1);
            }
        }
        registers::forget_all();
    }
}
