//! A VM with one vCPU, a GICv3 in the kernel, memory and a board, ready to enter its Image.

use kvm_bindings::{
    KVM_ARM_VCPU_PMU_V3, KVM_ARM_VCPU_PMU_V3_CTRL, KVM_ARM_VCPU_PMU_V3_INIT, KVM_ARM_VCPU_PMU_V3_IRQ,
    KVM_ARM_VCPU_PSCI_0_2, KVM_DEV_ARM_VGIC_CTRL_INIT, KVM_DEV_ARM_VGIC_GRP_ADDR, KVM_DEV_ARM_VGIC_GRP_CTRL,
    KVM_DEV_ARM_VGIC_GRP_NR_IRQS, KVM_VGIC_V3_ADDR_TYPE_DIST, KVM_VGIC_V3_ADDR_TYPE_REDIST,
    kvm_create_device, kvm_device_attr, kvm_device_type_KVM_DEV_TYPE_ARM_VGIC_V3, kvm_enable_cap,
    kvm_vcpu_init,
};
use kvm_ioctls::{DeviceFd, IoEventAddress, Kvm, VcpuFd, VmFd};
use seawall_replay::plan::{Injection, Step};

use super::board::{Board, PORT, UART};
use super::errands::Errands;
use super::later::Later;
use super::memory::{self, Memory};
use super::table::pages_of;
use super::uapi::{KVM_CAP_ARM_NISV_TO_USER, KVM_CAP_ARM_SEA_TO_USER, Register};
use super::{host::Abilities, registers, state, unusual};
use crate::backend::{Missing, Request};
use crate::guest_tree::{Gic, GuestTree, Region};
use crate::saved::{self, ScenarioId};

const DISTRIBUTOR: u64 = 0x0800_0000;
const DISTRIBUTOR_BYTES: u64 = 0x1_0000;
const REDISTRIBUTOR: u64 = 0x080a_0000;
/// Of one CPU: two frames.
const REDISTRIBUTOR_BYTES: u64 = 0x2_0000;
/// Of the UART's data register, its first.
const UART_DATA_BYTES: u32 = 4;
/// The GIC's interrupts, private ones included: as few as KVM allows.
pub(super) const INTERRUPTS: u32 = 64;
/// The PMU's private interrupt, by its number in the GIC: the one that SBSA gives it.
const PMU_INTERRUPT: u32 = 23;

/// Everything a running guest needs; dropped as a whole, in this order.
#[derive(Debug)]
pub(super) struct Machine {
    // Goes before the VM, whose tables it may have to mend.
    pub(super) outside: Option<Errands>,
    pub(super) vcpu: VcpuFd,
    kind: kvm_vcpu_init,
    pub(super) gic: DeviceFd,
    pub(super) board: Board,
    pub(super) memory: Memory,
    pub(super) abilities: Abilities,
    // Under which a save is made; without one, none is.
    pub(super) scenario: Option<ScenarioId>,
    // Of a restored machine that has not run yet: where its time stood.
    pub(super) counters: Vec<saved::Register>,
    /// Without it, an access without a syndrome ends the run.
    pub(super) nisv_exits: bool,
    pub(super) later: Later,
}

/// Why there is no machine.
#[derive(Debug)]
pub(super) enum MachineError {
    /// The host lacks something.
    Missing(Missing),
    /// The guest cannot be built as asked.
    Guest(String),
}

impl From<String> for MachineError {
    fn from(reason: String) -> Self {
        Self::Guest(reason)
    }
}

/// A failed call, named.
fn failed(what: &str) -> impl FnOnce(kvm_ioctls::Error) -> String {
    move |error| format!("{what}: {error}")
}

impl Machine {
    /// Builds it, and loads the guest or what was saved of one.
    ///
    /// # Errors
    /// See [`MachineError`].
    pub(super) fn new(kvm: &Kvm, abilities: Abilities, request: &Request<'_>) -> Result<Self, MachineError> {
        let layout = request.state.saved.map(|saved| &saved.layout);
        let Bare {
            vcpu,
            kind,
            gic,
            mut memory,
        } = Bare::new(kvm, abilities, request, layout)?;
        for step in request.plan.steps() {
            if let Injection::Poison(by) = step.injection {
                memory.prepare(by)?;
            }
        }
        let breaks = |step: Step| step.injection == Injection::HostAbort;
        let outside = if request.plan.steps().any(breaks) {
            memory.keep_small()?;
            Some(Errands::open().map_err(|error| format!("the lab's outside: {error}"))?)
        } else {
            None
        };
        let board = if let Some(saved) = request.state.saved {
            state::restore(&vcpu, &gic, &memory, &abilities, saved)?;
            Board::restored(memory.range(), request.plan, &request.limits, saved)?
        } else {
            load(&vcpu, &memory, request)?;
            Board::new(memory.range(), request.plan, &request.limits)
        };
        // What was out of use before is known, and was paid for on another host.
        let known = request.state.saved.map(|saved| &saved.layout);
        let known = known.into_iter().flat_map(|layout| {
            let poisoned = layout.poisoned.iter().map(|(page, _)| *page);
            layout.holes.iter().copied().chain(poisoned)
        });
        let board = board.under(request.budget, known);
        Ok(Self {
            outside,
            vcpu,
            kind,
            gic,
            board,
            memory,
            abilities,
            scenario: request.state.scenario.cloned(),
            counters: request
                .state
                .saved
                .map_or_else(Vec::new, |saved| state::counters(&saved.registers)),
            nisv_exits: !request.vm.without_nisv_exits,
            later: Later::default(),
        })
    }
}

impl Machine {
    /// Has the guest begin again: its journal is kept, the vCPU as it was at the start, Image and device tree in their
    /// places, and the rest of memory as it is. By a thread that is in no sandbox.
    ///
    /// # Errors
    /// Why it cannot, for people.
    pub(super) fn reboot(&mut self, request: &Request<'_>) -> Result<(), String> {
        let journal = self.board.journal().and_then(|range| self.memory.copy(range));
        self.board.rebooted(journal.unwrap_or_default());
        let loaded = [
            memory::BASE..memory::BASE + tree(request)?.len() as u64,
            memory::image(request.image),
        ];
        // To write there would end the runner.
        if !loaded.iter().all(|range| self.memory.is_sound(range)) {
            return Err(
                "the guest cannot begin again: its Image or its device tree lies on a poisoned page".into(),
            );
        }
        self.vcpu
            .vcpu_init(&self.kind)
            .map_err(failed("KVM_ARM_VCPU_INIT, for a guest that begins again"))?;
        keep_to_psci(&self.vcpu)?;
        self.later = Later::default();
        load(&self.vcpu, &self.memory, request)
    }
}

/// Puts the guest into memory, and its vCPU at its entry.
fn load(vcpu: &VcpuFd, memory: &Memory, request: &Request<'_>) -> Result<(), String> {
    let entry = memory.load_image(request.image)?;
    let tree = memory.load_tree(&tree(request)?)?;
    // [Linux Documentation/arch/arm64/booting.rst] x0 is the device tree; x1 to x3 are zero already, and KVM
    // enters at EL1 with all exceptions masked.
    for (register, value) in [(Register::Pc, entry), (Register::X0, tree)] {
        registers::set(vcpu, register, value).map_err(failed("KVM_SET_ONE_REG"))?;
    }
    Ok(())
}

/// A VM with nothing in its memory yet.
struct Bare {
    kind: kvm_vcpu_init,
    vcpu: VcpuFd,
    gic: DeviceFd,
    memory: Memory,
}

impl Bare {
    fn new(
        kvm: &Kvm,
        abilities: Abilities,
        request: &Request<'_>,
        layout: Option<&saved::Layout>,
    ) -> Result<Self, MachineError> {
        // A VM of type 0 has 40 bits of IPA; hosts with fewer refuse it.
        let vm_type = if abilities.ipa_bits >= 40 {
            0
        } else {
            u64::from(abilities.ipa_bits)
        };
        let vm = kvm
            .create_vm_with_type(vm_type)
            .map_err(failed("KVM_CREATE_VM"))?;
        let enable = |cap| {
            vm.enable_cap(&kvm_enable_cap {
                cap,
                ..kvm_enable_cap::default()
            })
        };
        if !request.vm.without_nisv_exits {
            enable(KVM_CAP_ARM_NISV_TO_USER).map_err(failed("KVM_CAP_ARM_NISV_TO_USER"))?;
        }
        if abilities.sea_to_user {
            enable(KVM_CAP_ARM_SEA_TO_USER).map_err(failed("KVM_CAP_ARM_SEA_TO_USER"))?;
        }

        let mut vcpu = vm.create_vcpu(0).map_err(failed("KVM_CREATE_VCPU"))?;
        let gic = create_gic(&vm)?;
        let kind = initialise(&vm, &vcpu, abilities.pmu, request.vm.el2)?;
        keep_to_psci(&vcpu)?;
        if request.vm.ease {
            unusual::double_fault_2(&vcpu)?;
        }
        attribute(
            &gic,
            KVM_DEV_ARM_VGIC_GRP_CTRL,
            u64::from(KVM_DEV_ARM_VGIC_CTRL_INIT),
            0,
        )
        .map_err(failed("initialising the GIC"))?;
        if abilities.pmu {
            start_pmu(&vcpu).map_err(failed("initialising the PMU"))?;
        }
        if abilities.coalesced {
            coalesce(&vm, &mut vcpu).map_err(failed("coalescing the console"))?;
        }
        let pages = pages_of(
            &request.plan,
            &(memory::BASE..memory::BASE.saturating_add(request.memory_bytes)),
        );
        let memory = Memory::new(vm, request.memory_bytes, abilities.slots, pages, layout)?;
        Ok(Self {
            vcpu,
            kind,
            gic,
            memory,
        })
    }
}

fn tree(request: &Request<'_>) -> Result<Vec<u8>, String> {
    let region = |base, bytes| Region { base, bytes };
    let tree = GuestTree {
        memory: region(memory::BASE, request.memory_bytes),
        uart: UART,
        gic: Gic {
            distributor: region(DISTRIBUTOR, DISTRIBUTOR_BYTES),
            redistributors: region(REDISTRIBUTOR, REDISTRIBUTOR_BYTES),
        },
        port: PORT,
        boot_arguments: request.boot_arguments,
        initrd: None,
    };
    tree.write()
        .map_err(|error| format!("the device tree cannot be written: {error}"))
}

/// Sets one attribute of the GIC; the value itself is at `addr`.
fn attribute(gic: &DeviceFd, group: u32, attr: u64, addr: u64) -> Result<(), kvm_ioctls::Error> {
    gic.set_device_attr(&kvm_device_attr {
        flags: 0,
        group,
        attr,
        addr,
    })
}

fn create_gic(vm: &VmFd) -> Result<DeviceFd, MachineError> {
    let mut device = kvm_create_device {
        type_: kvm_device_type_KVM_DEV_TYPE_ARM_VGIC_V3,
        fd: 0,
        flags: 0,
    };
    let gic = vm.create_device(&mut device).map_err(|error| {
        MachineError::Missing(Missing {
            what: format!("a GICv3 for guests: KVM_CREATE_DEVICE: {error}"),
            fix: "use an arm64 host with a GICv3, or --backend lab".into(),
        })
    })?;
    let places = [
        (KVM_VGIC_V3_ADDR_TYPE_DIST, DISTRIBUTOR),
        (KVM_VGIC_V3_ADDR_TYPE_REDIST, REDISTRIBUTOR),
    ];
    for (kind, base) in places {
        let pointer = (&raw const base).expose_provenance() as u64;
        attribute(&gic, KVM_DEV_ARM_VGIC_GRP_ADDR, u64::from(kind), pointer)
            .map_err(failed("placing the GIC"))?;
    }
    let interrupts = INTERRUPTS;
    let pointer = (&raw const interrupts).expose_provenance() as u64;
    attribute(&gic, KVM_DEV_ARM_VGIC_GRP_NR_IRQS, 0, pointer).map_err(failed("sizing the GIC"))?;
    Ok(gic)
}

fn initialise(vm: &VmFd, vcpu: &VcpuFd, pmu: bool, el2: bool) -> Result<kvm_vcpu_init, String> {
    let mut kind = kvm_vcpu_init::default();
    vm.get_preferred_target(&mut kind)
        .map_err(failed("KVM_ARM_PREFERRED_TARGET"))?;
    kind.features[0] |= 1 << KVM_ARM_VCPU_PSCI_0_2;
    if pmu {
        kind.features[0] |= 1 << KVM_ARM_VCPU_PMU_V3;
    }
    if el2 {
        kind.features[0] |= 1 << unusual::KVM_ARM_VCPU_HAS_EL2;
    }
    vcpu.vcpu_init(&kind).map_err(failed("KVM_ARM_VCPU_INIT"))?;
    Ok(kind)
}

/// Has the guest see PSCI 1.1 (Linux 5.18) where the host has a later one: what is saved here goes on on an older host.
fn keep_to_psci(vcpu: &VcpuFd) -> Result<(), String> {
    const VERSION: u64 = 0x1_0001;
    let offered = registers::get(vcpu, Register::PsciVersion).map_err(failed("reading the PSCI version"))?;
    if offered > VERSION {
        registers::set(vcpu, Register::PsciVersion, VERSION).map_err(failed("choosing PSCI 1.1"))?;
    }
    Ok(())
}

/// Has KVM gather what the guest sends to its console: an exit for each byte would be most of a run's time.
fn coalesce(vm: &VmFd, vcpu: &mut VcpuFd) -> Result<(), kvm_ioctls::Error> {
    vm.register_coalesced_mmio(IoEventAddress::Mmio(UART), UART_DATA_BYTES)?;
    vcpu.map_coalesced_mmio_ring()
}

/// The PMU works once it has an interrupt, which nothing here waits for.
fn start_pmu(vcpu: &VcpuFd) -> Result<(), kvm_ioctls::Error> {
    let interrupt = PMU_INTERRUPT;
    let group = KVM_ARM_VCPU_PMU_V3_CTRL;
    let addr = (&raw const interrupt).expose_provenance() as u64;
    let number = kvm_device_attr {
        flags: 0,
        group,
        attr: u64::from(KVM_ARM_VCPU_PMU_V3_IRQ),
        addr,
    };
    vcpu.set_device_attr(&number)?;
    let init = kvm_device_attr {
        flags: 0,
        group,
        attr: u64::from(KVM_ARM_VCPU_PMU_V3_INIT),
        addr: 0,
    };
    vcpu.set_device_attr(&init)
}
