//! Layouts, held against what KVM was told and against what is cut out of them.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;

const BASE: u64 = 0x8000_0000;

/// The pages that slots cover must be all but the holes, each once, and numbers must differ and stay below the limit.
fn check(layout: &Layout, holes: &[u64]) {
    let mut at = layout.memory().start;
    let mut ids = BTreeSet::new();
    let mut gaps = Vec::new();
    for slot in layout.slots() {
        gaps.extend((at..slot.range.start).step_by(0x1000));
        assert!(slot.range.start < slot.range.end && slot.range.start >= at);
        assert!(ids.insert(slot.id) && slot.id < layout.limit);
        at = slot.range.end;
    }
    gaps.extend((at..layout.memory().end).step_by(0x1000));
    let mut holes = holes.to_vec();
    holes.sort_unstable();
    holes.dedup();
    assert_eq!(gaps, holes);
}

/// KVM's view: it knows what it was told.
fn told(slots: &mut BTreeMap<u32, Range<u64>>, changes: &[Change]) {
    for change in changes {
        match change {
            Change::Remove(slot) => assert_eq!(slots.remove(&slot.id), Some(slot.range.clone())),
            Change::Add(slot) => assert_eq!(slots.insert(slot.id, slot.range.clone()), None),
        }
    }
}

#[test]
fn any_thousand_holes_leave_exactly_themselves_uncovered() {
    let mut layout = Layout::new(BASE..BASE + (64 << 20), 32_764).unwrap();
    let mut kvm: BTreeMap<u32, Range<u64>> = layout.slots().map(|s| (s.id, s.range.clone())).collect();
    let mut holes = Vec::new();
    let mut state = 1_u64;
    for _ in 0..1000 {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        let page = BASE + ((state >> 33) % (64 << 8)) * PAGE;
        told(&mut kvm, &layout.open(page).unwrap());
        holes.push(page);
    }
    check(&layout, &holes);
    assert!(layout.slots().all(|slot| kvm.get(&slot.id) == Some(&slot.range)));
    assert_eq!(kvm.len(), layout.slots().count());
}

#[test]
fn the_edges_and_whole_slots_can_be_holes() {
    let end = BASE + (2 << 20);
    let mut layout = Layout::new(BASE..end, 64).unwrap();
    let pages = [BASE, end - PAGE, BASE + PAGE, BASE + 3 * PAGE, BASE + 2 * PAGE];
    for page in pages {
        assert!(!layout.open(page).unwrap().is_empty());
        assert_eq!(layout.open(page), Ok(Vec::new()), "a hole stays one");
    }
    check(&layout, &pages);
    for page in (BASE..end).step_by(0x1000) {
        layout.open(page).unwrap();
    }
    assert_eq!(layout.slots().count(), 0);
}

#[test]
fn a_hole_costs_only_its_neighbourhood_the_second_time() {
    let mut layout = Layout::new(BASE..BASE + (64 << 20), 32_764).unwrap();
    layout.open(BASE + (8 << 20)).unwrap();
    let changes = layout.open(BASE + (8 << 20) + 2 * PAGE).unwrap();
    assert!(matches!(&changes[0], Change::Remove(slot) if slot.range.end - slot.range.start <= LEAF));
    assert_eq!(changes.len(), 3);
}

#[test]
fn a_read_only_page_is_covered_alone_and_can_still_become_a_hole() {
    let mut layout = Layout::new(BASE..BASE + (64 << 20), 32_764).unwrap();
    let mut kvm: BTreeMap<u32, Range<u64>> = layout.slots().map(|s| (s.id, s.range.clone())).collect();
    let page = BASE + (8 << 20);
    for at in [page, page + PAGE, BASE, BASE + (64 << 20) - PAGE] {
        let changes = layout.protect(at).unwrap();
        told(&mut kvm, &changes);
        assert_eq!(layout.protect(at), Ok(Vec::new()), "it stays so");
        let of_page = layout.slots().find(|slot| slot.range.contains(&at)).unwrap();
        assert_eq!((of_page.range.clone(), of_page.read_only), (at..at + PAGE, true));
    }
    check(&layout, &[]);
    assert_eq!(layout.slots().filter(|slot| slot.read_only).count(), 4);
    told(&mut kvm, &layout.open(page).unwrap());
    check(&layout, &[page]);
    assert_eq!(layout.protect(page), Ok(Vec::new()), "a hole stays one");
    assert!(layout.slots().all(|slot| kvm.get(&slot.id) == Some(&slot.range)));
    assert_eq!(
        Layout::new(BASE..BASE + (2 << 20), 2)
            .unwrap()
            .protect(BASE + PAGE),
        Err(NoSlotLeft(2))
    );
}

#[test]
fn too_few_slots_are_said_and_change_nothing() {
    assert_eq!(
        Layout::new(BASE..BASE + (256 << 20), 3).unwrap_err(),
        NoSlotLeft(3)
    );
    let mut layout = Layout::new(BASE..BASE + (2 << 20), 2).unwrap();
    // Not enough for halves, but for the two sides.
    assert_eq!(layout.open(BASE + PAGE).unwrap().len(), 3);
    assert_eq!(layout.open(BASE + 3 * PAGE), Err(NoSlotLeft(2)));
    check(&layout, &[BASE + PAGE]);
    assert_eq!(layout.open(BASE).unwrap().len(), 1, "a whole slot can go");
}

/// What is done to a page.
#[derive(Clone, Copy, Debug)]
enum Step {
    Open,
    Protect,
    Close,
}

/// Pages near each other and far apart: an end of a range of leaves, of blocks, anywhere.
fn page(pages: u64) -> impl Strategy<Value = u64> {
    prop_oneof![0..64_u64, (pages - 64)..pages, 16_360..16_400_u64, 0..pages]
        .prop_map(move |page| BASE + page.min(pages - 1) * PAGE)
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![Just(Step::Open), Just(Step::Protect), Just(Step::Close)]
}

proptest! {
    #[test]
    fn any_sequence_of_open_protect_and_close_covers_what_it_should_and_joins_to_what_was(
        // Blocks and a half, so that the last one is cut short; and so few slots that halves find no room.
        steps in proptest::collection::vec((step(), page(20_480)), 1..80),
        limit in prop_oneof![Just(32_764_u32), 4..40_u32],
    ) {
        let memory = BASE..BASE + 20_480 * PAGE;
        let mut layout = Layout::new(memory.clone(), limit).unwrap();
        let start: Vec<(Range<u64>, bool)> = shape(&layout);
        let mut kvm: BTreeMap<u32, Range<u64>> = layout.slots().map(|s| (s.id, s.range.clone())).collect();
        let (mut holes, mut protected) = (BTreeSet::new(), BTreeSet::new());
        for (step, page) in steps {
            let before = shape(&layout);
            let changes = match step {
                Step::Open => layout.open(page),
                Step::Protect => layout.protect(page),
                Step::Close => layout.close(page),
            };
            let Ok(changes) = changes else {
                prop_assert_eq!(before, shape(&layout), "what was refused has changed something");
                continue;
            };
            match step {
                Step::Open => {
                    protected.remove(&page);
                    holes.insert(page);
                }
                Step::Protect if holes.contains(&page) => {}
                Step::Protect => {
                    protected.insert(page);
                }
                Step::Close => {
                    holes.remove(&page);
                    protected.remove(&page);
                }
            }
            told(&mut kvm, &changes);
            check(&layout, &holes.iter().copied().collect::<Vec<_>>());
            let read_only: BTreeSet<u64> =
                layout.slots().filter(|slot| slot.read_only).map(|slot| slot.range.start).collect();
            prop_assert_eq!(&read_only, &protected);
            prop_assert!(kvm.len() <= usize::try_from(limit).unwrap());
            prop_assert!(layout.slots().all(|slot| kvm.get(&slot.id) == Some(&slot.range)));
            prop_assert_eq!(kvm.len(), layout.slots().count());
            if limit > 1000 {
                // Each page that is cut out halves its block down to a leaf once, and cuts that in two or three.
                let cut = holes.len() + protected.len();
                prop_assert!(kvm.len() <= start.len() + cut * (10 + 3));
            }
        }
        for page in holes.into_iter().chain(protected) {
            // One after the other, whatever the order, each finds room: what it joins is as many slots, or more.
            if layout.close(page).is_err() {
                prop_assert!(limit < 1000);
                return Ok(());
            }
        }
        prop_assert_eq!(start, shape(&layout));
    }
}

fn shape(layout: &Layout) -> Vec<(Range<u64>, bool)> {
    layout
        .slots()
        .map(|slot| (slot.range.clone(), slot.read_only))
        .collect()
}

#[test]
fn pages_that_are_given_back_are_joined_step_by_step() {
    let memory = BASE..BASE + (64 << 20);
    let mut layout = Layout::new(memory.clone(), 32_764).unwrap();
    let (first, second, far) = (BASE + 5 * PAGE, BASE + 9 * PAGE, BASE + (48 << 20));
    for page in [first, second, far] {
        layout.open(page).unwrap();
    }
    let of = |layout: &Layout, page: u64| {
        let slot = layout.slots().find(|slot| slot.range.contains(&page)).unwrap();
        slot.range.clone()
    };
    // Between the other hole of its leaf and the leaf's end.
    layout.close(first).unwrap();
    assert_eq!(of(&layout, first), BASE..second);
    // The half of the block that has no hole in it.
    layout.close(second).unwrap();
    assert_eq!(of(&layout, first), BASE..BASE + (32 << 20));
    // All.
    layout.close(far).unwrap();
    assert_eq!(shape(&layout), [(memory, false)]);
    assert_eq!(layout.close(far), Ok(Vec::new()), "it is back already");
}

#[test]
fn books_about_as_many_pages_as_there_is_room_for_take_no_memory_later() {
    let mut layout = Layout::new(BASE..BASE + (1 << 30), 32_764).unwrap();
    layout.make_room(1000);
    let room = |layout: &Layout| (layout.slots.room(), layout.freed.capacity());
    let (before, mut state) = (room(&layout), 1_u64);
    // Far apart, so that each cuts a large slot; every third is given back, every other kept as a page of its own.
    for number in 0..1000 {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        let page = BASE + ((state >> 33) % (1 << 18)) * PAGE;
        match number % 3 {
            0 => layout.open(page).map(|_| ()),
            1 => layout.protect(page).map(|_| ()),
            _ => layout.open(page).and_then(|_| layout.close(page)).map(|_| ()),
        }
        .unwrap();
    }
    assert!(layout.slots.len() > 3000, "{}", layout.slots.len());
    assert_eq!(room(&layout), before);
    // More than the host has slots are never written.
    layout.make_room(usize::MAX);
    assert_eq!(layout.slots.room(), 32_764);
}
