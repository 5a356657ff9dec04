#![expect(unsafe_code, reason = "an allocator hands out raw memory")]
//! The heap. It serves the boot; nothing on the way of an abort allocates.

use core::alloc::{GlobalAlloc, Layout};
use core::ptr::NonNull;

use linked_list_allocator::Heap;
use spin::mutex::SpinMutex;

use super::memory;

struct KernelHeap(SpinMutex<Heap>);

#[global_allocator]
static HEAP: KernelHeap = KernelHeap(SpinMutex::new(Heap::empty()));

// SAFETY: the lock makes each call alone with the heap, which keeps the allocator's contract itself. No exception from
// the kernel is returned from into an allocation, so the lock is never wanted by whom it was taken from.
unsafe impl GlobalAlloc for KernelHeap {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        self.0
            .lock()
            .allocate_first_fit(layout)
            .map_or(core::ptr::null_mut(), NonNull::as_ptr)
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        if let Some(pointer) = NonNull::new(pointer) {
            // SAFETY: the caller got the pointer from `alloc` with this layout.
            unsafe { self.0.lock().deallocate(pointer, layout) }
        }
    }
}

/// Gives the heap its memory. To be called once, before anything allocates.
pub(crate) fn open() {
    let (start, bytes) = memory::heap();
    // SAFETY: the region is the linker's own and used by nothing else.
    unsafe { HEAP.0.lock().init(start, bytes) }
}

/// Bytes in use, and bytes in all.
pub(crate) fn stock() -> (u64, u64) {
    let heap = HEAP.0.lock();
    (heap.used() as u64, heap.size() as u64)
}
