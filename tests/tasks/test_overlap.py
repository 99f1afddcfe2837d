"""Test questions in the training data are found: by hand, and on pairs with known truth."""

import gzip
import json
import re

import pytest

from leaf.records import Problem, Protected
from leaf.tasks.overlap import Meeting, meetings, overlap
from tests.marks import DATA

LONG = "A farmer has 12 red hens and 7 white ones, and each of them lays 3 eggs in a week."


def problem(name: str, question: str) -> Problem:
    return Problem(id=name, question=question, answer="", solution="")


def one(test: str, train: str) -> Meeting:
    (meeting,) = meetings([problem("e", test)], [problem("t", train)])
    return meeting


def test_the_same_question_is_exact_whatever_its_case_and_spaces() -> None:
    meeting = one("How  many\nhens?", "how many hens?")
    assert meeting == Meeting(test_id="e", train_id="t", exact=True, share=1.0, same_numbers=True)


def test_a_question_that_differs_in_a_sign_is_not_exact_but_near() -> None:
    meeting = one("What is the root of x + 2 = 0?", "What is the root of x - 2 = 0?")
    assert (meeting.exact, meeting.share) == (False, 1.0)


def test_the_share_is_that_of_the_words_in_shared_runs() -> None:
    # LONG has 20 words. The first 13 are one shared run, and there is no other.
    words = re.findall(r"\w+", LONG)
    assert len(words) == 20
    other = " ".join([*words[:13], "pig", *words[13:]])
    meeting = one(other, LONG)
    assert meeting.share == 13 / 20
    assert meeting.same_numbers


def test_an_added_sentence_does_not_hide_a_question() -> None:
    found = overlap([problem("e", f"{LONG} Tom is 80 years old.")], [problem("t", LONG)])
    assert [(near.test_id, near.train_id, near.share) for near in found.near] == [("e", "t", 1.0)]
    assert found.exact == ()


def test_the_same_words_about_other_numbers_are_another_problem() -> None:
    other = LONG.replace("12", "20")
    (meeting,) = meetings([problem("e", other)], [problem("t", LONG)])
    # Words 5 to 20 are shared: 16 of 20.
    assert (meeting.share, meeting.same_numbers) == (16 / 20, False)
    assert overlap([problem("e", other)], [problem("t", LONG)]).near == ()


def test_a_short_question_is_one_run_of_all_its_words() -> None:
    train = problem("t", "Tell me: who wrote the Lusiads? Then say when.")
    assert overlap([problem("e", "Who wrote the Lusiads")], [train]).near
    assert list(meetings([problem("e", "Who wrote the book")], [train])) == []
    assert list(meetings([problem("e", "Say when")], [train])) == []  # two words: only whole


def test_the_best_training_problem_is_named_and_of_equals_the_first() -> None:
    half = " ".join(re.findall(r"\w+", LONG)[:14])
    train = [problem("half", half), problem("all", LONG + "!"), problem("again", LONG + "?")]
    (meeting,) = meetings([problem("e", LONG)], train)
    assert meeting.train_id == "all"


def test_only_the_words_that_ask_are_compared() -> None:
    def asked(name: str, question: str) -> Problem:
        text = f"{LONG}\n\nQuestion: "
        place = Protected(what="question", start=len(text), end=len(text) + len(question))
        return Problem(
            id=name, question=text + question, answer="", solution="", protected=(place,)
        )

    assert list(meetings([asked("e", "Who was it then?")], [asked("t", "When was it not?")])) == []
    assert overlap([asked("e", "Who was it?")], [problem("t", "Who was it?")]).exact


def test_the_line_about_it_has_both_counts_and_an_example_of_each() -> None:
    train = [problem("t1", LONG), problem("t2", "How many are there?")]
    test = [problem("e1", LONG + " Why?"), problem("e2", "How many are there?")]
    assert str(overlap(test, train)) == (
        "of which 1 is in the training data word for word (e2 as t2) and 1 nearly is "
        "(e1 resembles t1)"
    )
    assert str(overlap(test[:1] * 2, train)) == (
        "of which none is in the training data word for word and 2 nearly are (e1 resembles t1)"
    )
    assert str(overlap([], train)) == (
        "of which none is in the training data word for word or nearly"
    )


# Known truths.


def rows(name: str) -> list[dict[str, str]]:
    path = DATA / name
    if not path.is_file():
        pytest.skip(f"../shared/data/{name} is not there")
    text = gzip.decompress(path.read_bytes()) if name.endswith(".gz") else path.read_bytes()
    if name.endswith(".json"):
        found: list[dict[str, str]] = json.loads(text)
        return found
    return [json.loads(line) for line in text.splitlines()]


def test_exactly_the_lines_of_gsm8k_that_gsm_ic_is_made_of_are_found() -> None:
    lines = rows("gsm8k/train.jsonl")
    known = json.loads((DATA / "gsm8k/train_lines_used_by_gsm_ic.json").read_text())
    truth = {str(line) for line in known["gsm_ic_base100"]}
    train = [problem(str(number), row["question"]) for number, row in enumerate(lines)]
    variants = rows("gsm_ic/gsm_ic_test.json")
    bases = dict.fromkeys(row["original_question"] for row in variants)
    found = overlap([problem(base, base) for base in bases], train)
    assert {meeting.train_id for meeting in found.exact} == truth
    assert len(found.exact) == 100
    assert found.near == ()
    # With its planted sentence a question is still found, and never with another line.
    distracted = [problem(str(n), row["new_question"]) for n, row in enumerate(variants)]
    near = overlap(distracted, train).near
    line_of = {meeting.test_id: meeting.train_id for meeting in found.exact}
    assert len(near) == 951
    for meeting in near:
        assert meeting.train_id == line_of[variants[int(meeting.test_id)]["original_question"]]


def test_no_question_of_gsm8k_test_is_in_its_training_data() -> None:
    sets = [rows(f"gsm8k/{split}.jsonl") for split in ("test", "train")]
    test, train = ([problem(str(n), row["question"]) for n, row in enumerate(s)] for s in sets)
    found = overlap(test, train)
    assert (found.exact, found.near) == ((), ())


def test_problems_of_leetcode_are_found_in_its_training_data_and_no_others() -> None:
    train = [
        problem(row["task_id"], row["query"].split("Please complete")[0])
        for row in rows("leetcode/LeetCodeDataset-v0.2.0-train.jsonl.gz")
    ]
    july = [
        problem(row["title"], row["prompt_sft"].split("```")[0])
        for row in rows("leetcode/20240121-Jul.jsonl")
    ]
    found = overlap(july, train)
    titles = {one.id for one in july} & {one.id for one in train}
    assert len(titles) == 54
    # Of the other 5 the two files have other texts.
    assert len(found.near) == 49
    assert all(meeting.test_id == meeting.train_id for meeting in found.near)
    later = [
        problem(row["task_id"], row["problem_description"])
        for row in rows("leetcode/LeetCodeDataset-v0.3.1-test.jsonl.gz")
    ]
    assert overlap(later, train).near == ()


def test_problems_of_aime_in_math500_are_found() -> None:
    train = [
        problem(str(n), row["problem"])
        for n, row in enumerate(rows("aime/aime_1983_2023_with_solutions.json"))
    ]
    test = [problem(str(n), row["problem"]) for n, row in enumerate(rows("math500/test.jsonl"))]
    found = overlap(test, train)
    assert (len(found.exact), len(found.near)) == (4, 3)
