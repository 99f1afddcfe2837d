"""Verification under control, by a student whose every answer is known."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from leaf.generate import ENGINES
from leaf.generate.engine import Effort
from leaf.models.files import Source
from leaf.pipeline.control import control
from leaf.pipeline.session import Session
from leaf.recipe.reading import check_recipe
from leaf.records import Answer, Counterfactual, Outcome, Problem, Span, Verdict
from leaf.store.results import Cuts
from leaf.store.store import Store

RED, WET = " It is a red day.", " It is a wet day."
QUESTION = f"Ada has four pens.{RED}{WET} How many?"
"""The student is right without "red", and in half of its samples without "wet"."""


class Student:
    """Says 4 where it can, else 5."""

    def __init__(self) -> None:
        self.effort = Effort()

    def answer(
        self, problems: Sequence[Problem], drafts: Sequence[str] | None = None
    ) -> list[Answer]:
        return [self._answer(problem) for problem in problems]

    def stream(self, asked: Iterable[tuple[Problem, str]]) -> Iterator[tuple[int, Answer]]:
        for number, (problem, _) in enumerate(asked):
            yield number, self._answer(problem)

    def _answer(self, problem: Problem) -> Answer:
        ASKED.append(problem.id)
        free = "red" not in problem.question
        half = "wet" not in problem.question and problem.sample % 2 == 1
        text = "4" if "four" in problem.question and (free or half) else "5"
        return Answer(
            problem_id=problem.id, text=text, prompt_tokens=1, response_tokens=1, truncated=False
        )


ASKED: list[str] = []


@contextmanager
def open_student(*args: Any) -> Iterator[Student]:
    yield Student()


@pytest.fixture(autouse=True)
def engine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(ENGINES, "scripted", open_student)
    ASKED.clear()


def under_control(tmp_path: Path, texts: Sequence[str] = (RED,), **verify: Any) -> Cuts:
    values = {
        "name": "x",
        "student": {"model": "s"},
        "teacher": {"model": "t"},
        "data": {"task": "gsm8k"},
        "generate": {"engine": "scripted"},
        "prune": {"units": ["sentence"]},
        "verify": verify,
        "evaluate": {"benchmarks": {}},
    }
    session = Session(check_recipe(values, source="test"), Store(tmp_path / "store"))
    session.sources = {"student": Source(name="s", fingerprint="s")}
    problem = Problem(id="p", question=QUESTION, answer="4", solution="4")
    cuts = Cuts(counterfactuals=[], verdicts=[])
    for number, text in enumerate(texts):
        start = QUESTION.index(text)
        right = text == RED
        cuts.counterfactuals.append(
            Counterfactual(
                id=f"p/cf{number}",
                problem_id="p",
                strategy="span",
                spans=(Span(start=start, end=start + len(text), text=text, gap=0.0, units=1),),
                question=QUESTION.replace(text, ""),
            )
        )
        cuts.verdicts.append(
            Verdict(
                counterfactual_id=f"p/cf{number}",
                problem_id="p",
                student=Outcome.RIGHT if right else Outcome.WRONG,
                teacher=Outcome.RIGHT if right else None,
                student_text="4" if right else "5",
                teacher_text="4" if right else None,
                kept=right,
                reason="kept" if right else "student wrong",
            )
        )
    control(session, "ablation", {"p": problem}, cuts, lambda tried: {})
    return cuts


def test_without_control_nobody_is_asked_and_nothing_changes(tmp_path: Path) -> None:
    cuts = under_control(tmp_path)
    assert ASKED == []
    assert cuts.placebos == []
    assert cuts.controls == {}


def test_a_cut_stays_where_its_placebos_free_nobody(tmp_path: Path) -> None:
    # The two other sentences: without either the student still reads "red".
    cuts = under_control(tmp_path, placebos=2)
    assert sorted(ASKED) == ["p/cf0/pl0", "p/cf0/pl1"]
    (verdict,) = cuts.verdicts
    assert verdict.kept
    assert (cuts.controls["p/cf0"].placebos, cuts.controls["p/cf0"].freed) == (2, 0.0)
    assert [(one.kept, one.teacher, one.reason) for one in cuts.placebo_verdicts] == [
        (False, None, "student wrong")
    ] * 2
    # A placebo is none of the cuts, so that nothing trains on it.
    assert [item.id for item in cuts.tried] == ["p/cf0"]
    assert [item.id for item in cuts.kept] == ["p/cf0"]


def test_fewer_placebos_are_counted_with_the_reason(tmp_path: Path) -> None:
    cuts = under_control(tmp_path, placebos=20)
    (verdict,) = cuts.verdicts
    assert verdict.kept
    assert cuts.controls["p/cf0"].placebos == len(cuts.placebos) < 20
    assert cuts.controls["p/cf0"].why_few.startswith("fewer placebos than asked for")


def test_placebos_of_all_cuts_keep_the_same_ones(tmp_path: Path) -> None:
    cuts = under_control(tmp_path, [RED, WET], placebos=1, placebos_of="tried", seed=1)
    assert [verdict.kept for verdict in cuts.verdicts] == [True, False]
    assert [found.greedy for found in cuts.controls.values()] == [True, False]
    assert len(cuts.placebos) == 2


def test_samples_hold_success_without_the_cut_against_that_with_it(tmp_path: Path) -> None:
    cuts = under_control(tmp_path, samples=4)
    assert sorted(ASKED) == sorted(
        f"{what}/s{sample}" for what in ("p", "p/cf0") for sample in range(4)
    )
    (verdict,) = cuts.verdicts
    # Whole: always wrong; without "red" always right.
    assert (cuts.controls["p/cf0"].before, cuts.controls["p/cf0"].rate) == (0.0, 1.0)
    assert verdict.kept


def test_placebos_are_sampled_too(tmp_path: Path) -> None:
    cuts = under_control(tmp_path, samples=4, placebos=2, gain=0.8)
    # Without the needed sentence 0 of 4 are right, without "wet" 2 of 4: 1 - 0.25 < 0.8.
    (verdict,) = cuts.verdicts
    assert sorted(one.reason for one in cuts.placebo_verdicts) == [
        "student right in 2 of 4 samples",
        "student wrong",
    ]
    assert cuts.controls["p/cf0"].freed == 0.25
    assert verdict.reason == "sampled success is less than 80% above that of its placebos"
    assert not verdict.kept


def test_the_same_work_is_found_again(tmp_path: Path) -> None:
    first = under_control(tmp_path, placebos=2, samples=2)
    ASKED.clear()
    assert under_control(tmp_path, placebos=2, samples=2) == first
    assert ASKED == []
