//! Linux's figures beside the guest's.

use super::rows::ROWS;
use crate::command::complain;
use crate::events::Measure;
use crate::linux::Linux;
use crate::run::place::PlaceArguments;

/// Measures Linux and puts its figures where it has any; says why where it cannot be had. The measures are those of the
/// rows, in their order.
pub(super) fn beside(measures: &mut [Measure], place: &PlaceArguments) {
    let figures = Linux::find(&place.folder(), place.kernel.as_deref()).and_then(|linux| linux.figures());
    match figures {
        Ok(figures) => {
            for (measure, row) in measures.iter_mut().zip(ROWS) {
                if let Some(figure) = row.linux {
                    measure.linux = figures.of(figure);
                    measure.kernel = Some(figures.kernel.clone());
                }
            }
        }
        Err(missing) => complain::about_missing("linux", &missing),
    }
}
