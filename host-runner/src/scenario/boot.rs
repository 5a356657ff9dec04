//! What a backend is told of a scenario: the boot arguments and the plan.

use seawall_replay::plan::{Plan, PlanError, Step};

use super::{Guest, Inject};

/// `/chosen/bootargs`: `seawall.tasks=load/isolate,bystander,bystander`.
#[must_use]
pub fn arguments(guest: &Guest) -> String {
    let task = |name: &String| match guest.policies.get(name) {
        None => name.clone(),
        Some(policy) => format!("{name}/{policy}"),
    };
    let ease = if guest.vm.ease { " seawall.ease=1" } else { "" };
    format!(
        "seawall.tasks={}{ease}",
        guest.tasks.iter().map(task).collect::<Vec<_>>().join(",")
    )
}

/// The plan, and for each of its steps the injection it was made of: one that names a program becomes a step for each
/// slot which that program begins in.
///
/// # Errors
/// [`PlanError`] when there are too many steps or a syndrome has bits outside ISS.
pub fn plan(guest: &Guest, injections: &[Inject]) -> Result<(Plan, Vec<usize>), PlanError> {
    let mut steps = Vec::new();
    let mut origins = Vec::new();
    for (index, inject) in injections.iter().enumerate() {
        let slots: Vec<Option<u16>> = match &inject.task {
            None => vec![None],
            Some(program) => guest.slots(program).map(Some).collect(),
        };
        for task in slots {
            origins.push(index);
            steps.push(Step {
                task,
                number: inject.checkpoint,
                window: inject.at,
                skip: inject.skip,
                times: inject.times,
                injection: inject.injection,
            });
        }
    }
    Ok((Plan::new(&steps)?, origins))
}
