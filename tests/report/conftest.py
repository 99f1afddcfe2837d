"""A small finished run, made by hand: three problems, two removals, one of them verified."""

import dataclasses
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from leaf.recipe.reading import check_recipe
from leaf.records import (
    Answer,
    Attribution,
    Counterfactual,
    Drop,
    NormalisedScores,
    Outcome,
    Problem,
    Score,
    Span,
    Verdict,
)
from leaf.report import write_report
from leaf.statistics import Comparison, Estimate
from leaf.store.keys import digest
from leaf.store.work import About, StageLog

ROLES = ("student", "teacher")

QUESTION = "Tom has 3 red pens and 4 hats. How many pens?"
"""`red` is characters 10 to 13 (after its space at 9), `and 4 hats` is 19 to 29."""


@pytest.fixture
def run() -> dict[str, Any]:
    """The arguments of `build_report` for a finished run."""
    problems = [
        Problem(id=f"p{i}", question=QUESTION, answer="3", solution="3 pens") for i in range(3)
    ]
    red = span(9, 13, 0.0)
    hats = span(18, 29, 0.04)
    return {
        "recipe": check_recipe(
            {
                "name": "tiny",
                "student": {"model": "org/student"},
                "teacher": {"model": "org/teacher"},
                "data": {"task": "gsm8k", "seed": 7},
                "evaluate": {"benchmarks": {"gsm8k": {"task": "gsm8k"}}},
            },
            source="tiny",
        ),
        "command": "leaf run tiny --out runs/tiny",
        "manifest": {"versions": {"torch": "2.13.0"}, "commit": "abc1234", "hardware": None},
        "logs": [
            log("answers", 90.0, computed=0),
            log("attribution", 3.25),
        ],
        "problems": problems,
        "student_answers": [answer(p.id, "so 7") for p in problems],
        "teacher_answers": [answer(p.id, "so 3") for p in problems],
        "student_scores": [score("p0", "wrong"), score("p1", "right"), score("p2", "ungradable")],
        "teacher_scores": [score("p0", "right"), score("p1", "right"), score("p2", "wrong")],
        "attributions": [
            Attribution(
                problem_id="p0",
                reference="3 pens",
                starts=(9, 18),
                ends=(13, 29),
                teacher=(0.1, 0.4),
                student=(0.9, 0.3),
                teacher_loss=0.5,
                student_loss=0.8,
            )
        ],
        "focus": [
            NormalisedScores(
                problem_id="p0",
                starts=(9, 18),
                ends=(13, 29),
                teacher=(0.0, 1.0),
                student=(1.0, 0.0),
                gap=(0.0, 0.04),
            )
        ],
        "cuts": {
            "gradient": (
                [removal("p0/cf0", red), removal("p0/cf1", hats)],
                [
                    verdict("p0/cf0", Outcome.WRONG, None, "student wrong on the changed question"),
                    verdict("p0/cf1", Outcome.RIGHT, Outcome.RIGHT, "kept"),
                ],
            )
        },
        "drops": [Drop(stage="grading", problem_id="p2", reason="no final number found")],
        "training": {"kd": [line(1, 0.5, None)], "leaf": [line(1, 0.5, 0.6), line(2, 0.25, 0.3)]},
        "estimates": {
            "gsm8k": {
                "before": estimate(2, 8),
                "kd": estimate(4, 8),
                "leaf": estimate(5, 8),
            }
        },
        "comparisons": {"gsm8k": comparison()},
        "notes": ["LeaF: nothing was put into any of 3 problems"],
    }


@pytest.fixture
def transplanted(run: dict[str, Any]) -> dict[str, Any]:
    """The same with three transplants, of which the teacher solves the first two.

    `and 4 hats` gives way to `and 5 cats`, with which the student fails; `at noon` comes into p1,
    which it had solved and still solves.
    """
    (cuts, verdicts) = run["cuts"]["gradient"]
    hats, nothing = span(18, 29, 0.04), span(7, 7, 0.0)
    made = [
        transplant("p0/tp0", hats, " and 5 cats"),
        transplant("p1/tp0", nothing, " at noon"),
        transplant("p1/tp1", nothing, " 4 pm"),
    ]
    judged = [
        verdict("p0/tp0", Outcome.WRONG, Outcome.RIGHT, "kept"),
        verdict("p1/tp0", Outcome.RIGHT, Outcome.RIGHT, "kept"),
        verdict("p1/tp1", Outcome.WRONG, Outcome.WRONG, "teacher wrong"),
    ]
    return run | {"cuts": {"gradient": ([*cuts, *made], [*verdicts, *judged])}}


@pytest.fixture
def controlled(run: dict[str, Any]) -> dict[str, Any]:
    """The same with a control, `random`, that cut `3` and freed nothing."""
    control = (
        [removal("p0/cf0", span(7, 9, 0.0))],
        [verdict("p0/cf0", Outcome.WRONG, Outcome.RIGHT, "student wrong")],
    )
    return run | {"cuts": run["cuts"] | {"random": control}}


@pytest.fixture
def many(run: dict[str, Any]) -> dict[str, Any]:
    """The same with five benchmarks: LeaF better on two, worse on one, nothing shown on two."""
    found = {
        "clean": comparison(),
        "agree": comparison(wins=0, losses=0, value=0.0, low=None, high=None, note="All same."),
        "conflict": comparison(n=400, low=0.16, high=0.25, value=0.2, p_value=1e-9),
        "numeric": comparison(n=400, low=-0.08, high=-0.01, value=-0.04, p_value=0.03),
        "both": comparison(n=400, low=0.12, high=0.2, value=0.16, p_value=1e-9),
    }
    estimates = dict.fromkeys(found, run["estimates"]["gsm8k"])
    benchmarks = dict.fromkeys(found, run["recipe"].evaluate.benchmarks["gsm8k"])
    evaluate = run["recipe"].evaluate.model_copy(update={"benchmarks": benchmarks})
    recipe = run["recipe"].model_copy(update={"evaluate": evaluate})
    return run | {"recipe": recipe, "estimates": estimates, "comparisons": found}


@pytest.fixture
def opened(browser: Browser, tmp_path: Path) -> Iterator[Callable[..., tuple[Page, list[str]]]]:
    """Write a report and open it; the list fills with console messages, errors and requests."""
    pages: list[Page] = []

    def open_report(
        report: dict[str, Any], *, width: int = 1200, hash_: str = "", scheme: Any = "light"
    ) -> tuple[Page, list[str]]:
        page_file = write_report(report, tmp_path)
        page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
        pages.append(page)
        seen: list[str] = []
        page.on("console", lambda message: seen.append(message.text))
        page.on("pageerror", lambda error: seen.append(str(error)))
        page.on(
            "request",
            lambda request: (
                request.url.startswith((page_file.as_uri(), "data:")) or seen.append(request.url)
            ),
        )
        page.goto(page_file.as_uri() + hash_)
        return page, seen

    yield open_report
    for page in pages:
        page.close()


@pytest.fixture
def read_problems(opened: Callable[..., tuple[Page, list[str]]]) -> Callable[..., str]:
    """Return what a reader sees of a report's problems once everything is unfolded."""

    def read(report: dict[str, Any]) -> str:
        page, seen = opened(report)
        unfold(page)
        assert seen == []
        return " ".join(page.locator("#list").inner_text().split())

    return read


def unfold(page: Page) -> None:
    """Open every row and everything folded in it."""
    for _ in range(2):  # what a row holds is there once it is open
        page.evaluate("document.querySelectorAll('details').forEach(part => { part.open = true })")
        page.wait_for_function(
            "[...document.querySelectorAll('.problem')].every(row => row.childElementCount > 1)"
        )


def with_problems(run: dict[str, Any], names: list[str]) -> dict[str, Any]:
    """The run with the first problem under other names; what both models answer is wrong, right."""
    first = run["problems"][0]
    return run | {
        "problems": [dataclasses.replace(first, id=name) for name in names],
        **{f"{role}_answers": [answer(name, "so 7") for name in names] for role in ROLES},
        "student_scores": [score(name, "wrong") for name in names],
        "teacher_scores": [score(name, "right") for name in names],
    }


def span(start: int, end: int, gap: float) -> Span:
    return Span(start=start, end=end, text=QUESTION[start:end], gap=gap, units=1)


def removal(name: str, cut: Span) -> Counterfactual:
    return Counterfactual(
        id=name,
        problem_id="p0",
        strategy="span",
        spans=(cut,),
        question=QUESTION[: cut.start] + QUESTION[cut.end :],
    )


def transplant(name: str, cut: Span, inserted: str) -> Counterfactual:
    return Counterfactual(
        id=name,
        problem_id=name[:2],
        strategy="transplant",
        spans=(cut,),
        question=QUESTION[: cut.start] + inserted + QUESTION[cut.end :],
        inserted=inserted.strip(),
        donor="p2/cf9",
    )


def verdict(name: str, student: Outcome, teacher: Outcome | None, reason: str) -> Verdict:
    return Verdict(
        counterfactual_id=name,
        problem_id=name[:2],
        student=student,
        teacher=teacher,
        student_text="the student's answer",
        teacher_text=None if teacher is None else "the teacher's answer",
        kept=reason == "kept",
        reason=reason,
    )


def answer(problem_id: str, text: str) -> Answer:
    return Answer(
        problem_id=problem_id, text=text, prompt_tokens=9, response_tokens=3, truncated=False
    )


def score(problem_id: str, outcome: str) -> Score:
    return Score(problem_id=problem_id, outcome=Outcome(outcome), extracted=None, reason=None)


def log(
    kind: str, seconds: float, about: About | None = None, items: int = 3, computed: int = 1
) -> StageLog:
    return StageLog(
        title=kind,
        kind=kind,
        about=about or About(),
        key=digest([kind, str(about)]),
        items=items,
        records=3,
        computed=computed,
        seconds=seconds,
        peak_bytes=3 * 2**28,
    )


def trained(arm: str, seconds: float = 1.0, items: int = 3) -> StageLog:
    return log("students", seconds, About(role=arm), items)


def line(step: int, kl: float, kl_counterfactual: float | None) -> dict[str, Any]:
    return {
        "step": step,
        "loss": kl,
        "kl_original": kl,
        "kl_counterfactual": kl_counterfactual,
        "learning_rate": 1e-5,
        "grad_norm": 1.0,
        "seconds": 2.0,
        "rows": 4,
        "response_tokens": 600,
    }


def estimate(right: int, n: int) -> Estimate:
    return Estimate(right=right, ungradable=1, n=n, value=right / n, low=0.1, high=0.9)


def comparison(**changes: Any) -> Comparison:
    values: dict[str, Any] = {
        "n": 8,
        "wins": 2,
        "losses": 1,
        "value": 0.125,
        "low": -0.25,
        "high": 0.5,
        "p_value": 1.0,
    }
    return Comparison(**(values | changes))
