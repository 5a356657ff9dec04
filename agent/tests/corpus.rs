//! ESRs that real machines logged, with what the machine was and what it printed itself. Taken by hand from the
//! project's corpus of public reports; `id` is the report's name there.

use seawall_agent::syndrome::Class;
use seawall_agent::{Esr, Severity, explain};

/// One report: its name, the machine and what it printed, the value, and what it means.
struct Report {
    id: &'static str,
    machine: &'static str,
    printed: &'static str,
    esr: u64,
    class: Class,
    severity: Severity,
    /// Fields by name: a number, or `None` where the field means nothing.
    fields: &'static [(&'static str, Option<u64>)],
}

#[rustfmt::skip]
const REPORTS: [Report; 15] = [
    Report {
        id: "ls1046a-frwy-sea-96000210", machine: "LS1046A FRWY Board",
        printed: "DABT (current EL), IL = 32 bits, SET = 0, FnV = 0, EA = 1, S1PTW = 0, ISV = 0, CM = 0, WnR = 0",
        esr: 0x9600_0210, class: Class::DataAbortCurrent, severity: Severity::Recoverable,
        fields: &[("il", Some(1)), ("set", Some(0)), ("fnv", Some(0)), ("ea", Some(1)), ("s1ptw", Some(0)),
                  ("isv", Some(0)), ("cm", Some(0)), ("wnr", Some(0)), ("fsc", Some(0x10))],
    },
    Report {
        id: "rpi3b-baremetal-gic-sea-96000010", machine: "Raspberry Pi 3B",
        printed: "DABT (current EL), IL = 32 bits, SET = 0, FnV = 0, EA = 0, S1PTW = 0, CM = 0, WnR = 0",
        esr: 0x9600_0010, class: Class::DataAbortCurrent, severity: Severity::Recoverable,
        fields: &[("il", Some(1)), ("set", Some(0)), ("fnv", Some(0)), ("ea", Some(0)), ("s1ptw", Some(0)),
                  ("cm", Some(0)), ("wnr", Some(0)), ("fsc", Some(0x10))],
    },
    Report {
        id: "kunpeng-l1-inject-sea-96000610", machine: "Huawei TaiShan 2280 V2 (Kunpeng 920)",
        printed: "synchronous external abort",
        esr: 0x9600_0610, class: Class::DataAbortCurrent, severity: Severity::Recoverable,
        fields: &[("fnv", Some(1)), ("ea", Some(1)), ("fnp", None)],
    },
    Report {
        id: "aarch64-server-qemu-user-sea-92000610", machine: "arm64 server, in EL0",
        printed: "synchronous external abort (0x92000610) at 0x0000000000429958, though FnV is 1",
        esr: 0x9200_0610, class: Class::DataAbortLower, severity: Severity::Recoverable,
        fields: &[("fnv", Some(1)), ("ea", Some(1))],
    },
    Report {
        id: "prod-grace-lp5x-sea-96000410", machine: "arm64 server with LP5x memory, a multi-bit ECC error",
        printed: "synchronous external abort",
        esr: 0x9600_0410, class: Class::DataAbortCurrent, severity: Severity::Recoverable,
        fields: &[("fnv", Some(1)), ("ea", Some(0)), ("fsc", Some(0x10))],
    },
    Report {
        id: "qemu-secram-sea-96000050", machine: "QEMU virt",
        printed: "synchronous external abort, in new_slab",
        esr: 0x9600_0050, class: Class::DataAbortCurrent, severity: Severity::Recoverable,
        fields: &[("wnr", Some(1)), ("fnv", Some(0))],
    },
    Report {
        id: "rb3gen2-iabt-sea-86000010", machine: "Qualcomm Robotics RB3gen2",
        printed: "synchronous external abort: 0000000086000010",
        esr: 0x8600_0010, class: Class::InstructionAbortCurrent, severity: Severity::Recoverable,
        fields: &[("set", Some(0)), ("fnv", Some(0)), ("fsc", Some(0x10))],
    },
    Report {
        id: "am62-tfa-ddr-ecc-2bit-92000210", machine: "TI K3 AM62x, a multi-bit ECC error",
        printed: "DDR ECC Multi-bit error detected; syndrome=0x92000210",
        esr: 0x9200_0210, class: Class::DataAbortLower, severity: Severity::Recoverable,
        fields: &[("ea", Some(1)), ("fnv", Some(0)), ("fsc", Some(0x10))],
    },
    Report {
        id: "odroid-m1-serror-be000011", machine: "Hardkernel ODROID-M1 (RK3568)",
        printed: "SError Interrupt on CPU3, code 0xbe000011",
        esr: 0xbe00_0011, class: Class::SError, severity: Severity::Uncontainable,
        fields: &[("ids", Some(0)), ("aet", Some(0)), ("dfsc", Some(0x11)), ("iesb", Some(0)), ("wnr", None)],
    },
    Report {
        id: "rock5b-gpu-domain-serror-be000411", machine: "Radxa ROCK 5B (RK3588)",
        printed: "SError Interrupt, code 0xbe000411",
        esr: 0xbe00_0411, class: Class::SError, severity: Severity::Unrecoverable,
        fields: &[("ids", Some(0)), ("aet", Some(1)), ("dfsc", Some(0x11))],
    },
    Report {
        id: "altra-devplatform-pci-serror-be000411", machine: "Adlink Ampere Altra Developer Platform",
        printed: "SError Interrupt, code 0xbe000411",
        esr: 0xbe00_0411, class: Class::SError, severity: Severity::Unrecoverable,
        fields: &[("aet", Some(1)), ("ea", Some(0))],
    },
    Report {
        id: "rb3gen2-smmu-serror-be000000", machine: "Qualcomm Robotics RB3gen2",
        printed: "SError Interrupt on CPU5, code 0x00000000be000000",
        esr: 0xbe00_0000, class: Class::SError, severity: Severity::Uncontainable,
        fields: &[("ids", Some(0)), ("dfsc", Some(0)), ("aet", None), ("ea", None)],
    },
    Report {
        id: "rockpro64-pcie-cfg-serror-bf000002", machine: "Pine64 RockPro64 v2.0 (RK3399)",
        printed: "SError Interrupt, code 0xbf000002",
        esr: 0xbf00_0002, class: Class::SError, severity: Severity::Uncontainable,
        fields: &[("ids", Some(1)), ("impdef", Some(2)), ("aet", None), ("dfsc", None)],
    },
    Report {
        id: "j721s2-wave5-serror-bf000000", machine: "Texas Instruments J721S2 EVM",
        printed: "SError Interrupt, code 0xbf000000",
        esr: 0xbf00_0000, class: Class::SError, severity: Severity::Uncontainable,
        fields: &[("ids", Some(1)), ("impdef", Some(0)), ("dfsc", None)],
    },
    Report {
        id: "jetson-tx2-lzma-serror-bf40c000", machine: "nvidia p2771-0000 (Jetson TX2)",
        printed: "SError Interrupt on CPU0, code 0xbf40c000",
        esr: 0xbf40_c000, class: Class::SError, severity: Severity::Uncontainable,
        fields: &[("ids", Some(1)), ("impdef", Some(0x40_c000)), ("vfv", None), ("pfv", None)],
    },
];

#[test]
fn what_real_machines_logged_is_read_as_they_printed_it() {
    for report in &REPORTS {
        let what = format!(
            "{} on {}, which printed {:?}",
            report.id, report.machine, report.printed
        );
        let explanation = explain(Esr(report.esr));
        assert_eq!(Esr(report.esr).class(), report.class, "{what}");
        assert_eq!(explanation.severity, Some(report.severity), "{what}");
        for &(name, value) in report.fields {
            let field = explanation
                .fields
                .get(name)
                .unwrap_or_else(|| panic!("no field {name}: {what}"));
            let found = field.absent.is_none().then_some(field.value);
            assert_eq!(found, value, "{name}: {what}");
        }
    }
}
