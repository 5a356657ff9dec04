//! SErrors at every time, what comes beside them, and what KVM does by itself.

use seawall_replay::plan::Injection;
use seawall_replay::port::Window;

use super::tests::GOOD;
use super::{ExpectedPending, GuestEnd, boot, parse};
use crate::backend::VmOptions;
use crate::scenario::Cpu;

const INJECT: &str = "task = \"load\"\ncheckpoint = 1\nroute = \"hole\"";

fn with(inject: &str) -> String {
    GOOD.replace(INJECT, inject)
}

fn on_kvm(text: &str) -> String {
    text.replace("[guest]\n", "backends = [\"kvm\"]\n[guest]\n")
}

fn injection(text: &str) -> Injection {
    parse("s.toml", text).unwrap().injections[0].injection
}

/// The first problem of a text contains this.
fn wrong(text: &str, told: &str) {
    let bad = parse("s.toml", text).expect_err(text).to_string();
    assert!(bad.contains(told), "{bad}");
}

#[test]
fn before_the_first_instruction_there_is_no_task_and_no_checkpoint() {
    let text = with("at = \"start\"\nroute = \"serror\"\nsyndrome = 0x1811");
    let scenario = parse("s.toml", &text).unwrap();
    let (plan, _) = boot::plan(&scenario.guest, &scenario.injections).unwrap();
    let step = plan.steps().next().unwrap();
    assert_eq!((step.window, step.task, step.number), (Window::Start, None, 0));
    wrong(
        &text.replace("at =", "checkpoint = 1\nat ="),
        "there is no checkpoint yet",
    );
    wrong(&text.replace("at =", "task = \"load\"\nat ="), "step 0");
    wrong(
        &text.replace("\"serror\"\nsyndrome = 0x1811", "\"hole\""),
        "step 0",
    );
    wrong(
        &with("task = \"load\"\nroute = \"hole\""),
        "does not say which checkpoint",
    );
}

#[test]
fn an_serror_comes_later_once_and_on_kvm() {
    let later = "task = \"load\"\ncheckpoint = 1\nat = \"user\"\nroute = \"serror\"\nafter_ms = 20";
    let text = on_kvm(&with(later));
    assert_eq!(
        injection(&text),
        Injection::SErrorLater {
            syndrome: None,
            milliseconds: 20
        }
    );
    wrong(&with(later), "is nothing for the backend qemu");
    wrong(&text.replace("= 20", "= 0"), "0 is out of range");
    wrong(&text.replace("= 20", "= 60001"), "60001 is out of range");
    wrong(&text.replace("= 20", "= 20\ntimes = 2"), "comes later once");
    wrong(&text.replace("\"user\"", "\"masked\""), "for a task that runs");
}

#[test]
fn an_serror_comes_beside_one_abort_of_a_hole() {
    let text = with(&format!("{INJECT}\nwith_serror = 0xc11"));
    assert_eq!(injection(&text), Injection::HoleBesideSError { syndrome: 0xc11 });
    wrong(&text.replace("0xc11", "0x2000000"), "33554432 is out of range");
    wrong(&text.replace("0xc11", "0xc11\ntimes = 2"), "beside one abort");
    wrong(
        &text.replace("\"hole\"", "\"read-only\""),
        "this route has no `with_serror`",
    );
}

#[test]
fn what_kvm_does_by_itself_is_named() {
    let text = with("task = \"load\"\ncheckpoint = 1\nroute = \"self\"\nwhat = \"walk\"");
    let inject = parse("s.toml", &text).unwrap().injections.remove(0);
    assert_eq!(
        (inject.injection, inject.by_itself, inject.route),
        (Injection::Hole, true, "self")
    );
    let above = text.replace("\"walk\"", "\"above-ipa\"");
    assert_eq!(injection(&on_kvm(&above)), Injection::Left);
    wrong(&above, "is nothing for the backend qemu");
    wrong(&text.replace("\"walk\"", "\"wolk\""), "did you mean `walk`?");
    wrong(
        &text.replace("\nwhat = \"walk\"", ""),
        "this route needs a `what`",
    );
    wrong(&text.replace("\"self\"", "\"hole\""), "this route has no `what`");
}

#[test]
fn an_abort_by_the_serror_vector_is_one_of_the_registers() {
    let registers = "at = \"user\"\nroute = \"registers\"\nsyndrome = 0x92000410\nvector = \"serror\"";
    let text = with(&format!("task = \"load\"\ncheckpoint = 1\n{registers}"));
    let abort = Injection::AbortBySErrorVector {
        esr: 0x9200_0410,
        far: None,
    };
    assert_eq!(injection(&text), abort);
    wrong(
        &text.replace("vector = \"serror\"", "vector = \"irq\""),
        "is not a vector",
    );
    wrong(
        &with(&format!("{INJECT}\nvector = \"serror\"")),
        "this route has no `vector`",
    );
}

#[test]
fn another_cpu_is_one_that_qemu_emulates_and_nothing_for_kvm() {
    let with = |cpu: &str| GOOD.replace("[guest]\n", &format!("[guest]\ncpu = \"{cpu}\"\n"));
    wrong(&with("cortex-a57"), "KVM gives a guest the CPU of its host");
    wrong(&with("cortex-a58"), "did you mean `cortex-a57`?");
    let text = with("cortex-a57").replace("\n[guest]", "\nbackends = [\"qemu\"]\n[guest]");
    let guest = parse("s.toml", &text).unwrap().guest;
    assert_eq!(guest.vm.cpu, Some(Cpu::CortexA57));
}

#[test]
fn a_vm_is_as_usual_unless_the_guest_asks() {
    let vm = |text: &str| parse("s.toml", text).unwrap().guest.vm;
    assert_eq!(vm(GOOD), VmOptions::default());
    let unusual = "[guest]\nease = true\nel2 = true\nnisv_exits = false\n";
    let text = on_kvm(GOOD).replace("[guest]\n", unusual);
    assert_eq!(
        vm(&text),
        VmOptions {
            without_nisv_exits: true,
            ease: true,
            el2: true,
            cpu: None,
        }
    );
    assert!(boot::arguments(&parse("s.toml", &text).unwrap().guest).ends_with(" seawall.ease=1"));
    wrong(
        &GOOD.replace("[guest]\n", unusual),
        "what [guest] asks of the VM is nothing for the backend qemu",
    );
}

#[test]
fn what_was_pending_and_what_may_be_deferred_is_expected() {
    let text = GOOD
        .replace(
            "end = \"done\"\n",
            "end = \"enosys\"\n[[expect.pending]]\nserror = true\nhandled = 3\n",
        )
        .replace(
            "\"synchronous\"\nfrom = \"el0\"\n",
            "\"serror\"\nfrom = \"el0\"\nor_disr = 0x80000c11\n",
        );
    let expect = parse("s.toml", &text).unwrap().expect;
    assert_eq!(expect.end, GuestEnd::Enosys);
    let pending = ExpectedPending {
        serror: true,
        handled: 3,
    };
    assert_eq!(expect.pending, [pending]);
    let deferred = |kvm| expect.aborts[0].may_defer(kvm);
    assert_eq!(deferred(None), Some(0x8000_0c11));
    assert_eq!(deferred(Some((6, 16))), Some(0x8000_0c11));
    assert_eq!(deferred(Some((6, 17))), None, "taken at the instant it is pended");
    wrong(
        &text.replace("\"serror\"\nfrom", "\"synchronous\"\nfrom"),
        "`or_disr` does not fit this cause",
    );
}
