//! The device tree that the runner writes for its guests: everything a guest may count on, and nothing else.

use seawall_replay::port;
use vm_fdt::{FdtWriter, FdtWriterResult};

/// A device's registers, or a range of them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Region {
    /// First byte.
    pub base: u64,
    /// Length in bytes.
    pub bytes: u64,
}

/// A GICv3 [Linux `Documentation/devicetree/bindings/interrupt-controller/arm,gic-v3.yaml`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Gic {
    /// The distributor.
    pub distributor: Region,
    /// The redistributors, 128 KiB for each CPU.
    pub redistributors: Region,
}

/// A board of one CPU.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct GuestTree<'a> {
    /// The guest's memory.
    pub memory: Region,
    /// A PL011, on SPI 1.
    pub uart: u64,
    /// The interrupt controller.
    pub gic: Gic,
    /// The replay port.
    pub port: u64,
    /// `/chosen/bootargs`.
    pub boot_arguments: &'a str,
    /// A file system in memory, for a guest that wants one: Linux.
    pub initrd: Option<Region>,
}

const GIC_PHANDLE: u32 = 1;
const CLOCK_PHANDLE: u32 = 2;

// An interrupt's cells: kind, number, trigger.
const SPI: u32 = 0;
const PPI: u32 = 1;
const LEVEL_HIGH: u32 = 4;
const LEVEL_LOW: u32 = 8;
const UART_SPI: u32 = 1;
const UART_CLOCK_HZ: u32 = 24_000_000;
const PL011_BYTES: u64 = 0x1000;

impl GuestTree<'_> {
    /// The tree as a blob.
    ///
    /// # Errors
    /// Boot arguments with a zero byte in them.
    pub fn write(&self) -> FdtWriterResult<Vec<u8>> {
        let mut fdt = FdtWriter::new()?;
        let root = fdt.begin_node("")?;
        fdt.property_string("compatible", "seawall,guest")?;
        fdt.property_string("model", "Seawall guest")?;
        fdt.property_u32("#address-cells", 2)?;
        fdt.property_u32("#size-cells", 2)?;
        fdt.property_u32("interrupt-parent", GIC_PHANDLE)?;
        self.chosen(&mut fdt)?;
        self.memory(&mut fdt)?;
        cpus(&mut fdt)?;
        psci(&mut fdt)?;
        timer(&mut fdt)?;
        self.interrupt_controller(&mut fdt)?;
        clock(&mut fdt)?;
        self.serial(&mut fdt)?;
        self.replay_port(&mut fdt)?;
        fdt.end_node(root)?;
        fdt.finish()
    }

    fn chosen(&self, fdt: &mut FdtWriter) -> FdtWriterResult<()> {
        let node = fdt.begin_node("chosen")?;
        fdt.property_string("bootargs", self.boot_arguments)?;
        fdt.property_string("stdout-path", &format!("/{}", self.serial_name()))?;
        if let Some(Region { base, bytes }) = self.initrd {
            fdt.property_u64("linux,initrd-start", base)?;
            fdt.property_u64("linux,initrd-end", base.saturating_add(bytes))?;
        }
        fdt.end_node(node)
    }

    fn memory(&self, fdt: &mut FdtWriter) -> FdtWriterResult<()> {
        let node = fdt.begin_node(&format!("memory@{:x}", self.memory.base))?;
        fdt.property_string("device_type", "memory")?;
        reg(fdt, &[self.memory])?;
        fdt.end_node(node)
    }

    fn interrupt_controller(&self, fdt: &mut FdtWriter) -> FdtWriterResult<()> {
        let node = fdt.begin_node(&format!("intc@{:x}", self.gic.distributor.base))?;
        fdt.property_string("compatible", "arm,gic-v3")?;
        fdt.property_null("interrupt-controller")?;
        fdt.property_u32("#interrupt-cells", 3)?;
        reg(fdt, &[self.gic.distributor, self.gic.redistributors])?;
        fdt.property_phandle(GIC_PHANDLE)?;
        fdt.end_node(node)
    }

    fn serial_name(&self) -> String {
        format!("pl011@{:x}", self.uart)
    }

    fn serial(&self, fdt: &mut FdtWriter) -> FdtWriterResult<()> {
        let node = fdt.begin_node(&self.serial_name())?;
        strings(fdt, "compatible", &["arm,pl011", "arm,primecell"])?;
        reg(
            fdt,
            &[Region {
                base: self.uart,
                bytes: PL011_BYTES,
            }],
        )?;
        fdt.property_array_u32("interrupts", &[SPI, UART_SPI, LEVEL_HIGH])?;
        fdt.property_array_u32("clocks", &[CLOCK_PHANDLE, CLOCK_PHANDLE])?;
        strings(fdt, "clock-names", &["uartclk", "apb_pclk"])?;
        fdt.end_node(node)
    }

    fn replay_port(&self, fdt: &mut FdtWriter) -> FdtWriterResult<()> {
        let node = fdt.begin_node(&format!("replay-port@{:x}", self.port))?;
        fdt.property_string("compatible", port::COMPATIBLE)?;
        reg(
            fdt,
            &[Region {
                base: self.port,
                bytes: port::SIZE,
            }],
        )?;
        fdt.end_node(node)
    }
}

fn cpus(fdt: &mut FdtWriter) -> FdtWriterResult<()> {
    let cpus = fdt.begin_node("cpus")?;
    fdt.property_u32("#address-cells", 1)?;
    fdt.property_u32("#size-cells", 0)?;
    let cpu = fdt.begin_node("cpu@0")?;
    fdt.property_string("device_type", "cpu")?;
    fdt.property_string("compatible", "arm,armv8")?;
    fdt.property_u32("reg", 0)?;
    fdt.property_string("enable-method", "psci")?;
    fdt.end_node(cpu)?;
    fdt.end_node(cpus)
}

fn psci(fdt: &mut FdtWriter) -> FdtWriterResult<()> {
    let node = fdt.begin_node("psci")?;
    strings(fdt, "compatible", &["arm,psci-1.0", "arm,psci-0.2"])?;
    fdt.property_string("method", "hvc")?;
    fdt.end_node(node)
}

/// The secure physical, physical, virtual and hypervisor timers, in the binding's order.
fn timer(fdt: &mut FdtWriter) -> FdtWriterResult<()> {
    let node = fdt.begin_node("timer")?;
    fdt.property_string("compatible", "arm,armv8-timer")?;
    let interrupts: Vec<u32> = [13, 14, 11, 10]
        .into_iter()
        .flat_map(|ppi| [PPI, ppi, LEVEL_LOW])
        .collect();
    fdt.property_array_u32("interrupts", &interrupts)?;
    fdt.property_null("always-on")?;
    fdt.end_node(node)
}

fn clock(fdt: &mut FdtWriter) -> FdtWriterResult<()> {
    let node = fdt.begin_node("apb-pclk")?;
    fdt.property_string("compatible", "fixed-clock")?;
    fdt.property_u32("#clock-cells", 0)?;
    fdt.property_u32("clock-frequency", UART_CLOCK_HZ)?;
    fdt.property_string("clock-output-names", "clk24mhz")?;
    fdt.property_phandle(CLOCK_PHANDLE)?;
    fdt.end_node(node)
}

fn reg(fdt: &mut FdtWriter, regions: &[Region]) -> FdtWriterResult<()> {
    let cells: Vec<u64> = regions
        .iter()
        .flat_map(|region| [region.base, region.bytes])
        .collect();
    fdt.property_array_u64("reg", &cells)
}

fn strings(fdt: &mut FdtWriter, name: &str, values: &[&str]) -> FdtWriterResult<()> {
    fdt.property_string_list(name, values.iter().map(ToString::to_string).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use dtoolkit::fdt::Fdt;
    use dtoolkit::{Node, Property};

    const TREE: GuestTree<'static> = GuestTree {
        memory: Region {
            base: 0x5000_0000,
            bytes: 64 << 30,
        },
        uart: 0x0900_0000,
        gic: Gic {
            distributor: Region {
                base: 0x0800_0000,
                bytes: 0x1_0000,
            },
            redistributors: Region {
                base: 0x080a_0000,
                bytes: 0x00f6_0000,
            },
        },
        port: 0x0b00_0000,
        boot_arguments: "tasks=load,spin quiet",
        initrd: Some(Region {
            base: 0x5ff0_0000,
            bytes: 0x8_1234,
        }),
    };

    /// The property's value, read back by another crate.
    fn value(path: &str, name: &str) -> Vec<u8> {
        let blob = TREE.write().unwrap();
        let fdt = Fdt::new(&blob).unwrap();
        let node = fdt.find_node(path).unwrap_or_else(|| panic!("no node {path}"));
        node.property(name)
            .unwrap_or_else(|| panic!("no {name} in {path}"))
            .value()
            .to_vec()
    }

    fn cells(path: &str, name: &str) -> Vec<u32> {
        let cell = |raw: &[u8]| u32::from_be_bytes(raw.try_into().unwrap());
        value(path, name).chunks(4).map(cell).collect()
    }

    #[test]
    fn texts_are_the_bindings_own() {
        for (path, name, text) in [
            ("/chosen", "bootargs", "tasks=load,spin quiet\0"),
            ("/chosen", "stdout-path", "/pl011@9000000\0"),
            ("/memory@50000000", "device_type", "memory\0"),
            ("/cpus/cpu@0", "device_type", "cpu\0"),
            ("/cpus/cpu@0", "compatible", "arm,armv8\0"),
            ("/cpus/cpu@0", "enable-method", "psci\0"),
            ("/psci", "compatible", "arm,psci-1.0\0arm,psci-0.2\0"),
            ("/psci", "method", "hvc\0"),
            ("/timer", "compatible", "arm,armv8-timer\0"),
            ("/intc@8000000", "compatible", "arm,gic-v3\0"),
            ("/intc@8000000", "interrupt-controller", ""),
            ("/apb-pclk", "compatible", "fixed-clock\0"),
            ("/pl011@9000000", "compatible", "arm,pl011\0arm,primecell\0"),
            ("/pl011@9000000", "clock-names", "uartclk\0apb_pclk\0"),
            ("/replay-port@b000000", "compatible", "seawall,replay-port\0"),
        ] {
            assert_eq!(
                String::from_utf8(value(path, name)).unwrap(),
                text,
                "{path} {name}"
            );
        }
    }

    #[test]
    fn numbers_are_the_boards() {
        for (path, name, expected) in [
            ("/", "#address-cells", &[2][..]),
            ("/", "#size-cells", &[2]),
            ("/", "interrupt-parent", &[1]),
            ("/memory@50000000", "reg", &[0, 0x5000_0000, 16, 0]),
            ("/chosen", "linux,initrd-start", &[0, 0x5ff0_0000]),
            ("/chosen", "linux,initrd-end", &[0, 0x5ff8_1234]),
            ("/cpus", "#address-cells", &[1]),
            ("/cpus", "#size-cells", &[0]),
            ("/cpus/cpu@0", "reg", &[0]),
            ("/timer", "interrupts", &[1, 13, 8, 1, 14, 8, 1, 11, 8, 1, 10, 8]),
            (
                "/intc@8000000",
                "reg",
                &[0, 0x0800_0000, 0, 0x1_0000, 0, 0x080a_0000, 0, 0x00f6_0000],
            ),
            ("/intc@8000000", "#interrupt-cells", &[3]),
            ("/intc@8000000", "phandle", &[1]),
            ("/apb-pclk", "clock-frequency", &[24_000_000]),
            ("/apb-pclk", "phandle", &[2]),
            ("/pl011@9000000", "reg", &[0, 0x0900_0000, 0, 0x1000]),
            ("/pl011@9000000", "interrupts", &[0, 1, 4]),
            ("/pl011@9000000", "clocks", &[2, 2]),
            ("/replay-port@b000000", "reg", &[0, 0x0b00_0000, 0, 0x2000]),
        ] {
            assert_eq!(cells(path, name), expected, "{path} {name}");
        }
    }

    #[test]
    fn boot_arguments_with_a_zero_byte_are_refused() {
        assert!(
            GuestTree {
                boot_arguments: "a\0b",
                ..TREE
            }
            .write()
            .is_err()
        );
    }
}
