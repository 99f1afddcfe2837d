"""Records of one's own beyond question and answer: paths, several golds, context, options."""

import json
import math
from pathlib import Path
from typing import Any

import pytest

from leaf.errors import DataError
from leaf.prune.cut import removable
from leaf.recipe import ColumnsSection, DataSection
from leaf.records import Problem
from leaf.tasks import load_problems
from leaf.tasks.table import final_answer


def load(tmp_path: Path, *records: dict[str, Any], **options: Any) -> list[Problem]:
    path = tmp_path / "own.jsonl"
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    section = {name: options.pop(name) for name in ("passages", "shots") if name in options}
    columns = ColumnsSection(**options)
    return load_problems(DataSection(task="table", path=str(path), columns=columns, **section))


def test_a_path_leads_into_a_record(tmp_path: Path) -> None:
    record = {
        "data": {"ask": "How many?"},
        "answers": {"text": ["four", "4"]},
        "log": json.dumps([{"say": "2 + 2"}, {"say": "= 4"}]),
        "a.b": "id-1",
    }
    columns = {"question": "data.ask", "answer": "answers.text", "solution": "log[-1].say"}
    (problem,) = load(tmp_path, record, id="a.b", **columns)
    assert (problem.question, problem.answer, problem.golds) == ("How many?", "four", ("4",))
    assert (problem.solution, problem.id) == ("= 4", "id-1")


def test_a_path_takes_a_key_of_every_item(tmp_path: Path) -> None:
    record = {"question": "?", "answers": [{"text": "four"}, {"text": "4"}, {"text": "four"}]}
    (problem,) = load(tmp_path, record, answer="answers.text")
    assert (problem.answer, problem.golds) == ("four", ("4",))


@pytest.mark.parametrize(
    ("column", "fault"),
    [
        ("data.aks", ":1: no `aks` in `data`, which has: ask"),
        ("data.ask.x", ":1: no `x` in `data.ask`, which has: 'How many?'"),
        ("dta.ask", ":1: no column `dta`; did you mean `data`?"),
        ("turns.3", ":1: no `3` in `turns`, which has: ['a']"),
    ],
)
def test_a_path_that_leads_nowhere_says_where_it_ends(
    tmp_path: Path, column: str, fault: str
) -> None:
    record = {"data": {"ask": "How many?"}, "turns": ["a"], "answer": 1}
    with pytest.raises(DataError) as caught:
        load(tmp_path, record, question=column)
    assert fault in str(caught.value)


def test_other_golds_may_have_a_column_of_their_own(tmp_path: Path) -> None:
    records = [
        {"question": "?", "answer": "UK", "aliases": '["Britain", "UK"]'},
        {"question": "?", "answer": "UK", "aliases": None},
        {"question": "?", "answer": "UK", "aliases": "Britain"},
    ]
    problems = load(tmp_path, *records, golds="aliases")
    assert [problem.golds for problem in problems] == [("Britain",), (), ("Britain",)]


def test_a_list_that_is_written_as_a_text_is_one_answer(tmp_path: Path) -> None:
    # An interval is no list of answers.
    (problem,) = load(tmp_path, {"question": "?", "answer": "[1, 2]"})
    assert (problem.answer, problem.golds) == ("[1, 2]", ())


@pytest.mark.parametrize(
    ("solution", "answer"),
    [
        ("2 + 2 = 4.\n#### 4", "4"),
        ("So it is \\boxed{4}. #### 5", "4"),
        ("First.\nAnswer: Paris\n", "Paris"),
        ("**Answer:** Paris", "Paris"),
        ("answer: 3\nno, wrong.\nAnswer: 4", "4"),
        ("We accept Visa.\nAnd cash.", "We accept Visa.\nAnd cash."),
    ],
)
def test_the_end_of_a_solution_is_its_answer(solution: str, answer: str) -> None:
    assert final_answer(solution) == answer


PASSAGES = [
    {"title": "Paris", "text": "Paris is the capital."},
    {"title": "Rome", "text": "Rome is old."},
]


@pytest.mark.parametrize(
    ("context", "gold"),
    [
        (PASSAGES, ["Paris"]),
        (PASSAGES, 0),
        (PASSAGES, [True, False]),
        ([["Paris", "Paris is the capital."], ["Rome", "Rome is old."]], ["Paris"]),
        (json.dumps(PASSAGES), "Paris is the capital."),
    ],
)
def test_passages_stand_before_the_question_and_those_not_gold_distract(
    tmp_path: Path, context: Any, gold: Any
) -> None:
    record = {"question": "Which city?", "answer": "Paris", "docs": context, "needed": gold}
    (problem,) = load(tmp_path, record, context="docs", gold="needed")
    assert problem.question == (
        "Document [1] (Title: Paris)\nParis is the capital.\n\n"
        "Document [2] (Title: Rome)\nRome is old.\n\n"
        "Question: Which city?"
    )
    (rome,) = problem.distractors
    assert rome.kind == "passage"
    assert problem.question[rome.start : rome.end].endswith("Rome is old.")
    assert problem.question[problem.asked] == "Which city?"


@pytest.mark.parametrize("unknown", [None, "", math.nan])
def test_where_nobody_said_what_is_needed_no_passage_distracts(
    tmp_path: Path, unknown: Any
) -> None:
    records = [
        {"question": "Which city?", "answer": "Paris", "docs": PASSAGES, "needed": needed}
        for needed in (0, unknown)
    ]
    first, second = load(tmp_path, *records, context="docs", gold="needed")
    assert (len(first.distractors), second.distractors) == (1, ())


def test_true_is_also_right_as_yes_and_false_as_no(tmp_path: Path) -> None:
    records = [{"question": "?", "answer": answer} for answer in (True, False)]
    yes, no = load(tmp_path, *records)
    assert (yes.answer, yes.golds, no.answer, no.golds) == ("true", ("yes",), "false", ("no",))
    assert yes.grader == "qa"


def test_texts_without_titles_are_numbered_and_one_text_stands_as_it_is(tmp_path: Path) -> None:
    record = {"question": "Who?", "answer": "Al", "docs": ["Al came.", "It rained."]}
    (several,) = load(tmp_path, record, context="docs")
    assert several.question == (
        "Document [1]\nAl came.\n\nDocument [2]\nIt rained.\n\nQuestion: Who?"
    )
    (one,) = load(tmp_path, {**record, "docs": "Al came. It rained."}, context="docs")
    assert one.question == "Al came. It rained.\n\nQuestion: Who?"
    assert one.distractors == ()


@pytest.mark.parametrize("blank", ["", "  ", " \n", None, [], ["", " "], "[]", math.nan])
def test_a_blank_context_is_none(tmp_path: Path, blank: Any) -> None:
    records = [{"question": "Who?", "answer": "Al", "docs": docs} for docs in (blank, "Al came.")]
    first, second = load(tmp_path, *records, context="docs")
    assert first.question == "Who?"
    assert second.question == "Al came.\n\nQuestion: Who?"


def test_a_context_is_cut_and_the_questions_words_are_not(tmp_path: Path) -> None:
    record = {"question": "Al is here. Who came?", "answer": "Al", "docs": "Al came. It rained."}
    (problem,) = load(tmp_path, record, context="docs")
    cuts = [item.spans[0].text.strip() for item in removable(problem, ["sentence"])]
    assert "Al is here." not in cuts


def test_more_passages_are_borrowed_from_other_records(tmp_path: Path) -> None:
    records = [
        {"question": f"q{at}?", "answer": f"a{at}", "docs": [f"Text {at} a{at}."], "gold": 0}
        for at in range(4)
    ]
    problems = load(tmp_path, *records, context="docs", gold="gold", passages=3)
    for at, problem in enumerate(problems):
        assert problem.question.count("Document [") == 3
        assert f"a{at}." in problem.question
        assert len(problem.distractors) == 2


@pytest.mark.parametrize(
    ("record", "fault"),
    [
        ({"docs": 3}, "column `docs` must hold passages, but is 3"),
        ({"docs": ["a", ""]}, "passage 1 of column `docs` must have a title and a text"),
        ({"docs": ["a"], "gold": 4}, "gold passage 4 is not among the passages"),
        ({"docs": ["a"], "gold": [True, False]}, "marks 2 passages, but there are 1"),
        ({"docs": ["a"], "gold": "1" * 5000}, "is not among the passages"),
    ],
)
def test_a_bad_context_is_named(tmp_path: Path, record: dict[str, Any], fault: str) -> None:
    gold = "gold" if "gold" in record else None
    with pytest.raises(DataError, match=r"own\.jsonl:1: ") as caught:
        load(tmp_path, {"question": "?", "answer": "1", **record}, context="docs", gold=gold)
    assert fault in str(caught.value)


@pytest.mark.parametrize(
    ("choices", "answer"),
    [
        (["Rome", "Paris"], "B"),
        (["Rome", "Paris"], "(b)"),
        (["Rome", "Paris"], 1),
        (["Rome", "Paris"], "Paris"),
        ({"text": ["Rome", "Paris"], "label": ["A", "B"]}, "B"),
        ({"A": "Rome", "B": "Paris"}, ["B"]),
        ('[{"label": "A", "text": "Rome"}, {"label": "B", "text": "Paris"}]', "B"),
    ],
)
def test_options_follow_the_question_and_the_right_one_is_a_label(
    tmp_path: Path, choices: Any, answer: Any
) -> None:
    record = {"question": "It rains. Which city?", "answer": answer, "options": choices}
    (problem,) = load(tmp_path, record, choices="options")
    assert problem.question == "It rains. Which city?\n\nA. Rome\nB. Paris"
    assert (problem.answer, problem.golds) == ("B", ("Paris",))
    assert problem.question[problem.asked] == "It rains. Which city?"
    cuts = [item.spans[0].text.strip() for item in removable(problem, ["sentence"])]
    assert cuts == ["It rains."]


def test_options_may_stand_in_columns_and_answers_that_are_options_are_texts(
    tmp_path: Path,
) -> None:
    record = {"question": "1 + 1?", "A": "3", "B": "2", "answer": "2"}
    (problem,) = load(tmp_path, record, choices=["A", "B"])
    assert problem.question.endswith("A. 3\nB. 2")
    # "2" is the text of B; the number 2 would be an option that is not there.
    assert problem.answer == "B"


def test_an_answer_is_the_text_that_is_written_so_before_a_label_in_other_case(
    tmp_path: Path,
) -> None:
    for answer, label in (("c", "B"), ("C", "C"), ("b", "B"), ("D", "C")):
        record = {"question": "Which?", "options": ["a", "c", "d"], "answer": answer}
        (problem,) = load(tmp_path, record, choices="options")
        assert (answer, problem.answer) == (answer, label)


def test_options_and_context_together_protect_what_asks_and_what_is_chosen(
    tmp_path: Path,
) -> None:
    record = {"question": "Which?", "answer": "A", "docs": "It rains.", "options": ["x", "y"]}
    (problem,) = load(tmp_path, record, context="docs", choices="options")
    assert problem.question == "It rains.\n\nQuestion: Which?\n\nA. x\nB. y"
    kept = {one.what: problem.question[one.start : one.end] for one in problem.protected}
    assert kept == {"question": "Which?", "options": "\n\nA. x\nB. y"}


@pytest.mark.parametrize(
    ("choices", "answer", "fault"),
    [
        (["Rome"], "A", "must hold at least two options"),
        (["Rome", ""], "A", "must hold at least two options"),
        ({"text": ["a", "b"], "label": ["A", "A"]}, "A", "must hold at least two options"),
        ({"text": ["a", "b"], "label": 1}, "A", "must hold at least two options"),
        (["Rome", "Paris"], "C", "must name an option by its label (A, B), its text or its number"),
        (["x", "y", "x"], "x", "must name one option, but A and C have the text 'x'; name one by"),
        (["Rome", "Paris"], 2, "must name an option by its label (A, B), its text or its number"),
        (["Rome", "Paris"], "1" * 5000, "must name an option by its label (A, B), its text or its"),
    ],
)
def test_bad_options_are_named(tmp_path: Path, choices: Any, answer: Any, fault: str) -> None:
    record = {"question": "?", "answer": answer, "options": choices}
    with pytest.raises(DataError) as caught:
        load(tmp_path, record, choices="options")
    assert fault in str(caught.value)
