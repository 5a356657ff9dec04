//! What stands below the options in each command's help: examples, and how it ends.

pub(super) const EXIT_CODES: &str = "Exit codes: 0 pass, 1 fail, 2 usage or scenario error, 3 environment, 4 all skipped, 5 evacuated, 124 timeout.";

pub(super) const RUN: &str = "\
Examples:
  seawall run =load --backend qemu      the scenario of that very name, on plain QEMU
  seawall run serror --format ktap      all with serror in their names, as KTAP

Exit codes: 0 pass, 1 fail, 2 usage or scenario error, 3 environment, 4 all skipped, 5 evacuated, 124 timeout.";

pub(super) const LIST: &str = "\
Examples:
  seawall list serror                   all with serror in their names
  seawall list --tag random             all that draw their errors from a seed

Exit codes: 0 listed, 2 usage or scenario error, 3 the list cannot be written.";

pub(super) const SHOW: &str = "\
Examples:
  seawall show load                     what it teaches and does
  seawall show load --format toml       its text alone, for a file of your own

Exit codes: 0 shown, 2 usage or scenario error, 3 it cannot be written.";

pub(super) const EXPLAIN: &str = "\
Examples:
  seawall explain 0xbe001811            a value of ESR_ELx
  seawall explain 0x80000c11 --as disr  a value of DISR_EL1

Exit codes: 0 explained, 2 usage error, 3 the answer cannot be written.";
