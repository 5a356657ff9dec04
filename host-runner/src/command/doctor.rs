//! `seawall doctor`: what this host can do.

use std::io::{self, Write};

use anstream::AutoStream;
use clap::{Args, ValueEnum};

use super::{ColourChoice, Exit, complain};
use crate::doctor::{self, Rows, Scope};
use crate::lab::Lab;
use crate::run::BackendName;
use crate::run::place::PlaceArguments;

/// What `seawall doctor` can be told.
#[derive(Args, Debug)]
pub(super) struct DoctorArguments {
    /// Ask about one backend alone; the lab is booted and asked from inside
    #[arg(long, value_enum, default_value = "auto")]
    backend: BackendName,
    /// How to report
    #[arg(long, value_enum, default_value = "text")]
    format: DoctorFormat,
    #[command(flatten)]
    place: PlaceArguments,
    /// When to use colours
    #[arg(long, value_enum, default_value = "auto")]
    color: ColourChoice,
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
        BackendName::Auto => Scope::All,
        BackendName::Kvm => Scope::Kvm,
        BackendName::Qemu => Scope::Qemu,
        BackendName::Lab => {
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
        DoctorFormat::Text => doctor::text::draw(rows, &mut out),
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
