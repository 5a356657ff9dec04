//! Signals as the kernel would send them, sent by this thread to itself.
#![expect(unsafe_code, reason = "signals are sent, and processes forked, by hand")]

use super::*;

const MEMORY: Range<usize> = 0x7000_0000_0000..0x7000_0400_0000;

fn send(code: i32, address: usize, shift: i16) {
    super::send(code, address, shift).unwrap();
}

/// Which signal ends a child that does this; `None` when it ends by itself.
fn ends_by(run: impl FnOnce()) -> Option<i32> {
    // SAFETY: the child sends itself a signal and leaves: nothing in it takes a lock or allocates.
    let child = unsafe { libc::fork() };
    if child == 0 {
        // SAFETY: no pointers; a child that ends by a signal leaves no core behind.
        unsafe { libc::prctl(libc::PR_SET_DUMPABLE, 0) };
        run();
        // SAFETY: as the test does not go on in the child.
        unsafe { libc::_exit(0) };
    }
    let mut status = 0;
    // SAFETY: the status is an integer of this function's.
    assert_eq!(unsafe { libc::waitpid(child, &raw mut status, 0) }, child);
    libc::WIFSIGNALED(status).then(|| libc::WTERMSIG(status))
}

#[test]
fn each_code_is_told_from_the_others_and_what_is_not_the_guests_is_passed_on() {
    use libc::{BUS_ADRALN, BUS_ADRERR, BUS_MCEERR_AO, BUS_MCEERR_AR, BUS_OBJERR};
    let inside = MEMORY.start + 0x5040;
    let watch = Watch::new(MEMORY).unwrap();
    assert!(Watch::new(MEMORY).is_err(), "one at a time");

    for code in [BUS_MCEERR_AR, BUS_OBJERR] {
        expected(|| send(code, inside, 12));
        assert_eq!(met(), Some(Met { offset: Some(0x5000) }));
        assert_eq!((met(), advice()), (None, None), "once");
    }
    expected(|| send_object_error(0)).unwrap();
    assert_eq!(met(), Some(Met { offset: None }), "without an address");

    // Advice is no abort, whether or not the guest runs.
    send(BUS_MCEERR_AO, inside, 21);
    expected(|| send(BUS_MCEERR_AO, MEMORY.start, 12));
    assert_eq!(met(), None);
    let advices: Vec<_> = std::iter::from_fn(advice)
        .map(|advice| (advice.offset, advice.shift))
        .collect();
    assert_eq!(advices, [(0x5000, 21), (0, 12)]);

    let outside = MEMORY.end;
    let foreign: [(&str, bool, i32, usize); 8] = [
        ("AR elsewhere", true, BUS_MCEERR_AR, outside),
        ("AR without an address", true, BUS_MCEERR_AR, 0),
        ("AR while the guest does not run", false, BUS_MCEERR_AR, inside),
        ("OBJERR while the guest does not run", false, BUS_OBJERR, 0),
        ("OBJERR elsewhere", true, BUS_OBJERR, outside),
        ("AO elsewhere", true, BUS_MCEERR_AO, outside),
        ("alignment", true, BUS_ADRALN, inside),
        ("behind the end of a file", true, BUS_ADRERR, inside),
    ];
    for (what, runs, code, address) in foreign {
        let end = ends_by(|| {
            if runs {
                expected(|| send(code, address, 12));
            } else {
                send(code, address, 12);
            }
        });
        assert_eq!(end, Some(libc::SIGBUS), "{what}");
    }
    let end = ends_by(|| {
        expected(|| {
            // SAFETY: no pointers.
            unsafe { libc::raise(libc::SIGBUS) };
        });
    });
    assert_eq!(end, Some(libc::SIGBUS), "sent by kill(2): a code of its own");
    assert_eq!(ends_by(|| expected(|| send(BUS_OBJERR, inside, 0))), None);

    drop(watch);
    assert_eq!(
        ends_by(|| expected(|| send(BUS_MCEERR_AR, inside, 12))),
        Some(libc::SIGBUS)
    );
}
