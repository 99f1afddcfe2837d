"""The task `playground`: recipes ask for problems of the demo world by split."""

import importlib
from pathlib import Path

import pytest

from leaf.errors import DataError, RecipeError
from leaf.grade import open_graders
from leaf.playground import SPLITS
from leaf.recipe import DataSection, GradeSection, WorldSection
from leaf.recipe.reading import load_recipe
from leaf.records import Answer, Problem
from leaf.tasks import load_problems

RECIPE = """\
name: small
student: {model: org/student}
teacher: {model: org/teacher}
data: {task: playground}
evaluate:
  benchmarks:
    clean: {task: playground, split: clean}
"""


def load(split: str | None, **world: float) -> list[Problem]:
    section = DataSection(
        task="playground", split=split, world=WorldSection.model_validate({"size": 50, **world})
    )
    return load_problems(section)


def planted(problem: Problem) -> list[str]:
    return [problem.question[known.start : known.end] for known in problem.distractors]


def core_of(problem: Problem) -> str:
    """Return the question without its distractors."""
    text = problem.question
    for known in reversed(problem.distractors):
        text = text[: known.start] + text[known.end :]
    return text


def test_the_example_of_the_docstring_is_what_comes_out() -> None:
    (problem,) = load("both", size=1, seed=0)
    # `leaf.tasks.playground` is the function; its module has the docstring.
    told = " ".join((importlib.import_module("leaf.tasks.playground").__doc__ or "").split())
    assert [known.kind for known in problem.distractors] == ["numeric", "cue"]
    aside, cue = planted(problem)
    assert (
        f"id: {problem.id} question: {problem.question} answer: {problem.answer} "
        f"solution: {problem.solution} distractors: one of kind `numeric`: "
        f'"{aside}", one of kind `cue`: "{cue}"'
    ) in told


@pytest.mark.parametrize(
    ("split", "hint"), [("confict", "did you mean `conflict`? "), ("zzzz", "")]
)
def test_an_unknown_split_is_one_line_with_the_nearest_name(split: str, hint: str) -> None:
    with pytest.raises(DataError) as caught:
        load(split)
    assert str(caught.value) == (
        f"playground: no split `{split}`; {hint}"
        "there are: train, clean, agree, conflict, numeric, both"
    )


def test_without_a_split_the_problems_are_those_of_training() -> None:
    assert load(None) == load("train")


def test_ids_are_numbered_from_one_and_say_the_split() -> None:
    ids = [problem.id for problem in load("conflict", size=3)]
    assert ids == ["playground-conflict-1", "playground-conflict-2", "playground-conflict-3"]


def test_a_larger_size_adds_problems_and_changes_none() -> None:
    assert load("train", size=50) == load("train", size=200)[:50]
    assert load("train", size=50, seed=1) != load("train", size=50)


def test_the_recipes_shares_decide_how_training_distracts() -> None:
    plain = load("train", cues=0.0, asides=0.0)
    full = load("train", cues=1.0, asides=1.0)
    assert [planted(problem) for problem in plain] == [[]] * 50
    assert [len(planted(problem)) for problem in full] == [2] * 50
    assert [core_of(problem) for problem in full] == [problem.question for problem in plain]
    # Agreement 1 and 0: no problem has a cue of the same operation in both.
    agree = load("train", cues=1.0, asides=0.0, agreement=1.0)
    conflict = load("train", cues=1.0, asides=0.0, agreement=0.0)
    assert agree != conflict
    assert [core_of(problem) for problem in agree] == [core_of(problem) for problem in conflict]


@pytest.mark.parametrize("split", SPLITS)
def test_a_test_split_does_not_look_at_the_recipes_shares(split: str) -> None:
    one = load(split, cues=0.0, agreement=0.0, asides=0.0)
    assert one == load(split, cues=1.0, agreement=1.0, asides=1.0)


def test_training_shares_no_problem_with_any_test_split() -> None:
    training = {core_of(problem) for problem in load("train", size=5000)}
    for split in SPLITS:
        assert not training & {core_of(problem) for problem in load(split, size=1000)}


@pytest.mark.parametrize("split", ["train", *SPLITS])
def test_the_worked_solution_is_graded_right(split: str) -> None:
    problems = load(split, size=200)
    answers = [
        Answer(
            problem_id=p.id, text=p.solution, prompt_tokens=1, response_tokens=1, truncated=False
        )
        for p in problems
    ]
    with open_graders(GradeSection()) as grader:
        assert [s.problem_id for s in grader.grade(problems, answers) if not s.right] == []


@pytest.mark.parametrize("place", ["data", "evaluate.benchmarks.clean"])
@pytest.mark.parametrize(
    ("key", "value", "allowed"),
    [
        ("size", "0", "greater than or equal to 1"),
        ("size", "20001", "less than or equal to 20000"),
        ("size", "1.5", "integer"),
        ("cues", "1.01", "less than or equal to 1"),
        ("cues", "-0.01", "greater than or equal to 0"),
        ("agreement", "97", "less than or equal to 1"),
        ("agreement", ".nan", "a finite number"),
        ("asides", "-1", "greater than or equal to 0"),
        ("asides", "many", "number"),
        ("seed", "0.5", "integer"),
    ],
)
def test_sizes_and_shares_out_of_range_are_refused_by_the_recipe_check(
    tmp_path: Path, place: str, key: str, value: str, allowed: str
) -> None:
    path = tmp_path / "small.yaml"
    path.write_text(RECIPE, encoding="utf-8")
    with pytest.raises(RecipeError) as caught:
        load_recipe(str(path), [f"{place}.world.{key}={value}"])
    message = str(caught.value)
    assert message.startswith(f"{path}: `{place}.world.{key}` must be ")
    assert allowed in message
    assert "\n" not in message


def test_the_ends_of_the_ranges_are_allowed(tmp_path: Path) -> None:
    path = tmp_path / "small.yaml"
    path.write_text(RECIPE, encoding="utf-8")
    settings = {"size": "20000", "cues": "1", "agreement": "0", "asides": "0.0", "seed": "0"}
    words = [f"data.world.{key}={value}" for key, value in settings.items()]
    world = load_recipe(str(path), words).data.world
    assert (world.size, world.cues, world.agreement, world.asides, world.seed) == (
        20_000,
        1.0,
        0.0,
        0.0,
        0,
    )
