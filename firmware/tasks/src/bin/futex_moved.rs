//! Waits for words whose pages get other frames meanwhile: by a first write after a fork, because the page was had again, and
//! because it was moved. Each time another thread wakes it, by the same address.
#![no_std]
#![no_main]

use core::sync::atomic::{AtomicU64, Ordering};

use seawall_firmware::calls::{FUTEX_WAIT, FUTEX_WAKE, PATROL, SHARE, SLEEP};
use seawall_tasks::{
    CONSTANT, EXITED, LONE, MARK, PAGES, Page, Stack, TARGET, What, call, checkpoint, exit, fork, load,
    store, thread, wait,
};

seawall_tasks::page!(TARGET: Page::zeroed());
seawall_tasks::page!(PAGES: [Page::zeroed(), Page::zeroed()]);
seawall_tasks::page!(LONE: Page::zeroed());
seawall_tasks::page!(CONSTANT: Page::marked(0x40));
seawall_tasks::program!(main);

static STACK: Stack = Stack::new();
/// How often the waker has found somebody to wake.
static WOKEN: AtomicU64 = AtomicU64::new(0);

/// Longer than anything here takes.
const LIMIT: u64 = 2_000_000_000;

/// Does something to the page of a word for which the other thread waits by now, and wakes it.
fn wake(word: u64, first: fn()) {
    call(SLEEP, 5_000_000, 0, 0);
    first();
    for _ in 0..500 {
        if call(FUTEX_WAKE, word, 1, 0) == 1 {
            WOKEN.fetch_add(1, Ordering::Relaxed);
            return;
        }
        call(SLEEP, 1_000_000, 0, 0);
    }
}

extern "C" fn waker(_: u64) -> ! {
    wake(PAGES + 0x40, || store(PAGES + 0x48, 1));
    wake(CONSTANT + 0x40, || {
        checkpoint(1, CONSTANT, What::Page);
        load(CONSTANT + 0x40);
    });
    // The copy ends, and what it shared is this process's own again.
    store(LONE, 1);
    call(SLEEP, 30_000_000, 0, 0);
    wake(TARGET + 0x40, || {
        checkpoint(2, TARGET, What::Page);
        call(PATROL, 0, 0, 0);
    });
    exit(0)
}

fn main(_: u64, _: bool) -> u64 {
    store(PAGES, 1);
    store(TARGET, 1);
    if call(SHARE, LONE, 1, 0) != 0 {
        return 1;
    }
    let copy = fork("sleeper");
    if copy == 0 {
        while load(LONE) == 0 {
            call(SLEEP, 1_000_000, 0, 0);
        }
        exit(0);
    }
    let waker = thread(waker, &STACK, 0);
    let results = [(PAGES, 0), (CONSTANT, MARK), (TARGET, 0)]
        .map(|(page, value)| call(FUTEX_WAIT, page + 0x40, value, LIMIT));
    let is_right = results == [0; 3] && wait(waker) == EXITED && wait(copy) == EXITED;
    u64::from(!is_right || WOKEN.load(Ordering::Relaxed) != 3)
}
