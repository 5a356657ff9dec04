//! What a scenario that draws may say.

use super::super::tests::GOOD;
use super::*;

fn drawing() -> String {
    GOOD.replacen(
        "[[inject]]\ntask = \"load\"",
        "[random]\nseed = 5\naborts = 9\n[[inject]]\nname = \"hole\"\nweight = 2\nany = true",
        1,
    )
    .replacen("[[expect.abort]]", "[[expect.abort]]\nof = \"hole\"", 1)
}

#[test]
fn what_is_drawn_lies_behind_the_step_that_draws_with_its_weight() {
    let scenario = parse("s.toml", &drawing()).unwrap();
    let steps: Vec<_> = scenario
        .injections
        .iter()
        .map(|inject| (inject.injection, inject.skip, inject.times))
        .collect();
    assert_eq!(
        steps,
        [(Injection::Draw { seed: 5 }, 0, 9), (Injection::Hole, 2, 1)]
    );
    assert_eq!(scenario.expect.aborts[0].of.as_deref(), Some("hole"));
    assert_eq!(
        scenario.random.map(|random| (random.seed, random.errors)),
        Some((5, 9))
    );
}

#[test]
fn another_seed_is_another_text_and_nothing_else() {
    let scenario = parse("dir/s.toml", &drawing()).unwrap();
    let again = scenario.with_seed(0x5ea).unwrap().unwrap();
    assert_eq!(again.source, drawing().replace("seed = 5\n", "seed = 1514\n"));
    assert_eq!(
        (again.name, again.injections[0].injection),
        ("s".into(), Injection::Draw { seed: 0x5ea })
    );
    assert!(parse("s.toml", GOOD).unwrap().with_seed(1).is_none());
}

#[test]
fn what_cannot_be_drawn_is_told_at_its_place() {
    for (piece, by, told) in [
        ("seed = 5", "seed = -5", "a seed is not negative"),
        ("aborts = 9", "aborts = 0", "aborts is 1 to 1000000"),
        (
            "[random]\nseed = 5\naborts = 9\n",
            "",
            "nothing is drawn in this scenario",
        ),
        ("weight = 2\n", "", "needs a `weight`"),
        ("name = \"hole\"\n", "", "needs a `name`"),
        ("weight = 2", "weight = 0", "weight is 1 to 10000"),
        (
            "route = \"hole\"",
            "route = \"hole\"\ntimes = 3",
            "neither `skip` nor `times`",
        ),
        (
            "route = \"hole\"",
            "route = \"read-only\"",
            "this route is not drawn",
        ),
        (
            "route = \"hole\"",
            "route = \"nothing\"",
            "there is no error to draw",
        ),
        ("of = \"hole\"\n", "", "does not say what was drawn"),
        ("of = \"hole\"\n", "of = \"holes\"\n", "did you mean `hole`?"),
        (
            "of = \"hole\"\n",
            "of = \"hole\"\ntimes = 2\n",
            "how often an error is drawn",
        ),
    ] {
        let text = drawing();
        assert!(text.contains(piece), "{piece}");
        let bad = parse("s.toml", &text.replacen(piece, by, 1)).expect_err(by);
        let whole = bad.render(false);
        assert!(whole.contains(told), "{by}: {whole}");
    }
    let twice = drawing().replacen(
        "[expect]",
        "[[inject]]\nname = \"hole\"\nweight = 1\nany = true\ncheckpoint = 2\nroute = \"hole\"\n[expect]",
        1,
    );
    assert!(
        parse("s.toml", &twice)
            .unwrap_err()
            .render(false)
            .contains("`hole` is there twice")
    );
    let alone = GOOD.replacen("route = \"hole\"", "route = \"nothing\"", 1);
    assert!(
        parse("s.toml", &alone)
            .unwrap_err()
            .render(false)
            .contains("`nothing` is there to be drawn")
    );
}
