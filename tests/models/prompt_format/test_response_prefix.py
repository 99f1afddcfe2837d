"""A response that is begun: context for what follows, and where the segment's units are."""

import dataclasses

import pytest

from leaf.models.prompt_format import PromptFormat
from leaf.records import Problem

ASKED = "What is 2 + 2?"
PARTS = [
    ("Tom has 3 pens.\n", "Bo has\n  4 hats.\n", "The answer is 4."),
    ("", "The answer", " is 4."),
    ("The ", "café ∠ABC 👩‍👧", ", so 4.\n"),
    ("", "\n\nTom", "\n\nBo"),
    ("", "4.", "\n"),
]

INSIDE_WORDS = ("The ans", "wer i", "s 4.")
"""Borders inside what tokenizers take as one token."""


def within(before: str, segment: str, rest: str) -> Problem:
    return Problem(
        id="p/r1", prompt=ASKED, before=before, question=segment, solution=rest, answer="4"
    )


def skip_where_every_text_gets_a_space(chat: PromptFormat, parts: tuple[str, str, str]) -> None:
    if parts == INSIDE_WORDS and chat.name in {"mistral", "base with bos"}:
        pytest.skip("its tokenizer puts a space before a text that it sees by itself")


@pytest.mark.parametrize("parts", [*PARTS, INSIDE_WORDS])
def test_the_begun_response_is_context_and_only_the_rest_is_response(
    chat: PromptFormat, parts: tuple[str, str, str]
) -> None:
    skip_where_every_text_gets_a_space(chat, parts)
    problem = within(*parts)
    prompt = chat.prompt(problem)
    conversation = chat.encode(problem.content, problem.solution, problem.response_prefix)
    assert list(prompt.ids) == chat.prompt_ids(ASKED, problem.response_prefix)
    assert conversation.ids[: conversation.prompt_length] == prompt.ids
    # What a model sees first is what it sees when it is asked.
    asked = chat.prompt_ids(ASKED)
    assert list(prompt.ids[: len(asked)]) == asked
    assert len(prompt.ids) > len(asked)
    *rest, end = conversation.ids[conversation.prompt_length :]
    assert (end,) == chat.end_of_turn
    said = chat.tokenizer.decode([*prompt.ids[len(asked) :], *rest])
    assert said.strip() == (problem.response_prefix + problem.solution).strip()


@pytest.mark.parametrize("parts", [*PARTS, INSIDE_WORDS])
def test_units_tile_the_segment_but_for_tokens_over_its_borders(
    chat: PromptFormat, parts: tuple[str, str, str]
) -> None:
    problem = within(*parts)
    prompt = chat.prompt(problem)
    covered = [at for unit in prompt.units for at in range(unit.start, unit.end)]
    assert covered == list(range(covered[0], covered[-1] + 1))
    # The segment ends where the begun response does: no token reaches over that border.
    assert covered[-1] == len(problem.question) - 1
    if not problem.before:
        assert covered[0] == 0
    # Each unit's tokens say its text.
    for unit in prompt.units:
        said = chat.tokenizer.decode([prompt.ids[at] for at in unit.tokens]).strip()
        assert said == problem.question[unit.start : unit.end].strip()


def test_where_it_is_stable_the_whole_is_tokenised_as_one_response(chat: PromptFormat) -> None:
    before, segment, rest = PARTS[0]
    parted = chat.encode(ASKED, rest, before + segment)
    assert parted.ids == chat.encode(ASKED, before + segment + rest).ids
    assert parted.prompt_length > chat.encode(ASKED, "").prompt_length


@pytest.mark.parametrize("parts", [*PARTS, INSIDE_WORDS])
def test_a_response_reads_as_its_beginning_and_what_was_said(
    chat: PromptFormat, parts: tuple[str, str, str]
) -> None:
    skip_where_every_text_gets_a_space(chat, parts)
    begun, rest = parts[0] + parts[1], parts[2]
    conversation = chat.encode(ASKED, rest, begun)
    tokens = conversation.ids[conversation.prompt_length : -1]
    assert chat.response(begun, tokens) == begun + rest


def test_an_ordinary_problem_begins_no_response() -> None:
    problem = Problem(id="p", question=ASKED, answer="4", solution="4", before="Read: ")
    assert (problem.content, problem.response_prefix, problem.level) == (
        f"Read: {ASKED}",
        "",
        "instruction",
    )
    inside = dataclasses.replace(problem, prompt="Asked")
    assert (inside.content, inside.response_prefix) == ("Asked", f"Read: {ASKED}")
