use super::*;

const GARBAGE: Entry = Entry {
    next: 0x1234_5678,
    slot: 0xffff,
    state: 0xee,
    marked: 0xff,
};

fn table(entries: &mut [Entry]) -> FrameTable<'_> {
    FrameTable::new(entries, [(FrameNumber(0x100), 4), (FrameNumber(0x200), 4)])
}

#[test]
fn every_frame_is_handed_out_once_and_then_none() {
    let mut entries = [GARBAGE; 8];
    let mut table = table(&mut entries);
    let mut list = FrameList::EMPTY;
    let mut taken: Vec<u64> = (0..8)
        .map(|_| table.take(Holder::Task(1), &mut list).unwrap().0)
        .collect();
    taken.sort_unstable();
    assert_eq!(taken, [0x100, 0x101, 0x102, 0x103, 0x200, 0x201, 0x202, 0x203]);
    assert_eq!(table.take(Holder::Task(1), &mut list), None);
    table.give_back(&mut list);
    assert_eq!(table.stock(), (8, 8, 0));
}

#[test]
fn a_retired_frame_is_never_handed_out_again() {
    let mut entries = [GARBAGE; 8];
    let mut table = table(&mut entries);
    let mut list = FrameList::EMPTY;
    let poisoned = table.take(Holder::Task(1), &mut list).unwrap();
    assert!(table.retire(poisoned));
    assert!(!table.retire(poisoned), "known once");
    table.give_back(&mut list);
    assert_eq!(table.stock(), (8, 7, 1));
    let again: Vec<_> = std::iter::from_fn(|| table.take(Holder::Kernel, &mut list)).collect();
    assert_eq!(again.len(), 7);
    assert!(!again.contains(&poisoned));
    assert_eq!(table.holder(poisoned), Holder::Retired);
}

#[test]
fn free_and_untouched_frames_can_be_retired_too() {
    let mut entries = [GARBAGE; 8];
    let mut table = table(&mut entries);
    let mut list = FrameList::EMPTY;
    let freed = table.take(Holder::Task(1), &mut list).unwrap();
    table.give_back(&mut list);
    assert!(table.retire(freed));
    assert!(table.retire(FrameNumber(0x202)));
    assert_eq!(table.stock(), (8, 6, 2));
    let rest: Vec<_> = std::iter::from_fn(|| table.take(Holder::Task(2), &mut list)).collect();
    assert_eq!(rest.len(), 6);
    assert!(!rest.contains(&freed) && !rest.contains(&FrameNumber(0x202)));
}

#[test]
fn owners_are_known_frame_by_frame() {
    let mut entries = [GARBAGE; 8];
    let mut table = table(&mut entries);
    let mut list = FrameList::EMPTY;
    let page = table.take(Holder::Task(3), &mut list).unwrap();
    let walk = table.take(Holder::Table(3), &mut list).unwrap();
    assert_eq!(table.holder(page), Holder::Task(3));
    assert_eq!(table.holder(walk), Holder::Table(3));
    assert_eq!(table.holder(FrameNumber(0x203)), Holder::Free);
    assert_eq!(table.holder(FrameNumber(0x104)), Holder::Outside);
    assert_eq!(table.holder(FrameNumber(0)), Holder::Outside);
    assert!(!table.retire(FrameNumber(0x9000)));
}

/// The same mapping; a frame below 0x102 cannot be filled.
fn take_out_poisoned(frame: FrameNumber, spare: Option<FrameNumber>) -> TakenOut {
    if spare.is_some_and(|spare| spare.0 < 0x102)
        && !SPLIT.with_borrow(|split| split.contains(&(frame.0 >> 8)))
    {
        ASKED.with_borrow_mut(|asked| asked.push((frame.0, spare.map(|spare| spare.0))));
        return TakenOut::Unfit;
    }
    take_out(frame, spare)
}

#[test]
fn a_spare_frame_that_is_poisoned_is_retired_and_another_is_used() {
    let mut entries = [GARBAGE; 0x900];
    let mut table = blocks(&mut entries);
    table.take_out_by(take_out_poisoned);
    assert!(table.retire(FrameNumber(0x1234)));
    table.take_out_retired();
    let mut asked = asked_about();
    asked.sort_unstable();
    asked.dedup();
    assert_eq!(asked, [0x100, 0x101, 0x1234], "the spare ones are taken out too");
    for frame in [0x100, 0x101, 0x1234] {
        assert_eq!(table.holder(FrameNumber(frame)), Holder::Retired, "{frame:#x}");
    }
    // A table for each of two blocks of 256 and two of 16.
    assert_eq!((table.mapping_tables(), table.still_mapped()), (4, 0));
    assert_eq!(table.stock().2, 3);
}

#[test]
fn a_frame_that_could_not_be_filled_never_comes_back() {
    let mut entries = [GARBAGE; 8];
    let mut table = table(&mut entries);
    let mut list = FrameList::EMPTY;
    let page = table.take(Holder::Task(1), &mut list).unwrap();
    let own = table.take(Holder::Kernel, &mut list).unwrap();
    let walk = table.take(Holder::Task(1), &mut list).unwrap();
    table.make_table(walk);
    // A frame of the kernel's is none of a task's pages, and one that is nobody's was not handed out.
    table.make_table(own);
    table.discard(FrameNumber(0x203));
    assert_eq!(table.holder(own), Holder::Kernel);
    assert_eq!(table.holder(walk), Holder::Table(1));
    for frame in [page, own, page] {
        table.discard(frame);
    }
    assert_eq!(table.stock(), (8, 5, 2));
    table.give_back(&mut list);
    assert_eq!(table.stock(), (8, 6, 2));
    let holders = [page, own, walk].map(|frame| table.holder(frame));
    assert_eq!(holders, [Holder::Retired, Holder::Retired, Holder::Free]);
}

/// A block begins in the middle of the first range; the second one has room for two.
fn blocks(entries: &mut [Entry]) -> FrameTable<'_> {
    FrameTable::new(
        entries,
        [(FrameNumber(0x100), 0x350), (FrameNumber(0x1000), 0x4ff)],
    )
}

#[test]
fn a_block_lies_together_aligned_and_is_nobody_elses() {
    let mut entries = [GARBAGE; 0x900];
    let mut table = blocks(&mut entries);
    let (mut one, mut other) = (FrameList::EMPTY, FrameList::EMPTY);
    let early = table.take(Holder::Task(2), &mut other).unwrap();
    let first: Vec<_> = (0..4)
        .map_while(|_| table.take_block(Holder::Task(1), &mut one))
        .collect();
    assert_eq!(first, [0x200, 0x1000, 0x1200].map(FrameNumber), "and no fourth");
    assert_eq!(table.stock(), (0x84f, 0x84f - 0x601, 0));
    for frame in first.iter().flat_map(|first| first.0..first.0 + BLOCK) {
        assert_eq!(table.holder(FrameNumber(frame)), Holder::Task(1), "{frame:#x}");
    }
    // What is left is handed out singly, each frame once.
    let mut rest: Vec<u64> = std::iter::from_fn(|| table.take(Holder::Task(2), &mut other))
        .map(|frame| frame.0)
        .collect();
    rest.push(early.0);
    rest.sort_unstable();
    let expected: Vec<u64> = (0x100..0x200).chain(0x400..0x450).chain(0x1400..0x14ff).collect();
    assert_eq!(rest, expected);
    table.give_back(&mut one);
    table.give_back(&mut other);
    assert_eq!(table.stock(), (0x84f, 0x84f, 0));
}

#[test]
fn a_block_that_came_back_whole_is_taken_again_and_one_with_a_retired_frame_never() {
    let mut entries = [GARBAGE; 0x900];
    let mut table = blocks(&mut entries);
    let (mut one, mut other) = (FrameList::EMPTY, FrameList::EMPTY);
    let taken = table.take_block(Holder::Task(1), &mut one).unwrap();
    table.give_back(&mut one);
    assert_eq!(table.take_block(Holder::Task(1), &mut one), Some(taken));
    assert!(table.retire(FrameNumber(taken.0 + 5)));
    table.give_back(&mut one);
    assert_eq!(table.stock(), (0x84f, 0x84e, 1));
    assert_eq!(
        table.take_block(Holder::Task(1), &mut one),
        Some(FrameNumber(0x1000))
    );
    // One that was retired while it was free: it is in the list of those, and stays out of every hand.
    assert!(table.retire(FrameNumber(0x1300)));
    assert_eq!(table.take_block(Holder::Task(1), &mut one), None);
    let rest: Vec<_> = std::iter::from_fn(|| table.take(Holder::Task(2), &mut other)).collect();
    assert_eq!(rest.len(), 0x84f - 0x200 - 2);
    let bad = [FrameNumber(taken.0 + 5), FrameNumber(0x1300)];
    assert!(
        !rest
            .iter()
            .any(|frame| bad.contains(frame) || table.holder(*frame) != Holder::Task(2))
    );
    assert_eq!(table.stock(), (0x84f, 0, 2));
    table.give_back(&mut one);
    table.give_back(&mut other);
    assert_eq!(table.stock(), (0x84f, 0x84d, 2));
}

#[test]
fn without_a_whole_block_nothing_is_taken() {
    let mut entries = [GARBAGE; 0x900];
    let mut table = blocks(&mut entries);
    let mut list = FrameList::EMPTY;
    for at in [0x3ff, 0x1000, 0x13ff] {
        assert!(table.retire(FrameNumber(at)));
    }
    assert_eq!(table.take_block(Holder::Task(1), &mut list), None);
    assert_eq!(table.stock(), (0x84f, 0x84c, 3));
    assert_eq!(list, FrameList::EMPTY);
}

#[test]
fn too_few_entries_leave_frames_out_and_none_out_of_bounds() {
    let mut entries = [GARBAGE; 5];
    let mut table = table(&mut entries);
    let mut list = FrameList::EMPTY;
    assert_eq!(
        std::iter::from_fn(|| table.take(Holder::Kernel, &mut list)).count(),
        5
    );
}

thread_local! {
    /// What the mapping was asked: frames, and spare frames given. And what there is in it: tables, and frames mapped.
    static ASKED: std::cell::RefCell<Vec<(u64, Option<u64>)>> = const { std::cell::RefCell::new(Vec::new()) };
    static SPLIT: std::cell::RefCell<Vec<u64>> = const { std::cell::RefCell::new(Vec::new()) };
}

/// A mapping in blocks of 16 frames inside blocks of 256.
fn take_out(frame: FrameNumber, spare: Option<FrameNumber>) -> TakenOut {
    ASKED.with_borrow_mut(|asked| asked.push((frame.0, spare.map(|spare| spare.0))));
    SPLIT.with_borrow_mut(|split| {
        for (block, done) in [
            (frame.0 >> 8, TakenOut::Again),
            (frame.0 >> 4 | 1 << 32, TakenOut::WithTable),
        ] {
            if !split.contains(&block) {
                if spare.is_none() {
                    return TakenOut::NoSpare;
                }
                split.push(block);
                return done;
            }
        }
        TakenOut::Done
    })
}

fn asked_about() -> Vec<u64> {
    let mut frames = ASKED.with_borrow(|asked| asked.iter().map(|(frame, _)| *frame).collect::<Vec<_>>());
    frames.dedup();
    frames
}

#[test]
fn no_frame_is_handed_out_while_a_retired_one_is_mapped() {
    let mut entries = [GARBAGE; 0x900];
    let mut table = blocks(&mut entries);
    table.take_out_by(take_out);
    let mut list = FrameList::EMPTY;
    let frames: Vec<_> = (0..3)
        .map(|_| table.take(Holder::Task(1), &mut list).unwrap())
        .collect();
    let before = table.stock();
    assert!(table.retire(frames[1]));
    assert_eq!(asked_about(), [], "not on the way of an abort");
    assert_eq!(table.still_mapped(), 1);
    table.take(Holder::Task(1), &mut list).unwrap();
    assert_eq!(asked_about(), [frames[1].0]);
    assert_eq!((table.still_mapped(), table.mapping_tables()), (0, 2));
    table.give_back(&mut list);
    let after = table.stock();
    assert_eq!(
        after.1,
        before.1 + 3 - 1 - 2,
        "three came back but the retired one, and two are tables"
    );
    // In the same block no table is needed any more.
    assert!(table.retire(frames[0]));
    table.take_out_retired();
    assert_eq!((table.mapping_tables(), table.stock().1), (2, after.1 - 1));
    // Blocks wait for no less.
    assert!(table.retire(FrameNumber(0x1400)));
    assert_eq!(
        table.take_block(Holder::Task(2), &mut list),
        Some(FrameNumber(0x200))
    );
    assert_eq!(asked_about().last(), Some(&0x1400));
}

#[test]
fn what_is_retired_beyond_the_room_for_notes_is_taken_out_at_once() {
    let mut entries = [GARBAGE; 0x900];
    let mut table = blocks(&mut entries);
    table.take_out_by(take_out);
    for frame in 0x1000..0x1041 {
        assert!(table.retire(FrameNumber(frame)));
    }
    assert_eq!((asked_about().len(), table.still_mapped()), (64, 1));
    table.take_out_retired();
    let mut asked = asked_about();
    asked.sort_unstable();
    asked.dedup();
    assert_eq!((asked.len(), table.still_mapped()), (65, 0));
}

#[test]
fn without_memory_for_a_table_a_frame_stays_mapped_and_is_tried_again() {
    let mut entries = [GARBAGE; 8];
    let mut table = table(&mut entries);
    let (mut list, mut last) = (FrameList::EMPTY, FrameList::EMPTY);
    let poisoned = table.take(Holder::Task(1), &mut list).unwrap();
    while table.take(Holder::Task(2), &mut last).is_some() {}
    table.take_out_by(take_out);
    assert!(table.retire(poisoned));
    table.take_out_retired();
    assert_eq!((table.still_mapped(), table.mapping_tables()), (1, 0));
    table.give_back(&mut last);
    assert_eq!(table.stock().1, 7);
    assert!(table.take(Holder::Task(1), &mut list).is_some());
    assert_eq!((table.still_mapped(), table.mapping_tables()), (0, 2));
    // Two tables, two spares, and the one that was taken.
    assert_eq!(table.stock().1, 7 - 2 - 2 - 1);
}

#[test]
fn what_is_in_use_is_retired_once_it_comes_back() {
    let mut entries = [GARBAGE; 0x900];
    let mut table = blocks(&mut entries);
    table.take_out_by(take_out);
    let mut list = FrameList::EMPTY;
    let walk = table.take(Holder::Table(3), &mut list).unwrap();
    let page = table.take(Holder::Task(3), &mut list).unwrap();
    for frame in [walk, page, FrameNumber(0x9000)] {
        table.condemn(frame);
    }
    assert_eq!(table.holder(walk), Holder::Table(3), "in use still");
    let before = table.stock();
    table.give_back(&mut list);
    assert_eq!(table.stock(), (before.0, before.1 + 1, before.2 + 1));
    assert_eq!(
        (table.holder(walk), table.holder(page)),
        (Holder::Retired, Holder::Free)
    );
    assert_eq!(table.still_mapped(), 1);
    // One that was kept for a table is not made one: the first two frames that were handed out.
    let spare = FrameNumber(0x100);
    assert_eq!(table.holder(spare), Holder::Kernel);
    table.condemn(spare);
    assert_eq!(
        (table.holder(spare), table.stock().2),
        (Holder::Retired, before.2 + 2)
    );
    table.take_out_retired();
    let spares = ASKED.with_borrow(|asked| asked.iter().filter_map(|(_, spare)| *spare).collect::<Vec<_>>());
    assert!(!spares.is_empty() && !spares.contains(&spare.0), "{spares:x?}");
    assert_eq!(table.still_mapped(), 0);
}

#[test]
fn what_the_kernel_stands_on_is_not_retired() {
    let mut entries = [GARBAGE; 0x900];
    let mut table = blocks(&mut entries);
    table.take_out_by(take_out);
    let own = table.take(Holder::Kernel, &mut FrameList::EMPTY.clone()).unwrap();
    assert!(!table.retire(own));
    assert_eq!(table.holder(own), Holder::Kernel);
    table.take_out_retired();
    assert_eq!(asked_about(), []);
}
