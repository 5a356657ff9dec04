//! The table of ways is held against the scenario language, the built-in scenarios and what the runner skips for.

use seawall_replay::plan::Injection;

use super::ways::{WAYS, Way};
use crate::kvm::needs::Need;
use crate::scenario::words::{Route, Word as _};
use crate::scenario::{Platform, Scenario, library};

fn of_route(route: &str) -> impl Iterator<Item = &'static Way> {
    WAYS.iter().filter(move |way| way.routes.contains(&route))
}

fn names(way: &Way, need: Need) -> bool {
    way.needs.contains(&need) || way.partly.iter().any(|(partly, _)| *partly == need)
}

fn scenarios() -> Vec<Scenario> {
    library::load(&[]).unwrap()
}

#[test]
fn every_route_of_the_scenario_language_has_a_row() {
    for (word, route) in Route::WORDS {
        // A sound access among drawn ones: nothing is injected, and nothing is needed.
        let has = of_route(word).next().is_some();
        assert_eq!(has, *route != Route::Nothing, "{word}");
    }
    for way in &WAYS {
        for route in way.routes {
            assert!(Route::WORDS.iter().any(|(word, _)| word == route), "{route}");
        }
    }
}

#[test]
fn what_scenarios_are_skipped_for_is_named_by_their_routes_row() {
    let mut shown = Vec::new();
    for scenario in scenarios() {
        let on_qemu = scenario.platforms.contains(&Platform::Qemu);
        for inject in &scenario.injections {
            for need in Need::of(inject.injection) {
                shown.push(*need);
                assert!(
                    of_route(inject.route).any(|way| names(way, *need)),
                    "{}: {} needs {need:?}",
                    scenario.name,
                    inject.route
                );
            }
            // What draws, and what is drawn as nothing, is no route.
            if matches!(inject.injection, Injection::Draw { .. } | Injection::Nothing) {
                continue;
            }
            let by_shim = of_route(inject.route).any(|way| !way.shim.is_empty());
            assert!(by_shim || !on_qemu, "{}", scenario.name);
        }
        for need in Need::of_vm(scenario.guest.vm) {
            shown.push(*need);
            assert!(WAYS.iter().any(|way| way.needs.contains(need)), "{need:?}");
        }
    }
    for way in &WAYS {
        for need in way.needs {
            assert!(shown.contains(need), "{}: no scenario needs {need:?}", way.word);
        }
    }
}

#[test]
fn a_ways_word_is_its_own() {
    for (index, way) in WAYS.iter().enumerate() {
        assert!(
            WAYS.iter().skip(index + 1).all(|other| other.word != way.word),
            "{}",
            way.word
        );
        assert!(way.name.chars().count() < 30, "{}", way.name);
    }
}
