"""The readers of mathematics: how one record of each becomes a problem, and what they refuse."""

import json
from pathlib import Path
from typing import Any

import pytest

from leaf.errors import DataError
from leaf.recipe import DataSection
from leaf.records import Problem
from leaf.tasks import load_problems, read_problems
from leaf.tasks.gsm8k import AFTER


def write(folder: Path, records: list[dict[str, Any]], name: str = "train.jsonl") -> str:
    path = folder / name
    path.write_text("".join(json.dumps(one) + "\n" for one in records), encoding="utf-8")
    return str(path)


def one(task: str, folder: Path, record: dict[str, Any]) -> Problem:
    (problem,) = load_problems(DataSection(task=task, path=write(folder, [record])))
    return problem


def test_math_takes_the_answer_of_the_last_box_where_there_is_no_column(tmp_path: Path) -> None:
    record = {"problem": "How many?", "solution": r"\boxed{3}, no: \boxed{\frac{1}{2}}."}
    assert one("math", tmp_path, record) == Problem(
        id="math-train-1",
        question="How many?",
        answer=r"\frac{1}{2}",
        solution=r"\boxed{3}, no: \boxed{\frac{1}{2}}.",
        after=AFTER,
        grader="math",
    )
    assert one("math", tmp_path, {**record, "answer": "0.5"}).answer == "0.5"


def test_math500_has_ids_of_its_own(tmp_path: Path) -> None:
    record = {"problem": "?", "solution": r"\boxed{3}", "answer": "3"}
    assert one("math500", tmp_path, record).id == "math500-train-1"


def test_math_leaves_out_what_is_in_its_test_set_and_refuses_an_empty_box(tmp_path: Path) -> None:
    good = {"problem": "?", "solution": r"\boxed{3}", "answer": "3", "dup_of_math_test": False}
    path = write(
        tmp_path,
        [
            {**good, "dup_of_math_test": True},
            good,
            {**good, "solution": r"There are $\boxed{}$.", "answer": ""},
        ],
    )
    problems, refused = read_problems(DataSection(task="math", path=path))
    assert [problem.id for problem in problems] == ["math-train-2"]
    (error,) = refused
    assert str(error).startswith(f"{path}:3: no gold answer: column `solution` has no filled")


def test_aime_drops_leading_zeros_and_boxes_an_answer_that_is_not(tmp_path: Path) -> None:
    record = {"problem": "?", "solution": "It is 35.", "answer": "035"}
    assert one("aime", tmp_path, record) == Problem(
        id="aime-train-1",
        question="?",
        answer="35",
        solution="It is 35.\nThe final answer is \\boxed{35}.",
        after=AFTER,
    )
    hub = {"Question": "?", "Answer": "35", "Year": 1983}
    assert one("aime", tmp_path, hub).solution == ""


@pytest.mark.parametrize("answer", ["1000", "-1", "3.5", "x"])
def test_aime_refuses_what_is_no_number_from_0_to_999(tmp_path: Path, answer: str) -> None:
    with pytest.raises(DataError, match=r":1: the answer must be a whole number from 0 to 999"):
        one("aime", tmp_path, {"problem": "?", "answer": answer})


def test_svamp_joins_body_and_question_and_reads_a_float(tmp_path: Path) -> None:
    record = {"Body": "Ed has 3 cups ", "Question": "How many cups?", "Answer": 145.0}
    problem = one("svamp", tmp_path, record)
    assert (problem.question, problem.answer) == ("Ed has 3 cups How many cups?", "145")
    assert one("svamp", tmp_path, {**record, "Answer": 14.50}).answer == "14.5"
    with pytest.raises(DataError, match=r":1: column `Answer` must be a number, but is 'many'"):
        one("svamp", tmp_path, {**record, "Answer": "many"})


def test_svamp_says_which_questions_have_an_irrelevant_number(tmp_path: Path) -> None:
    record = {"Body": "Ed has 3.0 cups, 4 of 5 plates", "Question": "How many?", "Answer": 7.0}
    for equation, part in (
        ("( 3.0 + 4.0 )", "irrelevant_number"),
        ("( ( 3.0 + 4.0 ) + 5.0 )", "plain"),
        ("", ""),
    ):
        assert one("svamp", tmp_path, {**record, "Equation": equation}).source == part
    assert one("svamp", tmp_path, record).source == ""


OLYMPIAD = {
    "id": 1618,
    "context": None,
    "question": "Find all.",
    "solution": ["We find them.", "Another way."],
    "final_answer": ["$(1,8,19), (2,7,13)$"],
    "answer_type": "Tuple",
    "unit": None,
    "error": None,
}


def test_olympiadbench_asks_for_all_answers(tmp_path: Path) -> None:
    assert one("olympiadbench", tmp_path, OLYMPIAD) == Problem(
        id="olympiadbench-1618",
        question="Find all.",
        answer="(1,8,19), (2,7,13)",
        solution="We find them.\nThe final answer is \\boxed{(1,8,19), (2,7,13)}.",
        after=AFTER,
        grader="olympiad",
        golds=("(1,8,19)", "(2,7,13)"),
    )


def test_olympiadbench_keeps_context_error_and_the_interval_of_a_variable(tmp_path: Path) -> None:
    changes = {"context": "Let $x>0$.", "error": "1e-1", "final_answer": ["4.2"]}
    problem = one("olympiadbench", tmp_path, {**OLYMPIAD, **changes})
    assert (problem.question, problem.tolerance) == ("Let $x>0$.\nFind all.", 0.1)
    changes = {"final_answer": ["$t(0,4]$"], "answer_type": "Interval"}
    assert one("olympiadbench", tmp_path, {**OLYMPIAD, **changes}).golds == ("(0,4]",)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"error": "1e-1,1e-2"}, "column `error` must be one number above 0"),
        ({"error": "much"}, "column `error` must be one number above 0"),
        ({"final_answer": []}, "column `final_answer` must be a list of texts"),
        ({"final_answer": ["$ $"]}, "column `final_answer` holds no answer"),
        ({"solution": None}, "column `solution` must be a list of texts"),
    ],
)
def test_olympiadbench_refuses_by_place(
    tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(DataError, match=rf"train\.jsonl:1: {message}"):
        one("olympiadbench", tmp_path, {**OLYMPIAD, **changes})


def numina(folder: Path, per_source: dict[str, int], proofs: int = 0) -> str:
    records = [
        {"source": source, "problem": f"{source} {n}?", "solution": rf"\boxed{{{n}}}"}
        for source, count in per_source.items()
        for n in range(count)
    ]
    proof = {"source": "olympiads", "problem": "Prove it.", "solution": "As we wanted."}
    return write(folder, [proof] * proofs + records)


def test_numina_math_takes_the_four_parts_of_the_paper_in_file_order(tmp_path: Path) -> None:
    path = numina(tmp_path, {"math": 2, "synthetic_math": 3, "gsm8k": 1, "amc_aime": 1}, proofs=1)
    problems, refused = read_problems(DataSection(task="numina_math", path=path))
    assert [problem.question for problem in problems] == [
        "math 0?",
        "math 1?",
        "gsm8k 0?",
        "amc_aime 0?",
    ]
    assert problems[0].id == "numina_math-train-2"
    assert [problem.source for problem in problems] == ["math", "math", "gsm8k", "amc_aime"]
    assert [str(error)[: len(path) + 19] for error in refused] == [f"{path}:1: no gold answer:"]


def test_numina_math_draws_as_many_good_ones_of_each_part_by_seed(tmp_path: Path) -> None:
    path = numina(tmp_path, {"math": 40, "olympiads": 40}, proofs=40)

    def draw(seed: int) -> tuple[list[str], int]:
        section = DataSection(
            task="numina_math", path=path, sources=["math", "olympiads"], per_source=9, seed=seed
        )
        problems, refused = read_problems(section)
        return [problem.question for problem in problems], len(refused)

    questions, refused = draw(0)
    assert [sum(name in q for q in questions) for name in ("math", "olympiads")] == [9, 9]
    # Half of the olympiads are proofs: about as many were drawn in vain as in earnest.
    assert 0 < refused < 40
    assert draw(0) == (questions, refused)
    assert draw(1) != (questions, refused)


def test_numina_math_takes_all_where_a_part_has_fewer_than_asked_for(tmp_path: Path) -> None:
    path = numina(tmp_path, {"math": 3})
    section = DataSection(task="numina_math", path=path, sources=["math"], per_source=9)
    assert len(load_problems(section)) == 3


@pytest.mark.parametrize("box", [r"\text{Q.E.D.}", "proof"])
def test_numina_math_refuses_a_box_that_holds_the_end_of_a_proof(tmp_path: Path, box: str) -> None:
    record = {"source": "olympiads", "problem": "Prove it.", "solution": rf"\boxed{{{box}}}"}
    section = DataSection(task="numina_math", path=write(tmp_path, [record]), sources=["olympiads"])
    with pytest.raises(DataError, match="no gold answer: the box holds"):
        load_problems(section)


def test_numina_math_names_the_nearest_part(tmp_path: Path) -> None:
    section = DataSection(
        task="numina_math", path=numina(tmp_path, {"olympiads": 1, "math": 1}), sources=["olympiad"]
    )
    with pytest.raises(DataError, match="no record has the source `olympiad`; did you mean `olym"):
        load_problems(section)
