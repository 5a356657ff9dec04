//! Announces a page, and waits while another task reads it.
#![no_std]
#![no_main]

use seawall_firmware::calls::SLEEP;
use seawall_tasks::{Page, call};

seawall_tasks::touch!(TARGET: Page::marked(0x40), |_| call(SLEEP, 500_000_000, 0, 0) == 0);
