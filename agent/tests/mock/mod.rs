//! A kernel that notes what is asked of it and what it is told to do.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use seawall_agent::engine::Patrolled;
use seawall_agent::{
    FrameNumber, FrameOwner, Handler, Kernel, Notice, Rule, Running, TaskId, VirtualAddress,
};

/// A kernel of tables, and what it was told to do, in order.
#[derive(Debug)]
pub(crate) struct Mock {
    pub(crate) running: Running,
    pub(crate) copies: BTreeMap<u64, TaskId>,
    pub(crate) copied: Option<TaskId>,
    pub(crate) fills: BTreeMap<u64, FrameNumber>,
    pub(crate) pages: BTreeMap<(TaskId, u64), FrameNumber>,
    pub(crate) tables: BTreeMap<(TaskId, i8), FrameNumber>,
    pub(crate) owners: BTreeMap<FrameNumber, FrameOwner>,
    pub(crate) rule: Rule,
    pub(crate) clean: BTreeSet<(TaskId, u64)>,
    /// Whether what can be had again is had.
    pub(crate) heals: bool,
    pub(crate) handler: Handler,
    pub(crate) runs_left: u32,
    pub(crate) shared: BTreeSet<(TaskId, FrameNumber)>,
    pub(crate) now: u64,
    /// Whether a page that fails can be moved.
    pub(crate) moves: bool,
    pub(crate) asked: RefCell<BTreeSet<&'static str>>,
    pub(crate) done: Vec<String>,
}

impl Mock {
    pub(crate) fn new(running: Running) -> Self {
        Self {
            running,
            copies: BTreeMap::new(),
            copied: None,
            fills: BTreeMap::new(),
            pages: BTreeMap::new(),
            tables: BTreeMap::new(),
            owners: BTreeMap::new(),
            rule: Rule::Kill,
            clean: BTreeSet::new(),
            heals: true,
            handler: Handler::Absent,
            runs_left: 0,
            shared: BTreeSet::new(),
            now: 0,
            moves: true,
            asked: RefCell::default(),
            done: Vec::new(),
        }
    }
}

impl Kernel for Mock {
    fn running(&self) -> Running {
        self.running
    }

    fn copying_for(&self, elr: VirtualAddress) -> Option<TaskId> {
        self.asked.borrow_mut().insert("copying_for");
        self.copies.get(&elr.0).copied()
    }

    fn copied(&self) -> Option<TaskId> {
        self.copied
    }

    fn filling(&self, elr: VirtualAddress) -> Option<FrameNumber> {
        self.fills.get(&elr.0).copied()
    }

    fn frame_at(&self, task: TaskId, address: VirtualAddress) -> Option<FrameNumber> {
        self.asked.borrow_mut().insert("frame_at");
        self.pages.get(&(task, address.0 >> 12)).copied()
    }

    fn table_at(&self, task: TaskId, _: VirtualAddress, level: i8) -> Option<FrameNumber> {
        self.asked.borrow_mut().insert("table_at");
        self.tables.get(&(task, level)).copied()
    }

    fn owner(&self, frame: FrameNumber) -> FrameOwner {
        self.owners.get(&frame).copied().unwrap_or(FrameOwner::NotRam)
    }

    fn rule(&self, _: TaskId) -> Rule {
        self.rule
    }

    fn heals(&self, task: TaskId, address: VirtualAddress, frame: FrameNumber) -> bool {
        assert_eq!(
            self.frame_at(task, address),
            Some(frame),
            "asked of a page of its own"
        );
        self.clean.contains(&(task, address.0 >> 12))
    }

    fn handler(&self, _: TaskId) -> Handler {
        self.handler
    }

    fn runs_again(&self, _: TaskId, _: VirtualAddress) -> bool {
        self.runs_left > 0
    }

    fn shares(&self, task: TaskId, frame: FrameNumber) -> bool {
        self.shared.contains(&(task, frame))
    }

    fn now(&self) -> u64 {
        self.now
    }

    fn retire(&mut self, frame: FrameNumber) {
        self.done.push(format!("retire {frame:x}"));
    }

    fn kill(&mut self, task: TaskId) {
        self.done.push(format!("kill {}", task.0));
    }

    fn isolate(&mut self, task: TaskId) {
        self.done.push(format!("isolate {}", task.0));
    }

    fn restart(&mut self, task: TaskId) {
        self.done.push(format!("restart {}", task.0));
    }

    fn fail_copy(&mut self, task: TaskId) {
        self.done.push(format!("fail_copy {}", task.0));
    }

    fn heal(&mut self, task: TaskId, address: VirtualAddress, frame: FrameNumber) -> bool {
        self.done
            .push(format!("heal {} {:x} {frame:x}", task.0, address.0));
        self.heals
    }

    fn signal(&mut self, task: TaskId, notice: Notice) {
        let address = notice.address.map(|address| format!("{:x}", address.0));
        self.done.push(format!(
            "signal {} {} {}{}",
            task.0,
            address.as_deref().unwrap_or("nowhere"),
            notice.severity.name(),
            if notice.restartable { " restartable" } else { "" }
        ));
    }

    fn run_again(&mut self, task: TaskId, elr: VirtualAddress) {
        self.runs_left -= 1;
        self.done.push(format!("run again {} {:x}", task.0, elr.0));
    }
}

impl Patrolled for Mock {
    fn mapped_at(&self, frame: FrameNumber) -> Option<(TaskId, VirtualAddress)> {
        let found = self.pages.iter().find(|(_, mapped)| **mapped == frame);
        found.map(|((task, page), _)| (*task, VirtualAddress(page << 12)))
    }

    fn migrate(&mut self, task: TaskId, address: VirtualAddress, frame: FrameNumber) -> bool {
        self.done
            .push(format!("migrate {} {:x} {frame:x}", task.0, address.0));
        self.moves
    }

    fn withdraw(&mut self, task: TaskId, address: VirtualAddress, frame: FrameNumber) {
        self.done
            .push(format!("withdraw {} {:x} {frame:x}", task.0, address.0));
    }

    fn condemn(&mut self, frame: FrameNumber) {
        self.done.push(format!("condemn {frame:x}"));
    }
}
