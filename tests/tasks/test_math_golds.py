r"""The graders accept every gold answer of the real files and reject the next problem's."""

import random
from collections.abc import Callable, Iterator, Sequence

import pytest

from leaf.grade import open_graders
from leaf.recipe import DataSection, GradeSection
from leaf.records import Answer, Problem, Score
from leaf.tasks import read_problems
from tests.marks import DATA, needs_data

FILES = {
    "gsm8k train": ("gsm8k", "gsm8k/train.jsonl", 7473),
    "gsm8k test": ("gsm8k", "gsm8k/test.jsonl", 1319),
    "svamp": ("svamp", "svamp/test.jsonl", 1000),
    # 7,500 less two that are in the test set and two whose gold answer is empty.
    "math": ("math", "math/train.jsonl", 7496),
    "math500": ("math500", "math500/test.jsonl", 500),
    "aime": ("aime", "aime/aime_1983_2023_with_solutions.json", 975),
    "olympiadbench": ("olympiadbench", "olympiadbench/test.jsonl", 675),
    "gsm_ic": ("gsm_ic", "gsm_ic/gsm_ic_test.json", 1000),
}
EQUAL_NEIGHBOURS = {"x=5", "K=8", "25", r"120^\circ", "21", "18"}

pytestmark = needs_data


def load(name: str) -> list[Problem]:
    task, path, count = FILES[name]
    problems, refused = read_problems(DataSection(task=task, path=str(DATA / path)))
    assert (len(problems), len(refused)) == (count, 2 if name == "math" else 0)
    return problems


Grade = Callable[[Sequence[Problem], Sequence[str]], list[Score]]


@pytest.fixture(scope="module")
def grade() -> Iterator[Grade]:
    with open_graders(GradeSection(workers=1, time_limit=20.0)) as grader:

        def graded(problems: Sequence[Problem], texts: Sequence[str]) -> list[Score]:
            answers = [
                Answer(
                    problem_id=p.id, text=text, prompt_tokens=1, response_tokens=1, truncated=False
                )
                for p, text in zip(problems, texts, strict=True)
            ]
            return grader.grade(problems, answers)

        yield graded


def refused(grade: Grade, problems: Sequence[Problem], texts: Sequence[str]) -> list[str]:
    return [score.problem_id for score in grade(problems, texts) if not score.right]


def box(answer: str) -> str:
    return rf"So it is \boxed{{{answer}}}."


def in_dollars(answer: str) -> str:
    """Written so that it is not the gold text: what is compared is read."""
    return rf"So it is \boxed{{ ${answer}$ }}."


def wrongly_accepted(grade: Grade, problems: Sequence[Problem]) -> list[tuple[str, str]]:
    """Pose each problem with the next one's gold answer, where their texts differ."""
    pairs = [
        (one, other.answer)
        for one, other in zip(problems, [*problems[1:], problems[0]], strict=True)
        if one.answer != other.answer
    ]
    scores = grade([one for one, _ in pairs], [box(answer) for _, answer in pairs])
    return [
        (one.answer, answer)
        for (one, answer), score in zip(pairs, scores, strict=True)
        if score.right
    ]


@pytest.mark.parametrize("name", FILES)
def test_a_sample_of_gold_answers_is_accepted_and_wrong_ones_are_not(
    grade: Grade, name: str
) -> None:
    problems = random.Random(0).sample(load(name), 100)
    assert refused(grade, problems, [in_dollars(p.answer) for p in problems]) == []
    worked = [p for p in problems if p.solution]
    assert refused(grade, worked, [p.solution for p in worked]) == []
    assert wrongly_accepted(grade, problems) == []


@pytest.mark.parametrize("name", FILES)
def test_every_gold_answer_is_accepted_as_it_is_written(grade: Grade, name: str) -> None:
    problems = load(name)
    assert refused(grade, problems, [box(p.answer) for p in problems]) == []


@pytest.mark.long
@pytest.mark.parametrize("name", FILES)
def test_every_gold_answer_is_accepted_in_other_words_and_a_wrong_one_is_not(
    grade: Grade, name: str
) -> None:
    problems = load(name)
    assert refused(grade, problems, [in_dollars(p.answer) for p in problems]) == []
    worked = [p for p in problems if p.solution]
    assert refused(grade, worked, [p.solution for p in worked]) == []
    # What is left was read one by one: both texts say the same.
    assert {said for _, said in wrongly_accepted(grade, problems)} <= EQUAL_NEIGHBOURS


def test_one_more_than_the_gold_number_is_wrong(grade: Grade) -> None:
    problems = random.Random(1).sample(load("gsm8k test"), 100)
    scores = grade(problems, [box(str(float(p.answer) + 1)) for p in problems])
    assert [score.problem_id for score in scores if score.right] == []
