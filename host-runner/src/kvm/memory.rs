//! The guest's memory: mapped once, given to KVM in slots.
#![expect(unsafe_code, reason = "KVM is told addresses of this process's memory")]

use std::io::Cursor;
use std::ops::Range;

use kvm_bindings::kvm_userspace_memory_region;
use kvm_ioctls::VmFd;
use linux_loader::loader::{KernelLoader, pe::PE};
use seawall_replay::plan::Poison;
use vm_memory::{Bytes, GuestAddress, GuestMemoryBackend, GuestMemoryMmap};

use super::own::OwnMemory;
use super::poison::{self, Offline, Userfault};
use super::slots::{Change, Layout, NoSlotLeft, PAGE, Slot};
use super::table::Table;
use super::uapi::KVM_MEM_READONLY;
use crate::saved::{self, PoisonedBy};

/// Where memory begins.
pub(super) const BASE: u64 = 0x8000_0000;
const PAGE_BYTES: usize = 0x1000;
const _: () = assert!(PAGE_BYTES as u64 == PAGE);
/// How far from there the Image is put; the device tree has what is before it.
pub(super) const IMAGE_OFFSET: u64 = 2 << 20;

/// Memory that a VM has.
#[derive(Debug)]
pub(super) struct Memory {
    // The VM goes first: it must not outlive what its slots point to.
    vm: VmFd,
    mapping: GuestMemoryMmap,
    layout: Layout,
    // Pages whose host memory must not be touched any more.
    pub(super) poisoned: Table<PoisonedBy>,
    userfault: Option<Userfault>,
    offline: Option<Offline>,
    // Holes whose accesses are told as BUS_OBJERR; whether the signal says where.
    told_by_signal: Table<bool>,
    own: Option<OwnMemory>,
}

/// Makes the holes and read-only pages that were saved.
fn lay_out(layout: &mut Layout, saved: &saved::Layout) -> Result<(), NoSlotLeft> {
    for page in &saved.read_only {
        layout.protect(*page)?;
    }
    let poisoned = saved.poisoned.iter().map(|(page, _)| page);
    for page in saved.holes.iter().chain(poisoned) {
        layout.open(*page)?;
    }
    Ok(())
}

impl Memory {
    /// Maps memory and gives it to the VM, laid out as it was saved if it was. The books have room for so many `pages` that
    /// something is done to.
    ///
    /// # Errors
    /// What went wrong, for people.
    pub(super) fn new(
        vm: VmFd,
        bytes: u64,
        slots: u32,
        pages: usize,
        saved: Option<&saved::Layout>,
    ) -> Result<Self, String> {
        let length = usize::try_from(bytes).map_err(|_| format!("{bytes} bytes of memory are too many"))?;
        if bytes == 0 || !bytes.is_multiple_of(IMAGE_OFFSET) {
            return Err(format!("{bytes} bytes of memory are no multiple of 2 MiB"));
        }
        let end = BASE
            .checked_add(bytes)
            .ok_or_else(|| format!("{bytes} bytes of memory are too many"))?;
        let mapping = GuestMemoryMmap::from_ranges(&[(GuestAddress(BASE), length)])
            .map_err(|error| format!("{bytes} bytes of memory cannot be mapped: {error}"))?;
        let mut layout = Layout::new(BASE..end, slots).map_err(|error| error.to_string())?;
        let mut poisoned = Table::with_room(pages, PoisonedBy::Host);
        if let Some(saved) = saved {
            // KVM is told of the outcome alone. The poison stayed behind on the other host; that its pages are out of
            // use did not.
            for (page, by) in &saved.poisoned {
                poisoned.insert(*page, *by);
            }
            lay_out(&mut layout, saved).map_err(|error| error.to_string())?;
        }
        layout.make_room(pages);
        let memory = Self {
            vm,
            mapping,
            layout,
            poisoned,
            userfault: None,
            offline: None,
            told_by_signal: Table::with_room(pages, true),
            // Without it nothing can be saved, and all else works.
            own: OwnMemory::open().ok(),
        };
        for slot in memory.layout.slots() {
            memory.tell(slot, slot.range.end - slot.range.start)?;
        }
        Ok(memory)
    }

    /// Its IPAs.
    pub(super) fn range(&self) -> Range<u64> {
        self.layout.memory()
    }

    /// Makes a hole of a page. The vCPU stands still meanwhile.
    ///
    /// # Errors
    /// What went wrong, for people; the guest cannot go on then.
    pub(super) fn open(&mut self, page: u64) -> Result<(), String> {
        let changes = self.layout.open(page);
        self.change(changes)
    }

    /// Makes a page read-only. The vCPU stands still meanwhile.
    ///
    /// # Errors
    /// What went wrong, for people; the guest cannot go on then.
    pub(super) fn protect(&mut self, page: u64) -> Result<(), String> {
        let changes = self.layout.protect(page);
        self.change(changes)
    }

    /// Gives a page back that is a hole or read-only; false when it is neither, or poisoned. The vCPU stands still meanwhile.
    ///
    /// # Errors
    /// What went wrong, for people; the guest cannot go on then.
    pub(super) fn mend(&mut self, page: u64) -> Result<bool, String> {
        if self.poisoned.get(page).is_some() {
            return Ok(false);
        }
        let changes = self.layout.close(page);
        let is_changed = changes.as_ref().is_ok_and(|changes| !changes.is_empty());
        self.change(changes).map(|()| is_changed)
    }

    /// Makes a hole for good of a page whose host memory is poisoned; false when no slot is left for it, or it is a hole
    /// already. The vCPU stands still meanwhile.
    ///
    /// # Errors
    /// What went wrong, for people; the guest cannot go on then.
    pub(super) fn keep_out(&mut self, page: u64) -> Result<bool, String> {
        // Its memory may be poisoned by others than this runner too. What is a hole is mended no more.
        self.poisoned.insert_new(page, PoisonedBy::Host);
        match self.layout.open(page) {
            Ok(changes) if !changes.is_empty() => self.change(Ok(changes)).map(|()| true),
            Ok(_) | Err(NoSlotLeft(_)) => Ok(false),
        }
    }

    fn change(&self, changes: Result<Vec<Change>, NoSlotLeft>) -> Result<(), String> {
        for change in changes.map_err(|error| error.to_string())? {
            match change {
                Change::Remove(slot) => self.tell(&slot, 0)?,
                Change::Add(slot) => self.tell(&slot, slot.range.end - slot.range.start)?,
            }
        }
        Ok(())
    }

    /// Opens what this needs: the sandbox does not let it be opened once the guest runs.
    ///
    /// # Errors
    /// What went wrong, for people.
    pub(super) fn prepare(&mut self, by: Poison) -> Result<(), String> {
        match by {
            Poison::Userfault if self.userfault.is_none() => {
                let userfault = Userfault::open().map_err(|error| format!("userfaultfd: {error}"))?;
                self.userfault = Some(userfault);
            }
            Poison::AnnouncedMemoryFailure if self.offline.is_none() => {
                let offline = Offline::open().map_err(|error| format!("taking memory offline: {error}"))?;
                self.offline = Some(offline);
            }
            _ => {}
        }
        Ok(())
    }

    /// Poisons the host memory behind a page. The vCPU stands still meanwhile, and it is its thread that asks.
    ///
    /// # Errors
    /// What went wrong, for people; the guest cannot go on then.
    pub(super) fn poison(&mut self, page: u64, by: Poison) -> Result<(), String> {
        if !self.range().contains(&page) || !page.is_multiple_of(PAGE) {
            return Err(format!("{page:#x} is no page of memory"));
        }
        let kind = match by {
            Poison::Userfault => PoisonedBy::Userfault,
            Poison::MemoryFailure | Poison::AnnouncedMemoryFailure => PoisonedBy::MemoryFailure,
            Poison::ObjectError { addressed } => {
                self.told_by_signal.insert(page, addressed);
                return self.open(page);
            }
        };
        if self.poisoned.insert(page, kind).is_some() {
            return Ok(());
        }
        let host = self
            .mapping
            .get_host_address(GuestAddress(page))
            .map_err(|error| format!("{page:#x} lies outside of memory: {error}"))?;
        match by {
            Poison::MemoryFailure => {
                // SAFETY: the page lies in `mapping`, which this struct owns; it is in `poisoned` from now on, and nothing
                // of this process reads what is there.
                unsafe { poison::by_memory_failure(host) }.map_err(|error| format!("MADV_HWPOISON: {error}"))
            }
            Poison::AnnouncedMemoryFailure => {
                let offline = self.offline.as_ref().ok_or("nothing was opened for it before")?;
                // SAFETY: as above.
                unsafe { offline.poison(host) }.map_err(|error| format!("hard_offline_page: {error}"))
            }
            // It is a hole.
            Poison::ObjectError { .. } => Ok(()),
            Poison::Userfault => {
                let userfault = self
                    .userfault
                    .as_ref()
                    .ok_or("no userfaultfd was opened before")?;
                // SAFETY: as above.
                unsafe { userfault.poison(host) }.map_err(|error| format!("UFFDIO_POISON: {error}"))
            }
        }
    }

    /// The address in this process by which the host tells of an access to this page, where it tells by a signal; zero where
    /// the signal does not say.
    pub(super) fn told_by_signal(&self, ipa: u64) -> Option<usize> {
        let page = ipa & !(PAGE - 1);
        let addressed = *self.told_by_signal.get(page)?;
        let host = self.mapping.get_host_address(GuestAddress(page)).ok()?;
        Some(if addressed { host.addr() } else { 0 })
    }

    /// Has the host keep all of this memory in pages of 4 KiB. Otherwise its kernel puts pages together when it likes, and
    /// walks stage 2 for that.
    ///
    /// # Errors
    /// What went wrong, for people.
    pub(super) fn keep_small(&self) -> Result<(), String> {
        let Range { start, end } = self.host_range()?;
        let host = self.host_address(BASE)?;
        // SAFETY: `mapping` begins at `host`, is as long as this, and this struct owns it.
        unsafe { poison::keep_small(host, end - start) }.map_err(|error| format!("MADV_NOHUGEPAGE: {error}"))
    }

    /// Takes the host memory behind a page away: what was in it is gone, and stage 2 no longer leads there. The next touch
    /// brings another page. The vCPU stands still meanwhile.
    ///
    /// # Errors
    /// What went wrong, for people; the guest cannot go on then.
    pub(super) fn discard(&mut self, page: u64) -> Result<(), String> {
        if !self.range().contains(&page) || !page.is_multiple_of(PAGE) {
            return Err(format!("{page:#x} is no page of memory"));
        }
        let host = self.host_address(page)?;
        // SAFETY: the page lies in `mapping`, a private anonymous one that this struct owns; what the guest had there is
        // what the caller gives up, and this process keeps nothing of it.
        unsafe { poison::discard(host) }.map_err(|error| format!("MADV_DONTNEED: {error}"))
    }

    /// Where an IPA lies in this process.
    ///
    /// # Errors
    /// What went wrong, for people.
    pub(super) fn host_address(&self, ipa: u64) -> Result<*mut u8, String> {
        self.mapping
            .get_host_address(GuestAddress(ipa))
            .map_err(|error| format!("{ipa:#x} lies outside of memory: {error}"))
    }

    /// Where memory lies in this process.
    ///
    /// # Errors
    /// What went wrong, for people.
    pub(super) fn host_range(&self) -> Result<Range<usize>, String> {
        let bytes = usize::try_from(self.range().end - BASE).map_err(|error| error.to_string())?;
        let start = self
            .mapping
            .get_host_address(GuestAddress(BASE))
            .map_err(|error| error.to_string())?
            .addr();
        Ok(start..start + bytes)
    }

    /// Tells KVM of a slot; zero bytes remove it.
    fn tell(&self, slot: &Slot, bytes: u64) -> Result<(), String> {
        let host = self
            .mapping
            .get_host_address(GuestAddress(slot.range.start))
            .map_err(|error| format!("slot {} lies outside of memory: {error}", slot.id))?;
        let region = kvm_userspace_memory_region {
            slot: slot.id,
            flags: if slot.read_only { KVM_MEM_READONLY } else { 0 },
            guest_phys_addr: slot.range.start,
            memory_size: bytes,
            userspace_addr: host.expose_provenance() as u64,
        };
        // SAFETY: the layout gives only ranges inside of the mapping, and never two that overlap at a time (its tests hold
        // it to that); `mapping` is dropped after `vm` and after the vCPU, which holds the machine, so KVM never has a slot
        // over memory that is gone. This process only reads it through vm-memory's volatile accesses.
        unsafe { self.vm.set_user_memory_region(region) }
            .map_err(|error| format!("memory slot {} at {:#x}: {error}", slot.id, slot.range.start))
    }

    /// The host says that these `1 << shift` bytes are poisoned: nothing of this process reads them any more.
    pub(super) fn lose(&mut self, start: u64, shift: u8) {
        let range = self.range();
        let end = start.saturating_add(1_u64.checked_shl(shift.into()).unwrap_or(u64::MAX));
        for page in ((start & !(PAGE - 1)).max(range.start)..end.min(range.end)).step_by(PAGE_BYTES) {
            self.poisoned.insert_new(page, PoisonedBy::Host);
        }
    }

    /// The slots as they stand.
    pub(super) const fn layout(&self) -> &Layout {
        &self.layout
    }

    /// Copies these pages, which are all inside; false where one is poisoned, known or not.
    ///
    /// # Errors
    /// When this process cannot read its own memory in a way that lives through poison.
    pub(super) fn read_pages(&self, start: u64, to: &mut [u8]) -> Result<bool, String> {
        let own = self.own.as_ref().ok_or("/proc/self/mem cannot be opened")?;
        let host = self.host_range()?.start as u64;
        let length = to.len() as u64;
        if self
            .poisoned
            .range(start..start.saturating_add(length))
            .next()
            .is_some()
        {
            return Ok(false);
        }
        Ok(own.read(host + (start - self.range().start), to).is_ok())
    }

    /// Writes a page of a VM that has not run yet.
    pub(super) fn write_page(&self, page: u64, from: &[u8; PAGE_BYTES]) -> Result<(), String> {
        self.mapping
            .write_slice(from, GuestAddress(page))
            .map_err(|error| format!("page {page:#x} is not written: {error}"))
    }

    /// Puts an Image where it goes; gives the address of its first byte.
    ///
    /// # Errors
    /// What is wrong with the Image, for people.
    pub(super) fn load_image(&self, image: &[u8]) -> Result<u64, String> {
        // Bytes 16-23 of the header: how much memory the Image needs, its zeroed part counted.
        let needs = image
            .get(16..24)
            .and_then(|field| field.try_into().ok())
            .map_or(0, u64::from_le_bytes);
        let needs = needs.max(image.len() as u64);
        let room = self.range().end - BASE - IMAGE_OFFSET;
        if needs > room {
            return Err(format!(
                "the Image needs {needs} bytes, and memory has {room} for it"
            ));
        }
        let at = Some(GuestAddress(BASE + IMAGE_OFFSET));
        let loaded = PE::load(&self.mapping, at, &mut Cursor::new(image), None)
            .map_err(|error| format!("the Image is not loaded: {error}"))?;
        Ok(loaded.kernel_load.0)
    }

    /// Puts the device tree where it goes; gives its address.
    ///
    /// # Errors
    /// What is wrong with it, for people.
    pub(super) fn load_tree(&self, tree: &[u8]) -> Result<u64, String> {
        if tree.len() as u64 > IMAGE_OFFSET {
            return Err(format!(
                "the device tree has {} bytes, at most {IMAGE_OFFSET} fit",
                tree.len()
            ));
        }
        self.mapping
            .write_slice(tree, GuestAddress(BASE))
            .map_err(|error| format!("the device tree is not written: {error}"))?;
        Ok(BASE)
    }

    /// Whether nothing of this range, which is inside, is poisoned.
    pub(super) fn is_sound(&self, range: &Range<u64>) -> bool {
        let first = range.start & !(PAGE - 1);
        self.poisoned.range(first..range.end).next().is_none()
    }

    /// A copy of a part of memory; `None` when it is not all inside, or partly poisoned: to read that would end the runner.
    pub(super) fn copy(&self, range: &Range<u64>) -> Option<Vec<u8>> {
        let length = usize::try_from(range.end.checked_sub(range.start)?).ok()?;
        let inside = range.start >= self.range().start && range.end <= self.range().end;
        let first = range.start & !(PAGE - 1);
        if first < range.end && self.poisoned.range(first..range.end).next().is_some() {
            return None;
        }
        let mut bytes = inside.then(|| vec![0; length])?;
        self.mapping
            .read_slice(&mut bytes, GuestAddress(range.start))
            .ok()?;
        Some(bytes)
    }
}

/// Where an Image of these bytes lies.
pub(super) fn image(bytes: &[u8]) -> Range<u64> {
    let start = BASE + IMAGE_OFFSET;
    start..start + bytes.len() as u64
}
