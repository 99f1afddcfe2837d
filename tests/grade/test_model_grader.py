"""A grader may have a model behind it: opened once, its words kept in the score."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

import pytest
from pydantic import Field

from leaf.generate import find_for, open_engine
from leaf.generate.engine import Engine
from leaf.grade import GRADERS, Grader, Tools, grader, open_graders
from leaf.grade.judgement import Judgement
from leaf.recipe import (
    DataSection,
    GenerateSection,
    GradeSection,
    ModelSection,
    Section,
    WorldSection,
)
from leaf.records import Answer, Measure, Outcome, Problem
from leaf.tasks import load_problems

OPENED: list[str] = []


class Asked(Grader):
    """Right is what a model answers to the same question: it knows no gold."""

    name = "asked"

    class Options(Section):
        """Who is asked."""

        model: str = Field("package:playground/models/teacher", description="the judge")

    options: Options

    def grade_many(
        self, problems: Sequence[Problem], answers: Sequence[Answer], tools: Tools
    ) -> list[Judgement]:
        """Ask the judge all questions at once, and compare."""
        engine = tools.keep(self, self._engine)
        words = [answer.text.strip() for answer in engine.answer(list(problems))]
        return [
            Judgement(
                outcome=Outcome.RIGHT if said.endswith(answer.text.strip()) else Outcome.WRONG,
                extracted=answer.text,
                reason=f"the judge says: {said}",
                measures=(Measure(name="length", value=float(bool(said))),),
            )
            for said, answer in zip(words, answers, strict=True)
        ]

    @contextmanager
    def _engine(self) -> Iterator[Engine]:
        section, generate = ModelSection(model=self.options.model), GenerateSection()
        OPENED.append(self.options.model)
        with open_engine(section, find_for(section, generate), generate, lambda *_: None) as engine:
            yield engine
        OPENED.append("closed")


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    # As the decorator does, and gone again afterwards.
    monkeypatch.setitem(GRADERS, "asked", GRADERS.get("asked", Asked))
    assert grader(Asked) is Asked
    OPENED.clear()
    yield


def problem(number: int) -> Problem:
    section = DataSection(task="playground", split="clean", world=WorldSection(size=number))
    return replace(load_problems(section)[-1], grader="asked")


def answer(number: int, text: str) -> Answer:
    return Answer(
        problem_id=f"p{number}", text=text, prompt_tokens=1, response_tokens=1, truncated=False
    )


@pytest.mark.usefixtures("asked")
def test_its_model_is_opened_once_and_its_words_are_kept() -> None:
    problems = [problem(1), problem(2)]
    answers = [answer(1, problems[0].answer), answer(2, "no idea")]
    with open_graders(GradeSection()) as graders:
        right, wrong = graders.grade(problems, answers)
        assert graders.grade(problems[:1], answers[:1]) == [right]
        assert OPENED == ["package:playground/models/teacher"]
    assert OPENED[1:] == ["closed"]
    # The bundled teacher solves what does not distract.
    assert (right.outcome, wrong.outcome) == (Outcome.RIGHT, Outcome.WRONG)
    assert right.reason == f"the judge says: {problems[0].solution}"
    assert wrong.reason == f"the judge says: {problems[1].solution}"
    assert right.measures == (Measure(name="length", value=1.0),)


@pytest.mark.usefixtures("asked")
def test_no_model_is_opened_where_nobody_said_anything() -> None:
    with open_graders(GradeSection()) as graders:
        (score,) = graders.grade([problem(1)], [answer(1, " ")])
    assert (score.outcome, score.reason) == (Outcome.UNGRADABLE, "empty answer")
    assert OPENED == []
