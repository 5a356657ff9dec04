//! The boot arguments: which programs to run, and what becomes of each when it meets a memory error.
//!
//! `seawall.tasks=load/isolate,store/restart:3/10s,bystander` starts three tasks, in slots 1, 2 and 3. What stands behind
//! the first `/` is the task's [policy](crate::policy); where nothing does, it is the program's own. `seawall.stay=60`
//! keeps the guest running for at least a minute, with its bystanders at work: time for somebody to inject by hand.
//! `seawall.ease=1` sets SCTLR2_EL1.EASE, so that aborts come by the SError vector. Arguments of other prefixes are
//! somebody else's.

use crate::policy::Policy;

/// More tasks than this cannot be started from the boot arguments.
pub const MAX_TASKS: usize = 32;

/// What is run when the boot arguments name nothing: each program that meets an abort where a replayer is, and passes
/// where none is, beside two that watch for damage.
pub const DEFAULT_TASKS: &str = "load,store,pair,fetch,walk,serror,bystander,bystander";

/// One task to start.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TaskSpec<'a> {
    /// The program's name.
    pub program: &'a str,
    /// What becomes of it; nothing when its own program is to say.
    pub policy: Option<Policy>,
}

/// What is wrong with the boot arguments.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ArgumentError<'a> {
    /// `{0}` is not an argument of seawall.
    UnknownKey(&'a str),
    /// `{0}` is no policy.
    UnknownPolicy(&'a str),
    /// More than 32 tasks, or none.
    TaskCount,
    /// `{0}` is not a number of seconds.
    BadSeconds(&'a str),
    /// `{0}` is neither 0 nor 1.
    BadSwitch(&'a str),
}

impl core::fmt::Display for ArgumentError<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::UnknownKey(key) => write!(
                f,
                "boot argument `{key}` is unknown; there are seawall.tasks, seawall.stay and seawall.ease"
            ),
            Self::UnknownPolicy(policy) => {
                write!(
                    f,
                    "boot argument: policy `{policy}` is unknown; there are kill, isolate, restart:N, \
                     restart:N/10s (or 500ms), each also behind signal+ or nosignal+"
                )
            }
            Self::BadSeconds(value) => {
                write!(
                    f,
                    "boot argument seawall.stay: `{value}` is no number of seconds up to {MAX_STAY}"
                )
            }
            Self::BadSwitch(value) => {
                write!(f, "boot argument seawall.ease: `{value}` is neither 0 nor 1")
            }
            Self::TaskCount => write!(
                f,
                "boot argument seawall.tasks names none or more than {MAX_TASKS} tasks"
            ),
        }
    }
}

/// More seconds than this are refused.
pub const MAX_STAY: u64 = 86_400;

/// Checked boot arguments.
#[derive(Clone, Copy, Debug)]
pub struct Arguments<'a> {
    list: &'a str,
    /// For how many seconds at least the guest runs.
    pub stay: u64,
    /// Whether synchronous external aborts are to come by the SError vector.
    pub ease: bool,
}

impl<'a> Arguments<'a> {
    /// Reads and checks the whole boot arguments.
    ///
    /// # Errors
    /// See [`ArgumentError`]; nothing is started from bad arguments.
    pub fn parse(arguments: &'a str) -> Result<Self, ArgumentError<'a>> {
        let (mut list, mut stay, mut ease) = (DEFAULT_TASKS, 0, false);
        for argument in arguments.split_ascii_whitespace() {
            let Some(ours) = argument.strip_prefix("seawall.") else {
                continue;
            };
            match ours.split_once('=') {
                Some(("tasks", value)) => list = value,
                Some(("stay", value)) => {
                    let seconds = value.parse().ok().filter(|seconds| *seconds <= MAX_STAY);
                    stay = seconds.ok_or(ArgumentError::BadSeconds(value))?;
                }
                Some(("ease", "0")) => ease = false,
                Some(("ease", "1")) => ease = true,
                Some(("ease", value)) => return Err(ArgumentError::BadSwitch(value)),
                _ => return Err(ArgumentError::UnknownKey(argument)),
            }
        }
        let mut count = 0;
        for entry in list.split(',') {
            spec(entry)?;
            count += 1;
        }
        if list.is_empty() || count > MAX_TASKS {
            Err(ArgumentError::TaskCount)
        } else {
            Ok(Arguments { list, stay, ease })
        }
    }

    /// The tasks, in the order of their slots.
    pub fn tasks(&self) -> impl Iterator<Item = TaskSpec<'a>> + use<'a> {
        self.list.split(',').filter_map(|entry| spec(entry).ok())
    }
}

fn spec(entry: &str) -> Result<TaskSpec<'_>, ArgumentError<'_>> {
    let Some((program, policy)) = entry.split_once('/') else {
        let (program, policy) = (entry, None);
        return Ok(TaskSpec { program, policy });
    };
    let policy = Some(Policy::parse(policy).ok_or(ArgumentError::UnknownPolicy(policy))?);
    Ok(TaskSpec { program, policy })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tasks_keep_their_order_and_their_remedies() {
        let tasks = Arguments::parse(
            "console=ttyAMA0 seawall.tasks=load/isolate,store/restart:3/10s,pair/kill,bystander",
        )
        .unwrap();
        let read: Vec<_> = tasks.tasks().map(|t| (t.program, t.policy)).collect();
        assert_eq!(
            read,
            [
                ("load", Policy::parse("isolate")),
                ("store", Policy::parse("restart:3/10s")),
                ("pair", Some(Policy::DEFAULT)),
                ("bystander", None)
            ]
        );
    }

    #[test]
    fn bad_arguments_are_named() {
        for (arguments, error) in [
            (
                "seawall.task=load",
                ArgumentError::UnknownKey("seawall.task=load"),
            ),
            ("seawall.tasks", ArgumentError::UnknownKey("seawall.tasks")),
            ("seawall.tasks=load/heal", ArgumentError::UnknownPolicy("heal")),
            (
                "seawall.tasks=load/restart:x",
                ArgumentError::UnknownPolicy("restart:x"),
            ),
            (
                "seawall.tasks=load/restart",
                ArgumentError::UnknownPolicy("restart"),
            ),
            ("seawall.tasks=", ArgumentError::TaskCount),
            ("seawall.stay=soon", ArgumentError::BadSeconds("soon")),
            ("seawall.stay=86401", ArgumentError::BadSeconds("86401")),
        ] {
            assert_eq!(Arguments::parse(arguments).unwrap_err(), error, "{arguments}");
        }
        let many = format!("seawall.tasks={}", ["load"; 33].join(","));
        assert_eq!(Arguments::parse(&many).unwrap_err(), ArgumentError::TaskCount);
    }

    #[test]
    fn ease_is_a_switch_and_off_where_nothing_is_said() {
        let ease = |arguments| Arguments::parse(arguments).map(|parsed| parsed.ease);
        assert_eq!(ease(""), Ok(false));
        assert_eq!(ease("seawall.ease=0"), Ok(false));
        assert_eq!(ease("seawall.ease=1 seawall.tasks=load"), Ok(true));
        assert_eq!(ease("seawall.ease=yes"), Err(ArgumentError::BadSwitch("yes")));
    }

    #[test]
    fn a_stay_is_a_number_of_seconds() {
        assert_eq!(Arguments::parse("seawall.stay=60").unwrap().stay, 60);
        assert_eq!(Arguments::parse("").unwrap().stay, 0);
    }

    #[test]
    fn without_arguments_the_default_tasks_run() {
        assert_eq!(
            Arguments::parse("quiet")
                .unwrap()
                .tasks()
                .filter(|t| t.program == "bystander")
                .count(),
            2
        );
    }
}
