"""How fast a report of many problems opens in Chromium, and how fast its problems are filtered.

    python -m benchmarks.report --json

Problems are made up: 60 scored words each, two removals and two transplants, all answered. The page
is opened from disk in a fresh browser each time; it is open when the list of problems is there.
"""

import random
import shutil
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import cyclopts
from playwright.sync_api import Browser, sync_playwright

from benchmarks.common import AsJson, out_console, print_json, start
from leaf.errors import UsageError
from leaf.recipe.reading import check_recipe
from leaf.records import (
    Answer,
    Attribution,
    Counterfactual,
    NormalisedScores,
    Outcome,
    Problem,
    Score,
    Span,
    Verdict,
)
from leaf.report import build_report, write_report

WORDS = 60
"""Scored words of a question, about as many as a problem of GSM8K has."""

ANSWER = "First we add what was there and what came, then we take away what was given. " * 4
"""About as long as an answer to a problem of GSM8K."""

app = cyclopts.App(name="report", help=__doc__)


@app.default
def report(  # noqa: D417 - `AsJson` says what it is
    *, problems: int = 10_000, repeats: int = 3, json_: AsJson = False
) -> None:
    """Write a report of made-up problems and open it.

    Args:
        problems: How many problems entered detection.
        repeats: How often the page is opened; the median counts.
    """
    chromium = shutil.which("chromium")
    if chromium is None:
        raise UsageError("report: there is no `chromium` on the path")
    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        built = build_report(**made_up(problems))
        page = write_report(built, Path(folder))
        figures = {
            "problems": float(problems),
            "write_seconds": time.perf_counter() - began,
            "page_bytes": float(page.stat().st_size),
            "json_bytes": float((page.parent / "report.json").stat().st_size),
        }
        del built
        timings = []
        with sync_playwright() as playwright:
            for _ in range(repeats):
                browser = playwright.chromium.launch(
                    executable_path=chromium, args=["--no-sandbox"]
                )
                timings.append(opened(browser, page, problems))
                browser.close()
    figures |= {name: statistics.median(run[name] for run in timings) for name in timings[0]}
    for name, value in figures.items():
        out_console.print(f"{name:>22}  {value:,.3f}".rstrip("0").rstrip("."))
    if json_:
        print_json("report", {"problems": problems, "repeats": repeats, "words": WORDS}, figures)


def opened(browser: Browser, file: Path, problems: int) -> dict[str, float]:
    """Open the page and use its controls; return seconds."""
    page = browser.new_page()
    began = time.perf_counter()
    page.goto(file.as_uri())
    page.wait_for_selector("#list .problem")
    figures = {"open_seconds": time.perf_counter() - began}
    told = f"of {problems:,} problem".replace(",", "\N{NARROW NO-BREAK SPACE}")
    steps = (
        ("filter_seconds", lambda: page.select_option("[name=status]", "verified")),
        # The first search reads every problem, the others what it kept.
        ("first_search_seconds", lambda: page.fill("[name=text]", "p77 ")),
        ("search_seconds", lambda: page.fill("[name=text]", "nowhere")),
    )
    for name, act in steps:
        before = page.locator("#count").text_content()
        began = time.perf_counter()
        act()
        page.wait_for_function(
            "([before, told]) => { const now = document.getElementById('count').textContent;"
            " return now !== before && now.includes(told); }",
            arg=[before, told],
        )
        figures[name] = time.perf_counter() - began
    return figures


def made_up(count: int) -> dict[str, Any]:
    """Return the arguments of `build_report` for `count` problems; every second one is freed."""
    chance = random.Random(0)
    problems, attributions, focus, cuts, verdicts = [], [], [], [], []
    for number in range(count):
        words = [f" word{chance.randrange(1000)}" for _ in range(WORDS)]
        question = f"p{number}" + "".join(words)
        starts = [len(f"p{number}") + sum(map(len, words[:at])) for at in range(WORDS)]
        ends = [*starts[1:], len(question)]
        scores = [tuple(chance.random() for _ in range(WORDS)) for _ in range(3)]
        places: dict[str, Any] = {"starts": tuple(starts), "ends": tuple(ends)}
        name = f"p{number}"
        problems.append(Problem(id=name, question=question, answer="7", solution="7"))
        focus.append(
            NormalisedScores(
                problem_id=name, teacher=scores[0], student=scores[1], gap=scores[2], **places
            )
        )
        attributions.append(
            Attribution(
                problem_id=name,
                reference="7",
                teacher=scores[0],
                student=scores[1],
                teacher_loss=1.0,
                student_loss=1.0,
                **places,
            )
        )
        for at in range(4):
            found = _change(name, question, starts[at], ends[at + at % 2], at)
            cuts.append(found)
            verdicts.append(_verdict(found, kept=number % 2 == 0))
    ids = [problem.id for problem in problems]
    return {
        "recipe": check_recipe(
            {
                "name": "made-up",
                "student": {"model": "org/student"},
                "teacher": {"model": "org/teacher"},
                "data": {"task": "gsm8k"},
                "evaluate": {"benchmarks": {}},
            },
            source="made-up",
        ),
        "command": "leaf run made-up",
        "manifest": {},
        "stages": [],
        "problems": problems,
        "student_answers": [_answer(name) for name in ids],
        "teacher_answers": [_answer(name) for name in ids],
        "student_scores": [_score(name, Outcome.WRONG) for name in ids],
        "teacher_scores": [_score(name, Outcome.RIGHT) for name in ids],
        "attributions": attributions,
        "focus": focus,
        "cuts": {"gradient": (cuts, verdicts)},
        "drops": [],
        "training": None,
        "estimates": None,
        "comparisons": None,
    }


def _change(name: str, question: str, start: int, end: int, at: int) -> Counterfactual:
    moved = " another text" if at > 1 else ""
    return Counterfactual(
        id=f"{name}/{at}",
        problem_id=name,
        strategy="transplant" if moved else "span",
        spans=(Span(start=start, end=end, text=question[start:end], gap=0.1, units=1),),
        question=question[:start] + moved + question[end:],
        inserted=moved.strip(),
        donor="p0/0" if moved else "",
    )


def _verdict(found: Counterfactual, *, kept: bool) -> Verdict:
    return Verdict(
        counterfactual_id=found.id,
        problem_id=found.problem_id,
        student=Outcome.RIGHT if kept else Outcome.WRONG,
        teacher=Outcome.RIGHT,
        student_text=ANSWER,
        teacher_text=ANSWER,
        kept=kept,
        reason="kept" if kept else "student wrong",
    )


def _answer(name: str) -> Answer:
    return Answer(
        problem_id=name, text=ANSWER, prompt_tokens=90, response_tokens=80, truncated=False
    )


def _score(name: str, outcome: Outcome) -> Score:
    return Score(problem_id=name, outcome=outcome, extracted="7", reason=None)


if __name__ == "__main__":
    start(app)
