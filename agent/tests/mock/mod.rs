//! A kernel that notes what is asked of it and what it is told to do.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use seawall_agent::{FrameNumber, FrameOwner, Kernel, Rule, Running, TaskId, VirtualAddress};

/// A kernel of tables, and what it was told to do, in order.
#[derive(Debug)]
pub(crate) struct Mock {
    pub(crate) running: Running,
    pub(crate) copies: BTreeMap<u64, TaskId>,
    pub(crate) pages: BTreeMap<(TaskId, u64), FrameNumber>,
    pub(crate) tables: BTreeMap<(TaskId, i8), FrameNumber>,
    pub(crate) owners: BTreeMap<FrameNumber, FrameOwner>,
    pub(crate) rule: Rule,
    pub(crate) now: u64,
    pub(crate) asked: RefCell<BTreeSet<&'static str>>,
    pub(crate) done: Vec<String>,
}

impl Mock {
    pub(crate) fn new(running: Running) -> Self {
        Self {
            running,
            copies: BTreeMap::new(),
            pages: BTreeMap::new(),
            tables: BTreeMap::new(),
            owners: BTreeMap::new(),
            rule: Rule::Kill,
            now: 0,
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
}
