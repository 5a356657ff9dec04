//! Loads a pair of registers, which gives a hypervisor no syndrome to decode, from a page that may be poisoned.
#![no_std]
#![no_main]

use seawall_tasks::{MARK, Page, load_pair};

seawall_tasks::touch!(TARGET: Page::marked(0xc0), |page| load_pair(page + 0xc0) == (MARK, MARK));
