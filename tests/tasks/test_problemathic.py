"""PROBLEMATHIC's pairs become problems with and without what distracts, in parts of their own."""

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from leaf.errors import DataError
from leaf.grade import open_graders
from leaf.recipe import DataSection, GradeSection
from leaf.records import Answer, Distractor, Problem
from leaf.tasks import read_problems
from leaf.tasks.overlap import overlap
from tests.marks import DATA, needs_data

FOLDER = DATA / "problemathic"
PARTS = ("test", "validation", "train")
SIMPLE = ["simple"]

Half = tuple[str, str, str, str, str]
"""Passage, question, explanation, final answer; the id."""

CLEAN: Half = (
    "Jo found 6 shells and Al found 8",
    " How many in all ?",
    "6 + 8 = 14.",
    "14.0",
    "p1",
)
DISTRACTED: Half = (
    " Jo found 6 shells, which raised her weight to 60 kg, and Al found 8. ",
    " How many in all ?",
    "It is 14.",
    "14.0",
    "p1",
)


def write(folder: Path, kind: str, clean: Sequence[Half], distracted: Sequence[Half]) -> None:
    for name, halves in (("non_adversarial", clean), ("adversarial", distracted)):
        lines = [
            json.dumps(
                {
                    "id": id_,
                    "prompt": f"<<Passage>>{passage}<<Question>>{question}",
                    "completion": f"<<Explanation>>{steps}<<FinalAnswer>>{answer}",
                }
            )
            for passage, question, steps, answer, id_ in halves
        ]
        (folder / f"{kind}_{name}_train.jsonl").write_text("\n".join(lines), encoding="utf-8")


def read(folder: Path, split: str, kinds: list[str] | None = SIMPLE) -> list[Problem]:
    return read_problems(section(folder, split, kinds))[0]


def section(folder: Path, split: str, kinds: list[str] | None = SIMPLE) -> DataSection:
    return DataSection(task="problemathic", path=str(folder), split=split, sources=kinds)


def everything(
    folder: Path, form: str = "", kinds: list[str] | None = SIMPLE
) -> tuple[list[Problem], list[str]]:
    """Return the problems of all parts, and what was refused in any."""
    problems, refused = [], {}
    for part in PARTS:
        try:
            found, errors = read_problems(section(folder, part + form, kinds))
        except DataError as error:  # nothing falls into this part
            found, errors = [], [error]
        problems += found
        refused |= {str(error): None for error in errors}
    return problems, [line for line in refused if "no record is left" not in line]


def test_a_pair_becomes_two_problems_that_know_each_other_and_what_distracts(
    tmp_path: Path,
) -> None:
    write(tmp_path, "simple", [CLEAN], [DISTRACTED])
    (clean,), refused = everything(tmp_path)
    (distracted,), _ = everything(tmp_path, "_distracted")
    assert not refused
    after = "\nReason in a few short steps, and put your final answer within \\boxed{}."
    assert clean == Problem(
        id="simple-p1",
        question="Jo found 6 shells and Al found 8. How many in all?",
        answer="14",
        solution="6 + 8 = 14.\nThe final answer is \\boxed{14}.",
        after=after,
    )
    assert distracted == Problem(
        id="simple-p1-distracted",
        question="Jo found 6 shells, which raised her weight to 60 kg, and Al found 8. "
        "How many in all?",
        answer="14",
        solution="It is 14.\nThe final answer is \\boxed{14}.",
        after=after,
        # "Jo found 6 shells, " has 19 characters, what follows up to the comma 32.
        distractors=(Distractor(kind="phrase", start=19, end=51),),
        base="simple-p1",
    )
    assert distracted.question[19:51] == "which raised her weight to 60 kg"


def of(id_: str, passage: str, answer: str = "3.0", steps: str = "It is 3.") -> Half:
    return (passage, "How many pens?", steps, answer, id_)


def test_ids_of_both_kinds_differ_and_one_file_stands_for_its_kind(tmp_path: Path) -> None:
    write(tmp_path, "simple", [CLEAN], [DISTRACTED])
    clean, distracted = of("p1", "Jo has 3 pens."), of("p1", "Jo, who is 9, has 3 pens.")
    write(tmp_path, "complex", [clean], [distracted])
    both, _ = everything(tmp_path, kinds=None)
    assert {problem.id for problem in both} == {"simple-p1", "complex-p1"}
    one, _ = everything(tmp_path / "complex_adversarial_train.jsonl", kinds=None)
    assert {problem.id for problem in one} == {"complex-p1"}


@pytest.mark.parametrize(
    ("answer", "steps", "solution", "grader"),
    [
        ("0.5", "1 - 0.5 = .50, so 0.50.", True, "numbers"),
        ("1200.0", "It is 1,200.", True, "numbers"),
        ("1.8333333333333337", "It is 1.8333333333333335.", True, "close"),
        ("12.0", "It is 13.", False, "numbers"),
        ("-3.0", "5 - 8 = -3.", True, "numbers"),
        ("60.0", "CouldNotExtractError", False, "numbers"),
    ],
)
def test_a_solution_comes_to_its_answer_and_long_decimals_need_not_be_exact(
    answer: str, steps: str, solution: bool, grader: str, tmp_path: Path
) -> None:
    half = of("p", "Jo has some.", answer, steps)
    write(tmp_path, "simple", [half], [half])
    ((problem,), _) = everything(tmp_path)
    assert (bool(problem.solution), problem.grader) == (solution, grader)


LONG = "On Monday a farmer counted 12 red hens and 7 white ones, and each of them laid 3 big eggs."


def test_what_is_no_pair_or_said_before_is_refused_by_its_place(tmp_path: Path) -> None:
    first, again = of("a", "Jo has 3 pens."), of("b", "jo  has 3 pens")
    write(
        tmp_path,
        "simple",
        [first, again, of("c", "Al has 3."), of("d", "Bo has 3.")],
        [first, again, of("c", "Al has 3, not 4.", "4.0"), of("e", "Cy has 3.")],
    )
    problems, refused = everything(tmp_path)
    assert [problem.id for problem in problems] == ["simple-a"]
    clean = tmp_path / "simple_non_adversarial_train.jsonl"
    other = tmp_path / "simple_adversarial_train.jsonl"
    assert sorted(refused) == sorted(
        [
            f"{clean}:2: an earlier pair has the same clean question",
            f"{clean}:3: the answer is 3, but 4 in {other}:3: no pair",
            f"{clean}:4: only the clean half of this pair is there",
            f"{other}:4: only the distracted half of this pair is there",
        ]
    )


def test_near_copies_of_a_question_stand_on_one_side_alone(tmp_path: Path) -> None:
    # So many that the hash puts some of them into each part; others so that no part is empty.
    copies = [of(f"p{n}", f"{LONG} The farm is {'very ' * n}old.") for n in range(12)]
    others = [of(f"q{n}", f"Bo has {n + 20} pens.") for n in range(30)]
    write(tmp_path, "simple", copies + others, copies + others)
    problems, refused = everything(tmp_path)
    left = [one for one in problems if one.id.startswith("simple-p")]
    assert set(map(repr, left)) <= set(map(repr, read(tmp_path, "test")))
    assert 0 < len(left) == len(copies) - len(refused) < len(copies)
    assert all("nearly a question of a part that is tested on" in line for line in refused)


@pytest.mark.parametrize(
    ("prompt", "completion", "what"),
    [
        ("Jo has 3 pens.", "<<Explanation>>.<<FinalAnswer>>3", "`prompt` must be <<Passage>>"),
        ("<<Passage>>a<<Question>>b", "3", "`completion` must end in"),
        ("<<Passage>>a<<Question>>b", "<<Explanation>>c<<FinalAnswer>>many", "and a number"),
    ],
)
def test_a_record_of_another_form_is_refused_by_place(
    prompt: str, completion: str, what: str, tmp_path: Path
) -> None:
    write(tmp_path, "simple", [CLEAN], [DISTRACTED])
    path = tmp_path / "simple_adversarial_train.jsonl"
    path.write_text(json.dumps({"id": "p1", "prompt": prompt, "completion": completion}))
    with pytest.raises(DataError) as caught:
        read(tmp_path, "train")
    assert str(caught.value).startswith(f"{path}:1: column ")
    assert what in str(caught.value)


def test_a_folder_split_or_source_that_is_not_there_is_named(tmp_path: Path) -> None:
    write(tmp_path, "simple", [CLEAN], [DISTRACTED])
    with pytest.raises(DataError, match=r"needs `path` \(data.path\): the folder of its four"):
        read_problems(DataSection(task="problemathic"))
    with pytest.raises(DataError, match=r"no split `tset`; did you mean `test`\? there are: test,"):
        read(tmp_path, "tset")
    with pytest.raises(DataError, match=r"no source `simpel`; did you mean `simple`\?"):
        read(tmp_path, "test", ["simpel"])
    with pytest.raises(DataError, match=r"complex_non_adversarial_train\.jsonl: no such data file"):
        read(tmp_path, "test", ["complex"])


@needs_data
def test_the_real_parts_are_as_large_as_the_guide_says_and_share_no_question() -> None:
    parts = {part: read(FOLDER, part, None) for part in PARTS}
    count = {
        part: [sum(one.id.startswith(kind) for one in found) for kind in ("simple", "complex")]
        for part, found in parts.items()
    }
    assert count == {"test": [359, 168], "validation": [133, 85], "train": [638, 341]}
    for tested, trained in (("test", "train"), ("test", "validation"), ("validation", "train")):
        shared = overlap(parts[tested], parts[trained])
        assert not (shared.exact or shared.near)
    # Each part is the same whatever kinds are asked for.
    assert read(FOLDER, "test", ["complex"]) == parts["test"][359:]


@needs_data
@pytest.mark.parametrize("part", PARTS)
def test_every_real_distracted_problem_has_its_clean_one(part: str) -> None:
    clean = {one.id: one for one in read(FOLDER, part, None)}
    distracted = read(FOLDER, f"{part}_distracted", None)
    mixed = read(FOLDER, f"{part}_mixed", None)
    assert [one.base for one in distracted] == list(clean)
    assert [one.answer for one in distracted] == [one.answer for one in clean.values()]
    assert sum(not one.distractors for one in distracted) <= 3
    assert [one.base or one.id for one in mixed] == list(clean)
    assert 0.45 < sum(bool(one.base) for one in mixed) / len(mixed) < 0.55


@needs_data
def test_every_real_gold_answer_and_solution_is_graded_right() -> None:
    problems = read(FOLDER, "train", None) + read(FOLDER, "test_distracted", None)
    solved = [one for one in problems if one.solution]
    assert len(problems) - len(solved) < 20
    answers = [
        Answer(
            problem_id=one.id,
            text=one.solution,
            prompt_tokens=1,
            response_tokens=1,
            truncated=False,
        )
        for one in solved
    ]
    with open_graders(GradeSection()) as grader:
        assert [
            score.problem_id for score in grader.grade(solved, answers) if not score.right
        ] == []
