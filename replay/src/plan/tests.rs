use super::*;

const HOLE: Step = Step {
    task: Some(1),
    number: 1,
    window: Window::Checkpoint,
    skip: 0,
    times: 1,
    injection: Injection::Hole,
};
const SERROR: Step = Step {
    task: None,
    number: 2,
    window: Window::User,
    skip: 3,
    times: 0,
    injection: Injection::SError {
        syndrome: Some(0x1811),
    },
};

const ABORT: Step = Step {
    window: Window::User,
    injection: Injection::Abort {
        esr: 0x9200_1810,
        far: Some(0xffff_0000_5000_0040),
    },
    ..HOLE
};
const ABORT_WITHOUT_ADDRESS: Step = Step {
    window: Window::Kernel,
    injection: Injection::Abort {
        esr: 0x0005_0000_9600_0410,
        far: None,
    },
    ..HOLE
};

/// The bytes of a plan with `HOLE` and `SERROR`, typed in from the module's table.
fn bytes() -> [u8; 80] {
    let mut b = [0; 80];
    b[..8].copy_from_slice(b"SEAWALLQ");
    b[8] = 1;
    b[12] = 2;
    b[16..22].copy_from_slice(&[1, 0, 1, 0, 0, 1]);
    b[28] = 1;
    b[48..55].copy_from_slice(&[0xff, 0xff, 2, 0, 3, 2, 1]);
    b[56] = 3;
    b[64..66].copy_from_slice(&[0x11, 0x18]);
    b
}

#[test]
fn a_plan_is_written_and_read_as_its_table_says() {
    let mut buffer = [0xaa; MAX_BYTES];
    let used = Plan::new(&[HOLE, SERROR]).unwrap().encode(&mut buffer).unwrap();
    assert_eq!(&buffer[..used], &bytes());
    assert!(Plan::decode(&bytes()).unwrap().steps().eq([HOLE, SERROR]));
}

#[test]
fn an_abort_is_written_and_read_as_the_table_says() {
    let mut b = [0; 80];
    b[..8].copy_from_slice(b"SEAWALLQ");
    b[8] = 1;
    b[12] = 2;
    b[16..23].copy_from_slice(&[1, 0, 1, 0, 3, 3, 1]);
    b[28] = 1;
    b[32..36].copy_from_slice(&[0x10, 0x18, 0, 0x92]);
    b[40..48].copy_from_slice(&[0x40, 0, 0, 0x50, 0, 0, 0xff, 0xff]);
    b[48..55].copy_from_slice(&[1, 0, 1, 0, 2, 3, 0]);
    b[60] = 1;
    b[64..71].copy_from_slice(&[0x10, 4, 0, 0x96, 0, 0, 5]);
    let mut buffer = [0xaa; MAX_BYTES];
    let plan = Plan::new(&[ABORT, ABORT_WITHOUT_ADDRESS]).unwrap();
    let used = plan.encode(&mut buffer).unwrap();
    assert_eq!(&buffer[..used], &b);
    assert!(
        Plan::decode(&b)
            .unwrap()
            .steps()
            .eq([ABORT, ABORT_WITHOUT_ADDRESS])
    );
}

#[test]
fn what_is_done_to_a_page_is_written_and_read_as_the_table_says() {
    for (injection, bytes) in [
        (Injection::Hole, [1, 0]),
        (Injection::Poison(Poison::Userfault), [4, 0]),
        (Injection::Poison(Poison::MemoryFailure), [4, 1]),
        (Injection::Poison(Poison::AnnouncedMemoryFailure), [4, 2]),
        (Injection::Poison(Poison::ObjectError { addressed: true }), [4, 3]),
        (
            Injection::Poison(Poison::ObjectError { addressed: false }),
            [4, 4],
        ),
        (Injection::ReadOnly, [5, 0]),
        (Injection::HostAbort, [6, 0]),
        (Injection::Save(When::Announced), [7, 0]),
        (Injection::Save(When::AbortGiven), [7, 1]),
        (Injection::Mend, [10, 0]),
        (Injection::Patrol { failing: false }, [11, 0]),
        (Injection::Patrol { failing: true }, [11, 1]),
        (Injection::Left, [8, 0]),
    ] {
        let step = Step { injection, ..HOLE };
        let mut buffer = [0xaa; MAX_BYTES];
        let used = Plan::new(&[step]).unwrap().encode(&mut buffer).unwrap();
        assert_eq!(buffer[20..24], [0, bytes[0], bytes[1], 0], "{injection:?}");
        assert!(Plan::decode(&buffer[..used]).unwrap().steps().eq([step]));
    }
}

#[test]
fn an_abort_must_fit_its_window_and_have_a_far_unless_its_syndrome_denies_it() {
    let abort = |window, esr, far| {
        let step = Step {
            window,
            injection: Injection::Abort { esr, far },
            ..HOLE
        };
        let made = Plan::new(&[step]).map(drop);
        // What cannot be made cannot be read either.
        let mut b = [0; HEADER_BYTES + STEP_BYTES];
        put(&mut b, 0, &MAGIC).unwrap();
        put(&mut b, 8, &VERSION.to_le_bytes()).unwrap();
        put(&mut b, 12, &1_u32.to_le_bytes()).unwrap();
        encode_step(&step, &mut b[HEADER_BYTES..]).unwrap();
        assert_eq!(Plan::decode(&b).map(drop), made, "{esr:#x}");
        made.is_ok()
    };
    let far = Some(0x5000_0040);
    for window in [Window::Checkpoint, Window::Border, Window::Kernel, Window::Masked] {
        assert!(abort(window, 0x9600_0010, far) && abort(window, 0x8600_0010, far));
        assert!(!abort(window, 0x9200_0010, far) && !abort(window, 0x8200_0010, far));
    }
    let user = |esr, far| abort(Window::User, esr, far);
    assert!(user(0x9200_0010, far) && user(0x8200_0010, far) && user(0x00ff_ffff_93ff_ffff, far));
    assert!(!user(0x9600_0010, far), "from EL1");
    assert!(!user(0xbe00_0011, far), "an SError");
    assert!(!user(0x5600_0000, far), "a call");
    assert!(!user(0x0100_0000_9200_0010, far), "bit 56 is RES0");
    assert!(!user(0x9200_0010, None), "FnV = 0");
    assert!(user(0x9200_0410, None) && user(0x9200_0410, far));
    assert!(user(0x8200_0410, None), "an instruction abort has FnV too");
    // Fault status 0 (address size), 0x11 (tag check), 0x12 to 0x17 (of a walk), 0x18 (parity), 0x30: bit 10 is no FnV.
    for fault in [0x00, 0x11, 0x12, 0x13, 0x14, 0x17, 0x18, 0x30] {
        assert!(!user(0x9200_0400 | fault, None) && user(0x9200_0400 | fault, far));
    }
}

#[test]
fn a_task_and_a_number_are_those_that_an_announcement_can_have() {
    // The offset, what is there, and the step: what cannot be read cannot be made either.
    let refused = |offset: usize, bytes: [u8; 2], step: Step| {
        let mut b = bytes_of(&HOLE);
        b[offset..offset + 2].copy_from_slice(&bytes);
        assert_eq!(decode_step(&b), None, "{step:?}");
        assert_eq!(
            Plan::new(&[HOLE, step]).map(drop),
            Err(PlanError::BadStep { step: 1 }),
            "{step:?}"
        );
    };
    let task = |task| Step { task, ..HOLE };
    let number = |number| Step { number, ..HOLE };
    refused(0, [0x00, 0x10], task(Some(0x1000)));
    refused(0, [0xfe, 0xff], task(Some(0xfffe)));
    refused(2, [0x00, 0x10], number(0x1000));
    refused(2, [0xff, 0xff], number(0xffff));
    // By these bytes it would be any task.
    assert!(Plan::new(&[task(Some(0xffff))]).is_err());
    for step in [task(Some(0xfff)), number(0xfff)] {
        assert!(Plan::new(&[step]).is_ok());
        assert_eq!(decode_step(&bytes_of(&step)), Some(step));
    }
}

#[test]
fn what_has_no_meaning_is_zero() {
    // The kind, the byte behind it, and which of the places 7, 16 and 24 may hold something.
    for (kind, more, used) in [
        (1, 0, [false; 3]),
        (1, 1, [false, true, false]),
        (2, 0, [false; 3]),
        (2, 1, [false, true, false]),
        (3, 0, [true, true, false]),
        (3, 1, [true, true, true]),
        (4, 0, [false; 3]),
        (4, 4, [false; 3]),
        (5, 0, [false; 3]),
        (6, 0, [false; 3]),
        (7, 0, [false; 3]),
        (7, 1, [false; 3]),
        (8, 0, [false; 3]),
        (9, 0, [false, false, true]),
        (9, 1, [false, true, true]),
        (10, 0, [false; 3]),
        (11, 0, [false; 3]),
        (11, 1, [false; 3]),
        (15, 0, [false, true, false]),
        (16, 0, [false; 3]),
    ] {
        let mut b = [0; STEP_BYTES];
        b[..7].copy_from_slice(&[0xff, 0xff, 0, 0, 0, kind, more]);
        b[12] = 1;
        if kind == 3 {
            b[16..20].copy_from_slice(&[0x10, 4, 0, 0x96]);
        }
        b[24] = u8::from(kind == 9);
        assert!(decode_step(&b).is_some(), "{kind} {more}");
        // In 16 and 24 each byte counts; the second is within what ISS and a time may hold.
        for (offset, used) in [(7, used[0]), (17, used[1]), (25, used[2])] {
            let was = b[offset];
            b[offset] ^= 1;
            assert_eq!(decode_step(&b).is_some(), used, "{kind} {more} {offset}");
            b[offset] = was;
        }
        for (offset, used) in [(23, used[1]), (31, used[2])] {
            b[offset] ^= 0x80;
            assert!(used || decode_step(&b).is_none(), "{kind} {more} {offset}");
            b[offset] ^= 0x80;
        }
    }
}

/// The bytes that a step is written as, sound or not.
fn bytes_of(step: &Step) -> [u8; STEP_BYTES] {
    let mut raw = [0xaa; STEP_BYTES];
    encode_step(step, &mut raw).unwrap();
    raw
}

/// What a step of these 32 bytes is, and what it is written as again.
fn read(raw: [u8; STEP_BYTES]) -> Option<Injection> {
    let step = decode_step(&raw)?;
    assert_eq!(bytes_of(&step), raw);
    Some(step.injection)
}

#[test]
fn an_serror_beside_an_abort_or_later_is_written_and_read_as_the_table_says() {
    let mut beside = [0; STEP_BYTES];
    beside[..7].copy_from_slice(&[1, 0, 1, 0, 0, 1, 1]);
    beside[12] = 1;
    beside[16..18].copy_from_slice(&[0x11, 0x0c]);
    assert_eq!(
        read(beside),
        Some(Injection::HoleBesideSError { syndrome: 0xc11 })
    );
    beside[19] = 2;
    assert_eq!(read(beside), None, "bit 25 is not ISS");
    (beside[19], beside[12]) = (0, 2);
    assert_eq!(read(beside), None, "it comes once");

    let mut later = [0; STEP_BYTES];
    later[..7].copy_from_slice(&[1, 0, 1, 0, 3, 9, 1]);
    later[12] = 1;
    later[16..18].copy_from_slice(&[0x11, 0x18]);
    later[24] = 20;
    let syndrome = Some(0x1811);
    assert_eq!(
        read(later),
        Some(Injection::SErrorLater {
            syndrome,
            milliseconds: 20
        })
    );
    later[24] = 0;
    assert_eq!(read(later), None, "at once is not later");
    later[24..26].copy_from_slice(&[0x61, 0xea]);
    assert_eq!(read(later), None, "60,001 ms");
    later[6] = 0;
    later[16..26].fill(0);
    later[24] = 1;
    assert_eq!(
        read(later),
        Some(Injection::SErrorLater {
            syndrome: None,
            milliseconds: 1
        })
    );
}

#[test]
fn an_abort_by_the_serrors_vector_is_an_abort_with_one_byte_more() {
    let mut raw = [0; STEP_BYTES];
    raw[..8].copy_from_slice(&[1, 0, 1, 0, 3, 3, 1, 1]);
    raw[16..20].copy_from_slice(&[0x10, 0, 0, 0x92]);
    raw[24..28].copy_from_slice(&[0x40, 0, 0, 0x50]);
    let far = Some(0x5000_0040);
    let esr = 0x9200_0010;
    assert_eq!(read(raw), Some(Injection::AbortBySErrorVector { esr, far }));
    raw[7] = 2;
    assert_eq!(read(raw), None);
}

#[test]
fn before_the_first_instruction_there_is_nothing_but_an_serror_and_that_once() {
    let step = Step {
        task: None,
        number: 0,
        window: Window::Start,
        skip: 0,
        times: 1,
        injection: Injection::SError {
            syndrome: Some(0x1811),
        },
    };
    let sound = |step| Plan::new(&[step]).is_ok();
    assert!(sound(step));
    for wrong in [
        Step {
            task: Some(1),
            ..step
        },
        Step { number: 1, ..step },
        Step { skip: 1, ..step },
        Step { times: 2, ..step },
        Step { times: 0, ..step },
        Step {
            injection: Injection::Hole,
            ..step
        },
        Step {
            injection: Injection::Left,
            ..step
        },
        Step {
            injection: Injection::Abort {
                esr: 0x9600_0410,
                far: None,
            },
            ..step
        },
    ] {
        assert!(!sound(wrong), "{wrong:?}");
    }
}

#[test]
fn a_plan_cut_anywhere_is_refused() {
    for length in 0..80 {
        assert!(Plan::decode(&bytes()[..length]).is_err(), "{length}");
    }
}

#[test]
fn values_that_do_not_exist_are_refused_with_their_step() {
    for (offset, value) in [(20, 8), (21, 3), (21, 12), (21, 0), (22, 2), (19, 0x10)] {
        let mut b = bytes();
        b[offset] = value;
        assert_eq!(
            Plan::decode(&b).unwrap_err(),
            PlanError::BadStep { step: 0 },
            "{offset}"
        );
    }
    let mut b = bytes();
    b[67] = 2; // bit 25 of the syndrome: IL, not ISS
    assert_eq!(Plan::decode(&b).unwrap_err(), PlanError::BadStep { step: 1 });
    b = bytes();
    b[12] = 65;
    assert_eq!(Plan::decode(&b).unwrap_err(), PlanError::TooManySteps(65));
    b[0] = b'X';
    assert_eq!(Plan::decode(&b).unwrap_err(), PlanError::NotAPlan);
}

#[test]
fn what_is_drawn_is_written_and_read_as_the_table_says() {
    let draw = Step {
        task: None,
        number: 0,
        times: 100_000,
        injection: Injection::Draw {
            seed: 0x0123_4567_89ab_cdef,
        },
        ..HOLE
    };
    let nothing = Step {
        task: None,
        skip: 7,
        injection: Injection::Nothing,
        ..HOLE
    };
    let mut buffer = [0; MAX_BYTES];
    let used = Plan::new(&[draw, nothing]).unwrap().encode(&mut buffer).unwrap();
    assert_eq!(
        buffer[16..48],
        [
            0xff, 0xff, 0, 0, 0, 15, 0, 0, 0, 0, 0, 0, 0xa0, 0x86, 1, 0, 0xef, 0xcd, 0xab, 0x89, 0x67, 0x45,
            0x23, 0x01, 0, 0, 0, 0, 0, 0, 0, 0
        ]
    );
    assert_eq!(
        buffer[48..64],
        [0xff, 0xff, 1, 0, 0, 16, 0, 0, 7, 0, 0, 0, 1, 0, 0, 0]
    );
    assert!(Plan::decode(&buffer[..used]).unwrap().steps().eq([draw, nothing]));
    // It speaks of no announcement itself.
    let announcement = Announcement::from_word(0);
    assert!(!draw.matches(Window::Checkpoint, announcement));
    // So it names nothing of one; and it brings something.
    for wrong in [
        Step { times: 0, ..draw },
        Step {
            task: Some(1),
            ..draw
        },
        Step { number: 1, ..draw },
        Step { skip: 1, ..draw },
        Step {
            window: Window::User,
            ..draw
        },
    ] {
        assert!(Plan::new(&[wrong]).is_err(), "{wrong:?}");
        assert_eq!(decode_step(&bytes_of(&wrong)), None, "{wrong:?}");
    }
}
