//! `seawall doctor`: what this host can do.

use std::io::{self, Write};

use anstream::AutoStream;
use clap::{Args, ValueEnum};

use super::{ColourChoice, Exit, complain};
use crate::doctor::{self, Rows, Scope};
use crate::lab::Lab;
use crate::run::place::PlaceArguments;
use crate::width;

/// What `seawall doctor` can be told.
#[derive(Args, Debug)]
pub(super) struct DoctorArguments {
    /// Which backends to ask about
    #[arg(long, value_enum, default_value = "auto")]
    backend: Asked,
    /// How to report
    #[arg(long, value_enum, default_value = "text")]
    format: DoctorFormat,
    #[command(flatten)]
    place: PlaceArguments,
    /// When to use colours
    #[arg(long, value_enum, default_value = "auto")]
    color: ColourChoice,
}

/// The same words as for `seawall run`, with what they mean here.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
enum Asked {
    /// This host and all backends; the lab as far as it can be told without booting it
    Auto,
    /// This host's own KVM alone
    Kvm,
    /// Boot the lab, and ask the KVM inside it
    Lab,
    /// The shim on plain QEMU alone
    Qemu,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
enum DoctorFormat {
    /// For people
    Text,
    /// One JSON object a line
    Ndjson,
}

pub(super) fn doctor(arguments: &DoctorArguments) -> Exit {
    let scope = match arguments.backend {
        Asked::Auto => Scope::All,
        Asked::Kvm => Scope::Kvm,
        Asked::Qemu => Scope::Qemu,
        Asked::Lab => {
            let place = &arguments.place;
            let rows = Lab::find(&place.folder(), place.kernel.as_deref()).and_then(|lab| {
                say!("seawall: the lab boots {}", lab.kernel.display());
                doctor::inside::look(&Lab {
                    image: place.image.clone().unwrap_or_else(|| lab.image.clone()),
                    ..lab
                })
            });
            return match rows {
                Ok(rows) => report(&rows, arguments),
                Err(missing) => {
                    complain::about_missing("lab", &missing);
                    Exit::Environment
                }
            };
        }
    };
    report(
        &doctor::judge(&doctor::gather(&arguments.place), scope),
        arguments,
    )
}

fn report(rows: &[Rows], arguments: &DoctorArguments) -> Exit {
    let mut out = AutoStream::new(io::stdout(), arguments.color.anstream());
    let written = match arguments.format {
        DoctorFormat::Text => doctor::text::draw(rows, width::of_stdout(), &mut out),
        DoctorFormat::Ndjson => rows.iter().try_for_each(|row| {
            serde_json::to_writer(&mut out, row)?;
            writeln!(out)
        }),
    };
    match complain::about_writing(written.and_then(|()| out.flush())) {
        Exit::Pass if !doctor::can_run(rows) => Exit::Environment,
        exit => exit,
    }
}
