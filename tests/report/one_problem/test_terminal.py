"""One prompt on a terminal, with colours and without."""

import dataclasses
import io
import re
from typing import Any

import pytest
from rich.cells import cell_len
from rich.console import Console

from leaf.recipe import Recipe
from leaf.records import Outcome
from leaf.report.one_problem import explanation
from leaf.report.one_problem_terminal import print_explanation, print_list
from leaf.store.ledger import Control, Entry, Said
from tests.report.attacks import ATTACKS


def printed(entry: Entry, recipe: Recipe, *, colour: bool = False, width: int = 100) -> str:
    out = io.StringIO()
    console = Console(
        file=out,
        width=width,
        highlight=False,
        force_terminal=colour,
        color_system="truecolor" if colour else None,
    )
    print_explanation(explanation(entry, recipe, "here"), console)
    return out.getvalue()


def test_outcomes_reasons_and_both_models_answers_are_there(entry: Entry, recipe: Recipe) -> None:
    text = printed(entry, recipe)
    for said in (
        "student ✗ wrong (org/small)   teacher ✓ right (org/large)   right answer 3",
        "Cuts tried  1 of 3 verified",
        "student ✓ right  teacher ✓ right  verified: both right without it",
        "student ✗ wrong  teacher – not asked  not verified: student wrong",
        "not tried: 1 cut: would cut inside a word",
        "control random: 0 of 1 changed questions kept",
        "first I said 7",
        "it is 3",
        "now 3",
        "still 3",
    ):
        assert said in text


def test_before_a_segment_of_a_response_stand_the_message_and_the_response_so_far(
    entry: Entry, recipe: Recipe
) -> None:
    within = dataclasses.replace(entry, level="response", prompt="How many?", before="Well: ")
    text = printed(within, recipe)
    places = [text.index(said) for said in ("Asked\nHow many?", "Answered so far\nWell:", "Gap")]
    assert places == sorted(places)
    assert "The response goes on with what is scored and cut here:" in text
    first = printed(dataclasses.replace(within, before=""), recipe)
    assert "The response begins with what is scored and cut here:" in first
    assert "Answered so far" not in first
    assert "Asked" not in printed(entry, recipe)


def test_without_colours_bars_stand_under_the_words_and_brackets_for_strikes(
    entry: Entry, recipe: Recipe
) -> None:
    lines = printed(entry, recipe).splitlines()
    student = lines.index("Student  how much each word moves its loss on the reference")
    assert lines[student + 1] == "✗[-Ben-] has 3 ✓[-red-] pens. How many?"
    # Student 0.5, 0, 1, 0.5 in six steps: 3, 0, 6, 3; mark, brackets and space are the word's.
    assert lines[student + 2] == "▃" * 8 + " " * 6 + "▆" * 9 + "▃" * 6
    gap = next(at for at, line in enumerate(lines) if line.startswith("Gap"))
    # Student minus teacher: 0.5, -1, 1, 0; where the teacher leans more there is no bar.
    assert lines[gap + 2] == "▃" * 8 + " " * 6 + "▆" * 9
    assert "[-so-]: cut on trial; ✓ that freed the student, ✗ that did not" in lines


def test_with_colours_the_student_is_orange_and_the_teacher_blue(
    entry: Entry, recipe: Recipe
) -> None:
    text = printed(entry, recipe, colour=True)
    student, teacher = text.index("Student"), text.index("Teacher")
    # 0.7 of (213, 94, 0) and of (0, 114, 178), the rest white.
    orange, blue = "48;2;226;142;76", "48;2;76;156;201"
    assert orange in text[student:teacher]
    assert blue not in text[student:teacher]
    assert blue in text[teacher:]
    # 9 is struck through: what was taken out; a green mark before it says that it freed.
    assert "\x1b[9;" in text
    assert "\x1b[4;" not in text[: text.index("Cuts tried")]
    assert "\x1b[1;32m✓" in text[student:teacher]
    assert "struck through: cut on trial" in text
    assert "▆" not in text


def test_a_sentence_that_was_ranked_has_one_bar_over_its_whole_length(
    by_sentence: tuple[Entry, Recipe],
) -> None:
    lines = printed(*by_sentence).splitlines()
    named = "Ranked by ablation, sentence by sentence  higher bars are cut sooner"
    at = lines.index(named)
    assert lines[at + 1] == "✓[-Ben has 3 red pens.-] How many?"
    assert lines[at + 2] == "▆" * len("✓[-Ben has 3 red pens.-]")
    # Tokens that the gradient scored were not what was ranked.
    assert not any(line.startswith(("Student  ", "Teacher  ", "Gap  ")) for line in lines)


def test_a_sentence_longer_than_a_line_goes_on_in_the_next_with_its_bars(
    by_sentence: tuple[Entry, Recipe],
) -> None:
    lines = printed(*by_sentence, width=14).splitlines()
    at = lines.index("✓[-Ben has 3")
    assert lines[at : at + 5] == ["✓[-Ben has 3", "▆" * 12, "red pens.-]", "▆" * 11, "How many?"]


def test_what_was_answered_to_a_cut_that_failed_is_shown_in_short(
    entry: Entry, recipe: Recipe
) -> None:
    said = Said(text="\n".join("abcde"), outcome=entry.student.outcome)
    failed = dataclasses.replace(entry.variants[1], student=said)
    text = printed(dataclasses.replace(entry, variants=(failed,)), recipe)
    answers = text[text.index("Answers") :]
    assert "without [-Ben-]" in answers
    assert re.search(r"✗ wrong .*\n.* a .*\n.* b .*\n.* c .*\n.* … the rest", answers)


def test_a_student_that_is_right_on_the_whole_question_is_freed_by_nothing(
    by_sentence: tuple[Entry, Recipe],
) -> None:
    entry, recipe = by_sentence
    solved = dataclasses.replace(entry, student=entry.teacher)
    text = printed(solved, recipe)
    assert "none can free the student: it is right on the whole question" in text
    assert "= [-Ben has 3 red pens.-]" in text
    assert "freed nobody: right with and without it" in text
    assert "✓[-" not in text
    assert "verified" not in text


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"truncated": True}, "cut at the limit of 24 tokens"),
        ({"truncated": False}, "no final answer found"),
        ({"text": "", "failure": "server said 500"}, "server said 500"),
    ],
)
def test_an_answer_that_cannot_be_graded_says_why(
    entry: Entry, recipe: Recipe, changes: Any, why: str
) -> None:
    generate = recipe.generate.model_copy(update={"max_new_tokens": 24})
    said = Said(**({"text": "so", "outcome": Outcome.UNGRADABLE} | changes))
    tried = dataclasses.replace(entry.variants[1], student=said)
    shown = dataclasses.replace(entry, student=said, variants=(tried,))
    text = printed(shown, recipe.model_copy(update={"generate": generate}), width=200)
    assert text.count(f"? not gradable: {why}") == 2


def test_what_came_in_is_named_before_what_it_replaced(entry: Entry, recipe: Recipe) -> None:
    moved = dataclasses.replace(
        entry.variants[0],
        strategy="transplant",
        inserted="blue",
        question=entry.question.replace(" red", " blue"),
        donor="q/cf1",
    )
    text = printed(dataclasses.replace(entry, variants=(moved,)), recipe, width=200)
    assert "\nwith {+blue+} instead of [-red-]\n  student " in text, "on a line of its own"
    assert "Transplants  1 of 1 kept" in text
    assert "kept: teacher still right  from q/cf1" in text


def test_a_teacher_that_was_asked_only_about_a_text_put_in_is_heard(
    entry: Entry, recipe: Recipe
) -> None:
    moved = dataclasses.replace(entry.variants[0], strategy="transplant", inserted="blue")
    text = printed(dataclasses.replace(entry, teacher=None, variants=(moved,)), recipe, width=200)
    assert "student ✗ wrong (org/small)   teacher – not asked (org/large)" in text
    assert "student ✓ right  teacher ✓ right  kept" in text
    assert "teacher ✓ right" in text[text.index("Answers") :]


def test_before_models_were_asked_their_answers_are_not_there(
    by_sentence: tuple[Entry, Recipe],
) -> None:
    entry, recipe = by_sentence
    waiting = dataclasses.replace(entry.variants[0], student=None, teacher=None, reason="")
    changes: Any = {"student": None, "teacher": None, "units": (), "variants": (waiting,)}
    text = printed(dataclasses.replace(entry, **changes), recipe)
    assert "Cuts  not verified yet: look.verify()" in text
    assert not {"asked", "student", "teacher", "0 of 1", "verdict"} & set(text.split())
    assert "Ranked by ablation" in text
    assert "\n[-Ben has 3 red pens.-] How many?" in text
    assert "[-so-]: cut on trial\n" in text
    assert "– [-Ben has 3 red pens.-]" in text
    assert "✗" not in text
    assert "✓" not in text


@pytest.mark.parametrize("width", [60, 75])
@pytest.mark.parametrize("word", ["naïve", "東京は", "a\nb", "x" * 9])
def test_bars_are_as_wide_as_the_words_over_them(
    entry: Entry, recipe: Recipe, word: str, width: int
) -> None:
    units = []
    for number in range(20):
        start = number * (len(word) + 1)
        text = f" {word}"
        units.append(
            dataclasses.replace(
                entry.units[2], start=start, end=start + len(text), text=text, student=1.0
            )
        )
    question = "".join(unit.text for unit in units)
    shown = dataclasses.replace(entry, question=question, units=tuple(units), variants=())
    lines = printed(shown, recipe, width=width).splitlines()
    first = next(at for at, line in enumerate(lines) if line.startswith("Student")) + 1
    last = next(at for at, line in enumerate(lines) if line.startswith("Teacher")) - 1
    pairs = list(zip(lines[first:last:2], lines[first + 1 : last : 2], strict=True))
    assert "".join("".join(line.split()) for line, _ in pairs) == "".join(question.split())
    for line, bars in pairs:
        assert cell_len(bars) == cell_len(line) <= width


def test_text_is_never_read_as_markup_or_as_orders_to_the_terminal(
    entry: Entry, recipe: Recipe
) -> None:
    hostile = "[bold]x[/nothing] \x1b[31m"
    said = Said(text=hostile, outcome=entry.student.outcome)
    changed = dataclasses.replace(entry, student=said, answer=hostile)
    text = printed(changed, recipe)
    assert text.count("[bold]x[/nothing] ␛[31m") == 2
    assert "\x1b" not in text


@pytest.mark.parametrize("colour", [False, True])
def test_no_attack_reaches_the_terminal_as_an_order(
    entry: Entry, recipe: Recipe, colour: bool
) -> None:
    orders = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
    for text in ATTACKS:
        said = Said(text=text, outcome=entry.student.outcome)
        models = {
            role: getattr(recipe, role).model_copy(update={"model": text})
            for role in ("student", "teacher")
        }
        variants = (
            dataclasses.replace(entry.variants[0], student=said, teacher=said, reason=text),
            dataclasses.replace(entry.variants[3], reason=text),
            dataclasses.replace(entry.variants[4], detector=text),
        )
        changed = dataclasses.replace(
            entry,
            problem_id=text,
            answer=text,
            question=entry.question + text,
            student=said,
            teacher=said,
            variants=variants,
        )
        shown = printed(changed, recipe.model_copy(update=models), colour=colour)
        listed = io.StringIO()
        print_list([changed], "gradient", Console(file=listed, width=60))
        # Rich's own colours are orders too.
        plain_text = re.sub(r"\x1b\[[0-9;]*m", "", shown) if colour else shown
        assert orders.search(plain_text) is None, ascii(text)
        assert orders.search(listed.getvalue()) is None, ascii(text)


def test_a_long_answer_is_cut_and_says_where_the_rest_is(entry: Entry, recipe: Recipe) -> None:
    long = "\n".join(f"line {number}" for number in range(30))
    said = Said(text=long, outcome=entry.student.outcome)
    text = printed(dataclasses.replace(entry, student=said), recipe)
    assert "line 11" in text
    assert "line 12" not in text
    assert "the rest is in" in text


def test_without_scores_the_question_and_the_reason_are_shown(entry: Entry, recipe: Recipe) -> None:
    lost = dataclasses.replace(entry, units=(), skipped="too long", variants=())
    text = printed(lost, recipe)
    assert entry.question in text
    assert "no scores: too long" in text
    host = dataclasses.replace(entry, units=(), entered=False, variants=())
    assert "the student solves it, so it was not scored" in printed(host, recipe)


def test_the_list_is_one_line_a_problem_whatever_the_question(entry: Entry) -> None:
    other = dataclasses.replace(
        entry, problem_id="longer-id", question="two\nlines " * 50, variants=()
    )
    out = io.StringIO()
    host = dataclasses.replace(entry, problem_id="a-host", entered=False)
    print_list([host, entry, other], "gradient", Console(file=out, width=60))
    first, second, last = out.getvalue().splitlines()
    assert first == f"p          {'1 of 3 kept':<16}{entry.question}"
    assert second.startswith(f"longer-id  {'0 of 0 kept':<16}two lines two")
    more = "and 1 more that the student solved, and that took a transplant (1 with one kept)"
    assert last == f"{more}: --json lists them"
    out = io.StringIO()
    print_list([other], "gradient", Console(file=out, width=60, force_terminal=True))
    (line,) = out.getvalue().splitlines()
    assert "…" in line


def test_of_a_long_list_a_terminal_has_the_problems_with_something_kept_first(
    entry: Entry,
) -> None:
    others = [dataclasses.replace(entry, problem_id=f"q{n}", variants=()) for n in range(5)]
    shown, whole = (
        Console(file=io.StringIO(), width=80, force_terminal=one) for one in (True, False)
    )
    for console in (shown, whole):
        print_list([*others, entry], "gradient", console, 3)
    first, *_, last = shown.file.getvalue().splitlines()  # type: ignore[attr-defined]
    assert "1 of 3 kept" in first
    assert "and 3 more that entered: through a pipe, or with --json, all of them" in last
    assert len(whole.file.getvalue().splitlines()) == 6  # type: ignore[attr-defined]


def test_what_a_cut_was_held_against_stands_below_it(entry: Entry, recipe: Recipe) -> None:
    held = Control(greedy=True, placebos=2, freed=0.0, rate=None, before=None, why_few="")
    first, *others = entry.variants
    first = dataclasses.replace(first, control=held)
    text = printed(dataclasses.replace(entry, variants=(first, *others)), recipe)
    assert text.count("right without 0 of 2 placebos") == 1


def test_a_terminal_whose_colours_are_off_has_bars(entry: Entry, recipe: Recipe) -> None:
    out = io.StringIO()
    console = Console(
        file=out, width=80, force_terminal=True, color_system="truecolor", no_color=True
    )
    print_explanation(explanation(entry, recipe, "ledger.parquet"), console)
    assert "[-" in out.getvalue()
    assert "▆" in out.getvalue()
