//! The cases: what is wrong, and how it must come out.

use anyhow::{Context, Result};
use dtoolkit::model::DeviceTreeProperty;

use super::trees::{Trees, header, named};
use super::{Case, Expected, IMAGE, MEMORY_MIB, NOWHERE, RAM, TREE};

const NO_TREE: Expected = Expected::Says("seawall: there is no device tree where x0 points");
const CORRUPT: Expected = Expected::Says("seawall: the device tree is cut or corrupt");
const CLEAN: Expected = Expected::Says("seawall: verdict: clean");

pub(super) fn cases(trees: &Trees, image: &[u8]) -> Result<Vec<Case>> {
    let mut all = wrong_trees(trees);
    all.extend(wrong_machines(trees)?);
    all.extend(wrong_places(trees, image)?);
    all.extend(wrong_arguments(trees)?);
    Ok(all)
}

/// What is no tree, or no whole one.
fn wrong_trees(trees: &Trees) -> Vec<Case> {
    let usual = || trees.usual.clone();
    let half = || usual()[..trees.usual.len() / 2].to_vec();
    let half_length = u32::try_from(trees.usual.len() / 2).unwrap_or(u32::MAX);
    let last_page = RAM + (MEMORY_MIB << 20) - 0x4000;
    let case = Case::new;
    let mut all = vec![
        case("the good tree boots", CLEAN).tree(usual()),
        case("no tree, entered at EL1", NO_TREE),
        Case {
            el2: true,
            ..case("no tree, entered at EL2", NO_TREE)
        },
        case("a tree without its second half", CORRUPT).tree(half()),
        case("a tree cut in half that knows of it", CORRUPT).tree(header(half(), 4, half_length)),
        case("a corrupt magic", NO_TREE).tree(header(usual(), 0, 0xd00d_feee)),
        case("a length beyond all bounds", NO_TREE).tree(header(usual(), 4, u32::MAX)),
        case("a length of zero", CORRUPT).tree(header(usual(), 4, 0)),
        case("a tree beyond the end of memory", NO_TREE).tree_at(last_page, header(usual(), 4, 0x10_0000)),
        case("a structure block beyond the tree", CORRUPT).tree(header(usual(), 8, 0x00ff_fff0)),
        Case {
            x0: Some(TREE + 4),
            ..case("x0 on no boundary", NO_TREE).tree(usual())
        },
        Case {
            x0: Some(NOWHERE),
            ..case("x0 where nothing is", NO_TREE)
        },
        Case {
            x0: Some(1 << 52),
            ..case("x0 beyond all addresses", NO_TREE)
        },
        Case {
            x0: Some(RAM + 0x30_0000),
            ..case("x0 in empty memory", NO_TREE)
        },
    ];
    for seed in 1..=8 {
        let name = format!("flipped bits, seed {seed}");
        all.push(Case::new(&name, Expected::Verdict).tree(trees.flipped(seed * 0x9e37_79b9)));
    }
    all
}

/// Whole trees of machines on which the guest cannot run, or of which it must not believe all.
fn wrong_machines(trees: &Trees) -> Result<Vec<Case>> {
    let memory = MEMORY_MIB << 20;
    let case = |name, says, tree| Case::new(name, Expected::Says(says)).tree(tree);
    let uart_at = |base| trees.with_regions("pl011", &[(base, 0x1000)]);
    let gic_at = |one, other| trees.with_regions("intc", &[(one, 0x1_0000), (other, 0xf6_0000)]);
    let psci = |method: &'static str| {
        trees.with(|root| {
            named(root, "psci")?.add_property(DeviceTreeProperty::new_unchecked("method", method));
            Ok(())
        })
    };
    let many: Vec<_> = (0..17).map(|n| (RAM + 0x100_0000 + n * 0x2000, 0x1000)).collect();
    let clean = "seawall: verdict: clean";
    let no_gic = "the device tree has no usable interrupt controller";
    let deaf_gic = "the interrupt controller does not answer";
    let uart_lost = "the device tree puts the serial port over something else";
    let gic_lost = "the device tree puts the interrupt controller over something else";
    Ok(vec![
        Case::new("no serial port", Expected::Silence).tree(trees.without("pl011")?),
        case(
            "a serial port inside memory",
            uart_lost,
            uart_at(RAM + 0x100_0000)?,
        ),
        case("a serial port inside the Image", uart_lost, uart_at(IMAGE)?),
        case(
            "a serial port beyond all addresses",
            uart_lost,
            uart_at(u64::MAX - 0xfff)?,
        ),
        case("a serial port where nothing is", clean, uart_at(NOWHERE)?),
        case("a serial port on no boundary", clean, uart_at(0x0900_0001)?),
        case("no interrupt controller", no_gic, trees.without("intc")?),
        case(
            "half an interrupt controller",
            no_gic,
            trees.with_regions("intc", &[(0x0800_0000, 0x1_0000)])?,
        ),
        case(
            "an interrupt controller where nothing is",
            deaf_gic,
            gic_at(NOWHERE, 0x080a_0000)?,
        ),
        case(
            "an interrupt controller that is flash",
            deaf_gic,
            gic_at(0, 0x080a_0000)?,
        ),
        case(
            "redistributors where nothing is",
            deaf_gic,
            gic_at(0x0800_0000, NOWHERE)?,
        ),
        case(
            "redistributors that are flash",
            deaf_gic,
            gic_at(0x0800_0000, 0x0400_0000)?,
        ),
        case(
            "an interrupt controller on no boundary",
            deaf_gic,
            gic_at(0x0800_0001, 0x080a_0000)?,
        ),
        case(
            "an interrupt controller inside memory",
            gic_lost,
            gic_at(RAM, 0x080a_0000)?,
        ),
        case(
            "no timer",
            "the device tree has no usable virtual timer",
            trees.without("timer")?,
        ),
        Case {
            memory_mib: 8,
            ..case(
                "8 MiB of memory",
                "8192 KiB of memory is too little; 16 MiB are needed",
                trees.small.clone(),
            )
        },
        case(
            "no memory",
            "0 KiB of memory is too little",
            trees.without("memory")?,
        ),
        case(
            "memory that overlaps",
            "the device tree puts memory over something else",
            trees.with_regions("memory", &[(RAM, memory), (RAM + memory / 2, memory)])?,
        ),
        case(
            "memory above 256 GiB is not used",
            "128 MiB of memory",
            trees.with_regions("memory", &[(RAM, memory), (256 << 30, 1 << 30)])?,
        ),
        case(
            "all memory reserved",
            "no memory is left for the kernel's books",
            trees.with_reserved(&[(RAM, memory)])?,
        ),
        case(
            "too many reserved regions",
            "the device tree reserves more than 16 regions",
            trees.with_reserved(&many)?,
        ),
        case("no PSCI", clean, trees.without("psci")?),
        case("PSCI by the wrong conduit", clean, psci("smc")?),
        case("PSCI by no known conduit", clean, psci("svc")?),
        Case {
            el2: true,
            ..case("PSCI by a conduit to nobody", clean, psci("hvc")?)
        },
    ])
}

/// The Image where it should not be.
fn wrong_places(trees: &Trees, image: &[u8]) -> Result<Vec<Case>> {
    // image_size of the header: all that the kernel takes, to which its heap is the end.
    let taken = image
        .get(16..24)
        .and_then(|raw| raw.try_into().ok())
        .map(u64::from_le_bytes)
        .context("the Image has no header")?;
    let outside = trees.with_regions("memory", &[(RAM + 0x200_0000, 96 << 20)])?;
    let half_outside = trees.with_regions("memory", &[(RAM, 0x20_1000), (RAM + 0x200_0000, 96 << 20)])?;
    let says = Expected::Says;
    let stays = "the Image lies outside of the memory";
    // `b .`
    let spin = 0x1400_0000_u32.to_le_bytes().to_vec();
    Ok(vec![
        Case {
            image_at: IMAGE + 0x1000,
            ..Case::new("an Image on 4 KiB", says("which is not on a 2 MiB boundary"))
                .tree(trees.usual.clone())
        },
        Case {
            image_at: IMAGE + 0x1f_f000,
            ..Case::new(
                "an Image before a 2 MiB boundary",
                says("which is not on a 2 MiB boundary"),
            )
            .tree(trees.usual.clone())
        },
        Case {
            image_at: IMAGE + 0x800,
            ..Case::new(
                "an Image on half a page",
                says("the Image was not loaded on a 2 MiB boundary"),
            )
            .tree(trees.usual.clone())
        },
        Case {
            bare: true,
            x0: Some(0),
            ..Case::new(
                "no tree and nobody to call",
                Expected::Sleep("there is no device tree where x0 points"),
            )
        },
        Case {
            instead: Some(spin),
            ..Case::new("a loop is told from sleep", Expected::Spin)
        },
        Case::new("an Image outside memory", says(stays)).tree(outside),
        Case::new("an Image half outside memory", says(stays)).tree(half_outside),
        Case::new(
            "a tree inside the Image",
            says("the device tree lies inside of the Image"),
        )
        .tree_at((IMAGE + taken - 0x8000) & !0xfff, trees.usual.clone()),
    ])
}

fn wrong_arguments(trees: &Trees) -> Result<Vec<Case>> {
    let many = format!("seawall.tasks={}", ["load"; 40].join(","));
    [
        ("seawall.tasks=nobody", "there is no program `nobody`"),
        (
            "seawall.tasks=load/heal",
            "policy `heal` is unknown; there are kill, isolate, restart:N",
        ),
        (
            "seawall.tasks=load/restart:99999999999",
            "policy `restart:99999999999` is unknown",
        ),
        ("seawall.tasks=", "names none or more than 32 tasks"),
        (
            "seawall.task=load",
            "boot argument `seawall.task=load` is unknown",
        ),
        (&many, "names none or more than 32 tasks"),
    ]
    .into_iter()
    .map(|(arguments, message)| {
        let name: String = arguments.chars().take(30).collect();
        Ok(Case::new(&name, Expected::Says(message)).tree(trees.with_arguments(arguments)?))
    })
    .collect()
}
