"""Fillers in the report: counted among removals, and apart; shown with what came in."""

import dataclasses
from collections.abc import Callable
from typing import Any

import pytest

from leaf.records import Drop, Outcome
from leaf.report.page import render
from tests.report.made import build_report


@pytest.fixture
def filled(run: dict[str, Any]) -> dict[str, Any]:
    """The run with two substitutes: `and 4 hats` made way for `as usual`; one is verified."""
    cuts, verdicts = run["cuts"]["gradient"]
    first, hats = cuts
    question = run["problems"][0].question
    span = hats.spans[0]
    changed = question[: span.start] + " as usual" + question[span.end :]
    made = [
        dataclasses.replace(
            hats, id=f"p0/sb{at}", strategy="substitute", question=changed, inserted="as usual"
        )
        for at in range(2)
    ]
    judged = [
        dataclasses.replace(verdicts[1], counterfactual_id="p0/sb0"),
        dataclasses.replace(
            verdicts[0], counterfactual_id="p0/sb1", student=Outcome.WRONG, reason="student wrong"
        ),
    ]
    assert first.strategy == "span"
    section = run["recipe"].prune.model_copy(update={"strategy": ["span", "substitute"]})
    recipe = run["recipe"].model_copy(update={"prune": section})
    return run | {
        "recipe": recipe,
        "cuts": {"gradient": ([*cuts, *made], [*verdicts, *judged])},
    }


def steps(report: dict[str, Any]) -> dict[str, int]:
    return {step["step"]: step["count"] for step in report["steps"]}


def test_fillers_are_counted_among_removals_and_apart(
    run: dict[str, Any], filled: dict[str, Any]
) -> None:
    found = steps(build_report(**filled))
    assert (found["counterfactuals"], found["verified"], found["spans"]) == (4, 2, 2)
    assert (found["substitutes"], found["substitutes_verified"]) == (2, 1)
    assert "substitutes" not in steps(build_report(**run))


def test_before_verification_their_verdicts_are_not_there_yet(filled: dict[str, Any]) -> None:
    filled["cuts"] = {"gradient": (filled["cuts"]["gradient"][0], None)}
    found = steps(build_report(**filled))
    assert (found["substitutes"], found["substitutes_verified"]) == (2, None)


def test_the_page_shows_what_came_in_and_what_that_did(
    filled: dict[str, Any], read_problems: Callable[..., str]
) -> None:
    text = read_problems(build_report(**filled))
    assert text.count("as usual") == 4  # in the excerpt and over the answers, of each
    assert "both right with it" in text
    assert "both right without it" in text
    assert "Verified with a filler in place" in render(build_report(**filled))


def test_what_a_guard_refused_is_counted_and_a_problem_is_named_once(run: dict[str, Any]) -> None:
    said = "would cut inside a word"
    run["drops"] = [
        Drop(stage="prune", problem_id=name, reason=said) for name in ("p0", "p0", "p1")
    ]
    (drop,) = build_report(**run)["drops"]
    assert (drop["reason"], drop["count"]) == (said, 3)
    assert [example["id"] for example in drop["examples"]] == ["p0", "p1"]
    assert said in render(build_report(**run))


@pytest.mark.parametrize(
    ("strategy", "said"),
    [
        ("span", "once also on prompts without what distracts it (LeaF)"),
        ("transplant", "once also with distractions put in (LeaF)"),
        (
            "span+transplant",
            "prompts without what distracts it and with distractions put in (LeaF)",
        ),
        (
            "transplant+substitute",
            "prompts without what distracts it and with distractions put in (LeaF)",
        ),
    ],
)
def test_the_first_sentence_says_what_was_done(
    run: dict[str, Any], strategy: str, said: str
) -> None:
    section = run["recipe"].prune.model_copy(update={"strategy": strategy.split("+")})
    run["recipe"] = run["recipe"].model_copy(update={"prune": section})
    report = build_report(**run)
    assert said in " ".join(render(report).split())
    # As the report.json of a run of version 0.1.0 has it.
    report["recipe"]["prune"]["strategy"] = strategy
    assert said in " ".join(render(report).split())
