"""`any` and `all`: logic with three values over several graders, a judge asked last."""

import json
from collections.abc import Iterator, Sequence
from typing import Literal

import pytest

from leaf.errors import RecipeError
from leaf.grade import GRADERS, Grader, Graders, Tools, grader, grader_of, open_graders
from leaf.grade.judgement import Judgement
from leaf.recipe import DataSection, GradeSection, ModelSection, Section, name_and_options
from leaf.recipe.reading import check_section
from leaf.records import Answer, Outcome, Problem, Score

ASKED: list[str] = []


@pytest.fixture(autouse=True)
def _fixed() -> Iterator[None]:
    @grader
    class Fixed(Grader):
        """Says what it is told to; one that is dear stands for a judge."""

        name = "fixed"

        class Options(Section):
            """What it says."""

            outcome: Literal["right", "wrong", "ungradable"]
            dear: bool = False

        options: Options

        def asks(self) -> tuple[ModelSection, ...]:
            return (ModelSection(model="m"),) if self.options.dear else ()

        def grade_many(
            self, problems: Sequence[Problem], answers: Sequence[Answer], tools: Tools
        ) -> list[Judgement]:
            ASKED.extend(self.options.outcome for _ in problems)
            outcome = Outcome(self.options.outcome)
            return [Judgement(outcome=outcome, extracted="x") for _ in problems]

    ASKED.clear()
    yield
    del GRADERS["fixed"]


def judged(chosen: dict[str, object], text: str = "x", gold: str = "18") -> Score:
    section = check_section(DataSection, {"task": "table", "grader": chosen}, source="mine")
    assert section.grader is not None
    name, options = name_and_options(section.grader)
    problem = Problem(
        id="p",
        question="?",
        answer=gold,
        solution="",
        grader=name,
        grader_options=json.dumps(options),
    )
    answer = Answer(problem_id="p", text=text, prompt_tokens=1, response_tokens=1, truncated=False)
    with open_graders(GradeSection()) as graders:
        return graders.grade([problem], [answer])[0]


def test_one_right_is_enough_for_any_one_wrong_for_all_and_what_they_leave_is_open() -> None:
    order = {"wrong": 0, "ungradable": 1, "right": 2}
    for one in order:
        for other in order:
            of = [{"fixed": {"outcome": outcome}} for outcome in (one, other)]
            assert judged({"any": of}).outcome == max(one, other, key=order.__getitem__)
            assert judged({"all": {"of": of}}).outcome == min(one, other, key=order.__getitem__)


def test_a_judge_is_asked_last_and_only_what_is_open() -> None:
    dear = {"fixed": {"outcome": "right", "dear": True}}
    assert judged({"any": [dear, "numbers"]}, "The answer is 18.").right
    assert ASKED == []
    score = judged({"any": [dear, "numbers"]}, "The answer is 17.")
    assert score.right and ASKED == ["right"]
    assert score.reason == "numbers: wrong; fixed: right"


def test_every_measure_is_reported_with_the_pass_of_the_combination() -> None:
    gold = "You can send it back within thirty days."
    score = judged({"all": ["qa_f1", {"rouge_l": {"threshold": 1.0}}]}, gold[:-6] + "weeks", gold)
    assert [one.name for one in score.measures] == ["pass", "F1", "ROUGE-L"]
    assert score.measures[0].value == 0.0 and score.measures[1].value > 0.5


def test_graders_within_graders_have_their_options(grader: Graders) -> None:
    nested = {"all": ["numbers", {"any": ["qa", {"close": {"relative": 0.5}}]}]}
    assert judged(nested, "#### 18").right
    assert judged(nested, "#### 19").outcome == "wrong"


@pytest.mark.parametrize(
    ("chosen", "told"),
    [
        ({"any": []}, "`grader.any.of` must have at least 1 item"),
        ("any", "`grader.any` must be a list of graders, such as [numbers, qa]"),
        ({"any": ["numbers", "nubmers"]}, "`grader.any.of.1` must be 'all', 'any', "),
        ({"all": [{"rouge_l": {"threshold": 2}}]}, "`grader.all.of.0.rouge_l.threshold` must be"),
        ({"all": [{"rouge_l": {"thresh": 1}}]}, "thresh`; did you mean `threshold`?"),
        ({"judge": {"rubric": "x"}}, "`grader.judge.model` is required"),
        ({"judge": {"model": "m", "scale": 1}}, "`grader.judge.scale` must be greater than"),
    ],
)
def test_a_mistake_in_a_combination_is_named_by_its_key(chosen: object, told: str) -> None:
    with pytest.raises(RecipeError) as raised:
        check_section(DataSection, {"task": "table", "grader": chosen}, source="mine")
    assert told in str(raised.value) and "\n" not in str(raised.value)


def test_a_gold_must_fit_one_of_any_and_each_of_all() -> None:
    def unfit(kind: str, gold: str) -> str:
        options = json.dumps({"of": ["numbers", "qa"]})
        problem = Problem(
            id="p", question="?", answer=gold, solution="", grader=kind, grader_options=options
        )
        return grader_of(problem).unfit(gold)

    assert (unfit("any", "Paris"), unfit("all", "Paris")) == ("", "no number")
