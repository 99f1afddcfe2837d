"""Chat records as people have them: which turn asks, which solves, and what is wrong with a bad
one."""

import json
from pathlib import Path
from typing import Any

import pytest

from leaf.errors import DataError
from leaf.recipe import ColumnsSection, DataSection
from leaf.records import Problem, Turn
from leaf.tasks import load_problems

OPENAI = [
    {"role": "system", "content": "You sell shoes."},
    {"role": "user", "content": "Do you ship to Spain?"},
    {"role": "assistant", "content": "Yes, in 3 days."},
    {"role": "user", "content": "And what does it cost?"},
    {"role": "assistant", "content": "It costs 4 euros.\n#### 4"},
]
SHAREGPT = [
    {"from": {"user": "human", "assistant": "gpt"}.get(t["role"], "system"), "value": t["content"]}
    for t in OPENAI
]
BEFORE = (
    Turn(role="system", text="You sell shoes."),
    Turn(role="user", text="Do you ship to Spain?"),
    Turn(role="assistant", text="Yes, in 3 days."),
)


def load(tmp_path: Path, record: dict[str, Any], **columns: Any) -> Problem:
    path = tmp_path / "chat.jsonl"
    path.write_text(json.dumps(record) + "\n")
    section = DataSection(task="table", path=str(path), columns=ColumnsSection(**columns))
    (problem,) = load_problems(section)
    return problem


@pytest.mark.parametrize("turns", [OPENAI, SHAREGPT, json.dumps(OPENAI)])
def test_the_last_turn_of_the_user_asks_and_what_stands_before_is_context(
    tmp_path: Path, turns: Any
) -> None:
    problem = load(tmp_path, {"chat": turns}, question="chat", answer=None)
    assert (problem.turns, problem.question) == (BEFORE, "And what does it cost?")
    assert (problem.solution, problem.answer) == ("It costs 4 euros.\n#### 4", "4")


def test_trls_prompt_and_completion_are_read_as_lists_and_as_texts(tmp_path: Path) -> None:
    columns: dict[str, Any] = {"question": "prompt", "solution": "completion", "answer": None}
    texts = {"prompt": "What does it cost?", "completion": "4 euros"}
    plain = load(tmp_path, texts, **columns)
    assert (plain.question, plain.solution, plain.answer) == (
        "What does it cost?",
        "4 euros",
        "4 euros",
    )
    lists = load(tmp_path, {"prompt": OPENAI[:-1], "completion": OPENAI[-1:]}, **columns)
    whole = load(tmp_path, {"messages": OPENAI}, question="messages", answer=None)
    assert lists == whole


def test_a_conversation_that_ends_with_the_user_takes_its_answer_from_a_column(
    tmp_path: Path,
) -> None:
    record = {"messages": OPENAI[:-1], "cost": 4}
    problem = load(tmp_path, record, question="messages", answer="cost")
    assert (problem.question, problem.answer, problem.solution) == (
        "And what does it cost?",
        "4",
        "",
    )


def test_a_column_may_hold_the_system_prompt(tmp_path: Path) -> None:
    record = {"system": "You sell shoes.", "conversations": SHAREGPT[1:]}
    columns = {"question": "conversations", "answer": None, "system": "system"}
    assert load(tmp_path, record, **columns).turns == BEFORE


def test_a_content_of_text_parts_is_their_text(tmp_path: Path) -> None:
    parts = [{"type": "text", "text": "How "}, {"type": "text", "text": "much?"}]
    turns = [{"role": "user", "content": parts}, OPENAI[-1]]
    assert load(tmp_path, {"messages": turns}, question="messages", answer=None).question == (
        "How much?"
    )


def changed(number: int, **turn: Any) -> list[dict[str, Any]]:
    return [{**one, **turn} if at == number else one for at, one in enumerate(OPENAI, start=1)]


@pytest.mark.parametrize(
    ("turns", "fault"),
    [
        (OPENAI[:-1], "ends with the user's turn, so it has no answer; remove the record, or name"),
        (changed(3, content="  "), "turn 3 (assistant) is empty; fill it or remove the record"),
        (changed(3, content=None), "turn 3 (assistant) is empty; fill it or remove the record"),
        (changed(3, role="tool"), "turn 3 has the role 'tool'; only system, user and assistant"),
        (changed(3, role="user"), "turns 2 and 3 are both the user's; join them or remove"),
        (changed(3, role="system"), "turn 3 is a system turn; only the first may be one"),
        (OPENAI[2:], "turn 1 is the assistant's, but a conversation begins with the user"),
        ([OPENAI[1], SHAREGPT[2]], "turn 2 has `from`, but turn 1 has `role`; write all turns in"),
        ([{"text": "hi"}], "turn 1 must have `role` and `content`, or `from` and `value`, but is"),
        (changed(2, content=[{"type": "image_url"}]), "turn 2 must be text alone, but is"),
        (OPENAI[:1], "has no turn of the user, so nothing is asked"),
    ],
)
def test_a_bad_conversation_is_one_line_with_file_row_and_way_out(
    tmp_path: Path, turns: list[Any], fault: str
) -> None:
    with pytest.raises(DataError) as caught:
        load(tmp_path, {"messages": turns}, question="messages", answer=None)
    place = f"{tmp_path / 'chat.jsonl'}:1: column `messages`"
    said = str(caught.value)
    assert said.startswith(place)
    assert fault in said
    assert "\n" not in said


def test_a_completion_of_two_turns_is_refused(tmp_path: Path) -> None:
    record = {"prompt": OPENAI[:2], "completion": OPENAI[2:]}
    with pytest.raises(DataError, match="`completion` must hold one turn of the assistant"):
        load(tmp_path, record, question="prompt", solution="completion", answer=None)
