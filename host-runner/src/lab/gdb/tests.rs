use std::os::unix::net::UnixStream;
use std::thread::JoinHandle;

use super::super::stub::{self, Machine};
use super::*;

const SHORT: Duration = Duration::from_millis(100);

fn connected(machine: Machine) -> (Gdb<UnixStream>, JoinHandle<Machine>) {
    let (here, there) = UnixStream::pair().unwrap();
    here.set_read_timeout(Some(Duration::from_millis(10))).unwrap();
    let limit = if machine.wrong.is_empty() {
        Duration::from_secs(20)
    } else {
        SHORT
    };
    (Gdb::over(here, limit), stub::serve(machine, there))
}

#[test]
fn registers_and_memory_are_read_and_written_while_it_stands() {
    let mut machine = Machine {
        vttbr: 0x0007_0000_4000_2001,
        vtcr: 0x8005_0058,
        ..Machine::default()
    };
    machine.memory.insert(0x4000_5000, 0x1122_3344_5566_7788);
    let (mut gdb, stub) = connected(machine);
    gdb.greet().unwrap();
    let [vttbr, vtcr] = gdb.numbers(["VTTBR_EL2", "VTCR_EL2"]).unwrap();
    assert_eq!((vttbr, vtcr), (123, 125));
    assert_eq!(gdb.register(vttbr).unwrap(), 0x0007_0000_4000_2001);
    assert_eq!(gdb.register(vtcr).unwrap(), 0x8005_0058);
    assert_eq!(gdb.read(0x4000_5000).unwrap(), 0x1122_3344_5566_7788);
    gdb.go().unwrap();
    gdb.stop().unwrap();
    gdb.write(0x4000_5000, 0x0b00_0003).unwrap();
    assert_eq!(gdb.read(0x4000_5000).unwrap(), 0x0b00_0003);
    gdb.go().unwrap();
    drop(gdb);
    let machine = stub.join().unwrap();
    assert_eq!(machine.log, ["stop", "go", "stop", "40005000 = b000003", "go"]);
    assert_eq!(machine.memory[&0x4000_5000], 0x0b00_0003);
}

/// Does everything once, and gives the first error.
fn error(to: &'static str, answer: &'static str) -> String {
    let (mut gdb, _stub) = connected(Machine {
        wrong: vec![(to, answer)],
        ..Machine::default()
    });
    let mut all = || -> Result<()> {
        gdb.greet()?;
        let [number] = gdb.numbers(["VTCR_EL2"])?;
        gdb.register(number)?;
        gdb.read(0x1000)?;
        gdb.write(0x1000, 1)?;
        gdb.go()?;
        gdb.stop()
    };
    all().expect_err(answer).to_string()
}

#[test]
fn whatever_is_no_answer_is_said_and_nothing_is_waited_for_for_ever() {
    for (to, answer, told) in [
        ("qSupported", "$PacketSize=1000#13", "PacketSize=1000"),
        ("Qqemu", "$#00", "answers \"\""),
        ("Qqemu", "$E22#a9", "answers \"E22\""),
        ("qXfer", "$E00#a5", "answers \"E00\""),
        ("qXfer", "$l#6c", "no register VTCR_EL2"),
        ("p", "$#00", "answers \"\""),
        ("p", "$00#60", "answers \"00\""),
        ("p", "$xxxxxxxxxxxxxxxx#80", "answers \"xxxx"),
        // A sign is no digit.
        ("p", "$+000000000000000#fb", "answers \"+000"),
        ("m", "$E14#aa", "answers \"E14\""),
        ("m", "$0000000000000000#01", "answers \"0000"),
        ("m", "$0000000000000000#zz", "answers \"0000"),
        ("m", "$0*\"00#0c", "answers \"0*"),
        ("m", "$}#7d", "answers \"}"),
        ("m", "", "in time"),
        ("m", "++++noise", "in time"),
        ("m", "$00000", "in time"),
        ("M", "$E14#aa", "answers \"E14\""),
    ] {
        let error = error(to, answer);
        assert!(error.contains(told), "{to} {answer}: {error}");
    }
    assert!(error("\u{3}", "OK").contains("answers \"OK\""));
    let (here, there) = UnixStream::pair().unwrap();
    drop(there);
    let gone = Gdb::over(here, SHORT).read(0).unwrap_err();
    assert!(matches!(gone, GdbError::Connection(_)), "{gone}");
}

#[test]
fn a_flood_ends_at_its_length_and_stops_without_end_at_the_clock() {
    let flood = |text: &'static [u8]| {
        let (here, there) = UnixStream::pair().unwrap();
        here.set_read_timeout(Some(Duration::from_millis(10))).unwrap();
        here.set_write_timeout(Some(Duration::from_millis(10))).unwrap();
        let flooding = std::thread::spawn(move || while (&there).write_all(text).is_ok() {});
        let error = Gdb::over(here, Duration::from_millis(500)).read(0).unwrap_err();
        flooding.join().unwrap();
        error.to_string()
    };
    let endless = flood(b"$0000000000000000");
    assert!(
        endless.contains("without an end") || endless.contains("in time"),
        "{endless}"
    );
    assert!(flood(b"$T02#b6").contains("in time"));
}

#[test]
fn escapes_are_undone() {
    assert_eq!(unescaped(b"a}\x03}\x5db").unwrap(), b"a#}b");
    assert_eq!((unescaped(b"a*"), unescaped(b"}")), (None, None));
}

#[test]
fn attributes_are_found_by_their_whole_name() {
    let tag = r#" name="a" regnum='7' othername="b" href=x"#;
    assert_eq!(attribute(tag, "name"), Some("a"));
    assert_eq!(attribute(tag, "regnum"), Some("7"));
    assert_eq!((attribute(tag, "href"), attribute(tag, "num")), (None, None));
    let text = "<reg name='x'/><register name='y'/><reg name='z'";
    assert_eq!(tags(text, "reg").collect::<Vec<_>>(), [" name='x'/", " name='z'"]);
}
