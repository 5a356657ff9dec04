//! The calls programs make; [`seawall_firmware::calls`] says what each is.

use seawall_agent::{FrameNumber, VirtualAddress};
use seawall_firmware::bundle;
use seawall_firmware::calls::{self, FAILED, MEMORY_ERROR, What};
use seawall_firmware::elf::Access;
use seawall_replay::IntermediateAddress;
use seawall_replay::port::{Announcement, Window};
use seawall_replay::report::{Note, TaskState};

use super::task::{State, Task};
use super::trial::Stop;
use super::{Guest, Kernel};
use crate::arch::frame::Frame;
use crate::arch::port::Port;
use crate::arch::{memory, registers, timer};
use crate::kernel::console;

/// Longest piece of text taken at once.
const PIECE: usize = 128;

impl Guest {
    /// A checkpoint that is to be announced before the border is synchronised, is; every other call is left alone.
    pub(crate) fn before_border(&mut self) {
        let [number, address, what, ..] = self.kernel.arguments();
        if self.kernel.call_number() != calls::CHECKPOINT {
            return;
        }
        if what == What::Border as u64 || what == What::Deferred as u64 {
            self.kernel.announce(Window::Border, number, address);
        }
        if what == What::Deferred as u64 {
            registers::defer_errors();
            self.kernel
                .announce(Window::Border, number.wrapping_add(1), address);
        }
    }

    /// Carries out the current task's call.
    pub(crate) fn call(&mut self) -> *mut Frame {
        self.book();
        let [a, b, c, d] = self.kernel.arguments();
        let kernel = &mut self.kernel;
        let mut result = match kernel.call_number() {
            calls::EXIT => {
                kernel.end_current(TaskState::Exited((a & 0xffff_ffff) as u32));
                return self.next();
            }
            calls::YIELD => {
                kernel.set_result(0);
                return self.next();
            }
            calls::SLEEP => {
                kernel.sleep(a);
                return self.next();
            }
            calls::TIME => nanoseconds(timer::ticks()),
            calls::WRITE => self.write(a, b),
            calls::CHECKPOINT => self.checkpoint(a, b, c),
            calls::BACKGROUND => kernel.background(a == 1),
            calls::PROGRESS => return self.progress(a, b),
            calls::MEASURE => {
                self.note(&Note::Measure { number: a, value: b });
                0
            }
            calls::SPAWN => self.spawn(a, b),
            calls::WAIT => return self.wait(a),
            calls::PATROL => self.patrol(),
            calls::REBOOT => self.reboot(),
            calls::READ => self.read(a, b),
            calls::PEEK => self.peek(a, b, c, d),
            calls::FUTEX_WAIT => return self.futex_wait(a, b, c),
            calls::FUTEX_WAKE => self.futex_wake(a, b),
            calls::THREAD => self.thread(a, b, c),
            calls::FORK => self.fork(a, b),
            calls::SHARE => kernel.share(a, b),
            calls::INSPECT => self.inspect(a, b).unwrap_or(FAILED),
            calls::LEFT => kernel.port.map_or(0, Port::left),
            calls::HANDLE => kernel.handle(a, b),
            calls::RETURN => return self.back_from_handler(),
            calls::REPLACE => kernel.replace(a),
            _ => FAILED,
        };
        if self.kernel.healing.is_some() {
            self.source_aborted();
        }
        self.judge_unfit();
        self.kernel.note_walk(self.kernel.current);
        if self.judge_walks() {
            result = MEMORY_ERROR;
        }
        self.kernel.set_result(result);
        // A call may have cost the caller its life: a copy that met poison.
        if self.kernel.current_runs() {
            self.leave()
        } else {
            self.next()
        }
    }

    fn write(&mut self, from: u64, bytes: u64) -> u64 {
        let mut piece = [0; PIECE];
        let length = usize::try_from(bytes).unwrap_or(usize::MAX).min(PIECE);
        let Some(text) = piece.get_mut(..length) else {
            return FAILED;
        };
        if let Err(refusal) = self.copy_in(text, from) {
            return refusal.result();
        }
        console::program(text);
        length as u64
    }

    fn checkpoint(&mut self, number: u64, address: u64, what: u64) -> u64 {
        let kernel = &mut self.kernel;
        match What::from_argument(what) {
            Some(What::Page) => kernel.announce(Window::Checkpoint, number, address),
            Some(What::Table) => kernel.announce_table(number, address, 3),
            Some(What::Table2) => kernel.announce_table(number, address, 2),
            Some(What::Table1) => kernel.announce_table(number, address, 1),
            Some(What::Masked) => self.masked(number, address),
            Some(What::Beyond) => kernel.announce_beyond(number, address, Access::Write),
            Some(What::BeyondText) => kernel.announce_beyond(number, address, Access::Execute),
            Some(What::Source) => kernel.announce_frame(number, kernel.source_frame(kernel.current, address)),
            Some(What::Border | What::Deferred) => u64::from(kernel.port.is_some()),
            Some(What::Copy) => kernel.stop_at(Stop::Copy(number)),
            Some(What::Interrupt) => kernel.stop_at(Stop::Interrupt(number)),
            Some(What::Handler) => kernel.stop_at(Stop::Handler(number)),
            Some(What::Region) => self.region(number, address),
            Some(What::Kernel) => {
                let Some(page) = kernel.own_page else {
                    return FAILED;
                };
                let announced = kernel.announce_page(Window::Kernel, number, page.address().0);
                memory::touch(page);
                announced
            }
            Some(What::Free) => kernel.announce_frame(number, kernel.frames.highest_free()),
            Some(What::Next) => {
                let next = kernel.next_frame(address);
                kernel.announce_frame(number, next)
            }
            Some(What::Own) => kernel.announce_frame(number, kernel.own_page),
            Some(What::Retired) => self.read_retired(),
            None => FAILED,
        }
    }

    /// Progress, and the end of the turn: whoever counts lets others run. Here the guest's end is noticed soonest.
    fn progress(&mut self, count: u64, damage: u64) -> *mut Frame {
        let aborts = self.kernel.aborts;
        if let Some(task) = self.kernel.current_task() {
            if task.seen_abort != aborts {
                task.progress_at_abort = task.progress;
                task.seen_abort = aborts;
            }
            task.progress = count;
            task.damage = damage;
        }
        self.kernel.set_result(0);
        if self.kernel.is_over() {
            self.finish();
        }
        self.next()
    }

    fn spawn(&mut self, name: u64, length: u64) -> u64 {
        let name = match self.name(name, length) {
            Ok(name) => name,
            Err(refusal) => return refusal.result(),
        };
        let parent = self.kernel.current;
        let Some(program) = self.kernel.bundle.find(bundle::text(&name).as_bytes()) else {
            return FAILED;
        };
        match self.kernel.spawn(program, None, parent) {
            Ok(slot) => {
                self.note_start(slot);
                u64::from(slot)
            }
            Err(_) => FAILED,
        }
    }

    fn wait(&mut self, slot: u64) -> *mut Frame {
        let current = self.kernel.current;
        let child = u16::try_from(slot).ok().filter(|slot| {
            self.kernel
                .task(*slot)
                .is_some_and(|task| task.parent == current && *slot != current)
        });
        let Some(child) = child else {
            self.kernel.set_result(FAILED);
            return self.leave();
        };
        if !self.kernel.collect(child, current) {
            self.kernel.ready.remove(current);
            self.kernel.slot_mut(current).state = State::Waiting(child);
            self.kernel.slot_mut(child).waited_for = true;
        }
        self.next()
    }
}

pub(super) fn nanoseconds(ticks: u64) -> u64 {
    let wide = u128::from(ticks) * 1_000_000_000 / u128::from(timer::frequency());
    u64::try_from(wide).unwrap_or(u64::MAX)
}

pub(super) fn ticks(nanoseconds: u64) -> u64 {
    let wide = u128::from(nanoseconds) * u128::from(timer::frequency()) / 1_000_000_000;
    u64::try_from(wide).unwrap_or(u64::MAX)
}

impl Kernel {
    pub(super) fn current_task(&mut self) -> Option<&mut Task> {
        self.task_mut(self.current)
    }

    pub(super) fn current_frame(&mut self) -> *mut Frame {
        let current = self.current;
        core::ptr::from_mut(self.slot_mut(current).active_mut())
    }

    pub(super) fn current_runs(&self) -> bool {
        self.ready.contains(self.current)
    }

    fn call_number(&self) -> u64 {
        self.task(self.current).map_or(0, |task| task.active().x[8])
    }

    fn arguments(&self) -> [u64; 4] {
        self.task(self.current).map_or([0; 4], |task| {
            let [a, b, c, d, ..] = task.active().x;
            [a, b, c, d]
        })
    }

    pub(super) fn set_result(&mut self, result: u64) {
        if let Some(task) = self.current_task() {
            task.active_mut().x[0] = result;
        }
    }

    /// The current task never runs again, by its own doing.
    pub(super) fn end_current(&mut self, state: TaskState) {
        let slot = self.current;
        // A thread's own exit is nobody else's; whatever else ends one ends all.
        if matches!(state, TaskState::Exited(_)) && self.slot(slot).home != slot {
            return self.end_alone(slot, state);
        }
        if self.end_task_seldom(slot, state, 0) {
            self.dead.insert(slot);
        }
    }

    fn sleep(&mut self, nanoseconds: u64) {
        self.set_result(0);
        let until = timer::ticks().saturating_add(ticks(nanoseconds));
        let slot = self.current;
        if let Some(task) = self.current_task() {
            task.state = State::Sleeping(until);
            self.ready.remove(slot);
            self.sleeping.insert(slot);
            self.next_wake = self.next_wake.min(until);
            self.futex_waiters.remove(slot);
        }
    }

    fn background(&mut self, counts: bool) -> u64 {
        if let Some(task) = self.current_task().filter(|task| !task.background) {
            task.background = true;
            task.counts = counts;
            self.awaited = self.awaited.saturating_sub(1);
            if counts {
                self.counting_tasks.insert(self.current);
            }
        }
        0
    }

    /// Gives an ended child's slot back and its state to the parent; false while it lives.
    pub(super) fn collect(&mut self, child: u16, parent: u16) -> bool {
        let Some(State::Ended(state)) = self.task(child).map(|task| task.state) else {
            return false;
        };
        if self.again.contains(child) {
            return false;
        }
        self.give_back_dead();
        let number = match state {
            TaskState::Alive => 1,
            TaskState::Exited(_) => 2,
            TaskState::Killed => 3,
            TaskState::Isolated => return self.answer(parent, 4),
            TaskState::Faulted(_) => 5,
            TaskState::Unknown(other) => u64::from(other),
        };
        self.empty(child);
        self.answer(parent, number)
    }

    fn answer(&mut self, slot: u16, result: u64) -> bool {
        if let Some(task) = self.task_mut(slot) {
            task.active_mut().x[0] = result;
        }
        true
    }

    pub(super) fn announce(&mut self, window: Window, number: u64, address: u64) -> u64 {
        let frame = self
            .task(self.current)
            .and_then(|task| task.space)
            .and_then(|s| s.frame_at(VirtualAddress(address)));
        let page = frame.map_or(0, |frame| frame.address().0);
        // What the checkpoint names may not be met through a translation that is still cached.
        registers::forget_all();
        self.announce_page(window, number, page)
    }

    fn announce_table(&mut self, number: u64, address: u64, level: i8) -> u64 {
        let space = self.task(self.current).and_then(|task| task.space);
        let Some(table) = space.and_then(|s| s.table_at(VirtualAddress(address), level)) else {
            return FAILED;
        };
        registers::forget_all();
        self.announce_page(Window::Checkpoint, number, table.address().0)
    }

    /// A frame of whomever's.
    fn announce_frame(&mut self, number: u64, frame: Option<FrameNumber>) -> u64 {
        match frame {
            Some(frame) => self.announce_page(Window::Checkpoint, number, frame.address().0),
            None => FAILED,
        }
    }

    pub(super) fn announce_page(&mut self, window: Window, number: u64, page: u64) -> u64 {
        self.announce_for(self.current, window, number, page)
    }

    pub(super) fn announce_for(&mut self, slot: u16, window: Window, number: u64, page: u64) -> u64 {
        let Some(port) = self.port else { return 0 };
        let number = (number & 0xfff) as u16;
        port.announce(
            window,
            Announcement {
                task: slot,
                number,
                page: IntermediateAddress(page),
            },
        );
        1
    }
}
