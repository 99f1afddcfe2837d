"""The attack set in every field that holds text from outside."""

import dataclasses
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from leaf.progress import visible
from leaf.records import Counterfactual, Drop, Outcome, Problem, Span, Verdict
from leaf.report.plain import TEXT_LIMIT, plain
from tests.report.attacks import ATTACKS
from tests.report.made import build_report

EVERY = "\n".join(ATTACKS)


def as_shown(text: str) -> str:
    """What a page shows of a text, as far as it shows it."""
    return visible(str(plain(text[:TEXT_LIMIT])))


@pytest.fixture
def attacked(many: dict[str, Any], controlled: dict[str, Any]) -> dict[str, Any]:
    """A report in which each attack is a problem with all its texts, and all else is attacks."""
    values = many
    base: Problem = values["problems"][0]
    problems = [
        dataclasses.replace(
            base, id=text, question=text + base.question, answer=text, source=text, solution=text
        )
        for text in ATTACKS
    ]
    removals, verdicts = [], []
    for problem in problems:
        for kind, inserted in (("cf", ""), ("tp", problem.id)):
            removals.append(cut(problem, kind, inserted))
            verdicts.append(
                Verdict(
                    counterfactual_id=removals[-1].id,
                    problem_id=problem.id,
                    student=Outcome.RIGHT,
                    teacher=Outcome.RIGHT,
                    student_text=problem.id,
                    teacher_text=problem.id,
                    kept=True,
                    reason=problem.id,
                )
            )
    for name in ("attributions", "focus", "student_answers", "teacher_answers"):
        values[name] = [
            dataclasses.replace(values[name][0], problem_id=text)
            if name in {"attributions", "focus"}
            else dataclasses.replace(values[name][0], problem_id=text, text=text)
            for text in ATTACKS
        ]
    recipe = values["recipe"]
    scores = {
        f"{role}_scores": [
            dataclasses.replace(values[f"{role}_scores"][0], problem_id=text) for text in ATTACKS
        ]
        for role in ("student", "teacher")
    }
    values |= scores | {
        "recipe": recipe.model_copy(
            update={
                "name": EVERY,
                "description": EVERY,
                "student": recipe.student.model_copy(update={"model": EVERY}),
                "teacher": recipe.teacher.model_copy(update={"model": EVERY}),
                "data": recipe.data.model_copy(update={"path": EVERY}),
            }
        ),
        "problems": problems,
        "cuts": {
            "gradient": (removals, verdicts),
            **dict.fromkeys(ATTACKS[:5], controlled["cuts"]["random"]),
        },
        "command": EVERY,
        "manifest": {text: {text: text} for text in ATTACKS},
        "notes": list(ATTACKS),
        "drops": [Drop(stage=text, problem_id=text, reason=text) for text in ATTACKS],
        "logs": [dataclasses.replace(values["logs"][0], title=text, key=text) for text in ATTACKS],
        "estimates": dict.fromkeys(ATTACKS, values["estimates"]["clean"]),
        "comparisons": {
            text: dataclasses.replace(values["comparisons"]["clean"], note=text) for text in ATTACKS
        },
    }
    report: dict[str, Any] = build_report(**values)
    return report


def cut(problem: Problem, kind: str, inserted: str) -> Counterfactual:
    end = len(problem.id)
    return Counterfactual(
        id=f"{problem.id}/{kind}0",
        problem_id=problem.id,
        strategy="transplant" if inserted else "span",
        spans=(Span(start=0, end=end, text=problem.id, gap=0.0, units=1),),
        question=inserted + problem.question[end:],
        inserted=inserted,
        donor=inserted,
    )


@pytest.mark.parametrize("width", [400])
def test_an_attack_is_text_wherever_it_stands(
    attacked: dict[str, Any], opened: Callable[..., tuple[Page, list[str]]], width: int
) -> None:
    page, seen = opened(attacked, width=width)
    while page.locator("#more").is_visible():
        page.click("#more")
    page.evaluate("document.querySelectorAll('details').forEach(part => { part.open = true })")
    expect(page.locator(".question")).to_have_count(len(ATTACKS))
    page.evaluate("document.querySelectorAll('details').forEach(part => { part.open = true })")
    page.wait_for_timeout(200)

    assert seen == []
    assert page.evaluate("window.__hit") is None
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    foreign = "img, iframe, object, embed, base, meta[http-equiv=refresh], [onclick], plaintext"
    assert page.locator(foreign).count() == 0
    assert page.locator("script").count() == len(ATTACKS) + 3  # settings, index, the script itself
    assert page.locator("style").count() == page.locator("title").count() == 1

    rows = page.locator("#list > .problem")
    assert rows.count() == len(ATTACKS)
    for at, text in enumerate(ATTACKS):
        row, shown = rows.nth(at), as_shown(text)
        assert (row.locator("h3").text_content() or "").startswith(shown)
        assert (row.locator(".gold bdi").text_content() or "").startswith(shown)
        assert (row.locator(".question").text_content() or "").startswith(shown)
        assert (row.locator(".removals del").first.text_content() or "").startswith(shown)
        assert (row.locator(".transplants ins").first.text_content() or "").startswith(shown)
        said = row.locator(".answers .text").all_text_contents()
        assert len(said) == 6  # both models: the question, the removal, the transplant
        assert all(one.startswith(shown) for one in said)
    assert page.locator("h1").text_content() == visible(str(plain(EVERY)))
    notes = page.locator(".notes li").all_text_contents()
    assert notes[: len(ATTACKS)] == [visible(str(plain(text))) for text in ATTACKS]


def test_the_attacks_are_many_and_differ() -> None:
    assert len(set(ATTACKS)) == len(ATTACKS) >= 30
