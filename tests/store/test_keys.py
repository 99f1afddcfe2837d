"""What names a result."""

import dataclasses
import importlib
import json
from functools import partial
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leaf.records import Answer, Distractor, Problem, Protected
from leaf.store.keys import digest, digest_of, plain, user_code_digest

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(st.lists(values))
def test_a_stream_has_the_digest_of_its_list(items: list[object]) -> None:
    assert digest_of(iter(items)) == digest(items)


def test_the_order_of_a_stream_counts() -> None:
    assert digest_of([1, 2]) != digest_of([2, 1]) != digest_of([[2, 1]])


def test_a_record_names_itself_as_its_fields_do() -> None:
    answer = Answer(
        problem_id="p", text="3", prompt_tokens=1, response_tokens=2, truncated=False, failure=None
    )
    assert plain([answer, "text", 3]) == [dataclasses.asdict(answer), "text", 3]


def test_a_problem_without_protected_places_has_the_name_it_had_before_there_were_any() -> None:
    cue = Distractor(kind="cue", start=0, end=2)
    problem = Problem(id="p", question="q", answer="1", solution="s", distractors=(cue,))
    # The fields that a problem had when the first results were named.
    old = {
        "id": "p",
        "question": "q",
        "answer": "1",
        "solution": "s",
        "before": "",
        "after": "",
        "grader": "numbers",
        "distractors": [{"kind": "cue", "start": 0, "end": 2}],
    }
    assert json.loads(json.dumps(plain(problem))) == old
    assert digest(plain([problem])) == digest([old])


def test_the_message_of_a_response_level_problem_is_part_of_its_name() -> None:
    problem = Problem(id="p", question="q", answer="1", solution="s")
    within = dataclasses.replace(problem, prompt="asked")
    assert plain(within) == {**plain(problem), "prompt": "asked"}


@pytest.mark.parametrize("what", ["entry point", "test name"])
def test_protected_places_are_part_of_the_name(what: str) -> None:
    problem = Problem(id="p", question="q", answer="1", solution="s")
    place = Protected(what=what, start=0, end=1)
    changed = dataclasses.replace(problem, protected=(place,))
    assert plain(changed) == {**plain(problem), "protected": [dataclasses.asdict(place)]}


def test_code_of_this_package_names_nothing() -> None:
    assert user_code_digest(digest) == {}
    assert user_code_digest(partial(digest)) == {}


def test_a_users_function_is_named_by_the_file_that_it_stands_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(tmp_path)

    def written(name: str, text: str) -> dict[str, str]:
        (tmp_path / f"{name}.py").write_text(text)
        return user_code_digest(importlib.import_module(name).score)

    one = written("scores_one", "FACTOR = 1\n\n\ndef score():\n    return FACTOR\n")
    same = written("scores_same", "FACTOR = 1\n\n\ndef score():\n    return FACTOR\n")
    # What the function calls or reads decides too, so the whole file counts.
    other = written("scores_other", "FACTOR = 2\n\n\ndef score():\n    return FACTOR\n")

    assert one == same
    assert one != other
    assert set(one) == {"code"}


def test_the_part_of_the_data_is_no_part_of_the_name() -> None:
    problem = Problem(id="p", question="q", answer="1", solution="s")
    named = dataclasses.replace(problem, source="gsm8k")
    assert plain(named) == plain(problem)
    assert "source" not in plain(problem)
