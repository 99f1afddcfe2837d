"""A case as coloured text, and as a picture of it."""

import dataclasses
import re
from collections.abc import Iterator

import pytest
from rich.text import Text

from leaf.records import Outcome, Sensitivity, Span
from leaf.report.heat_terminal import heat_style
from leaf.store.ledger import Entry, Said, Unit, Variant
from leaf.study.case import Case, Reply, text_of, worst
from leaf.study.output import svg_of

WRONG = Said(text="7", outcome=Outcome.WRONG)


def entry_of(question: str, removed: str = "") -> Entry:
    """Return an entry whose units are words; the student leans on what was removed alone."""
    starts = [at for at in range(len(question)) if at == 0 or question[at - 1] == " "]
    first = question.index(removed)
    units = tuple(
        Unit(
            start=start,
            end=end,
            text=question[start:end],
            teacher_raw=0.0,
            student_raw=0.0,
            teacher=0.0,
            student=float(first <= start < first + len(removed)),
            gap=0.0,
        )
        for start, end in zip(starts, [*starts[1:], len(question)], strict=True)
    )
    return Entry(
        problem_id="p", level="instruction", entered=True, prompt="", before="", question=question,
        after="", answer="1", reference="1", student=WRONG, teacher=WRONG, student_loss=1.0,
        teacher_loss=0.0, units=units, skipped=None, variants=(),
    )  # fmt: skip


def case_of(question: str, removed: str) -> Case:
    entry = entry_of(question, removed)
    start = question.index(removed)
    span = Span(start=start, end=start + len(removed), text=removed, gap=0.0, units=1)
    variant = Variant(
        id="p/cf0", detector="gradient", strategy="span", spans=(span,), question="", inserted="",
        donor="", student=WRONG, teacher=None, kept=True, reason="kept",
    )  # fmt: skip
    kd = Sensitivity(
        problem_id="p",
        starts=tuple(unit.start for unit in entry.units),
        ends=tuple(unit.end for unit in entry.units),
        scores=(1.0,) * len(entry.units),
        loss=0.0,
    )
    # LeaF looks away from the first word alone.
    leaf = dataclasses.replace(kd, scores=(0.0, *kd.scores[1:]))
    return Case(
        entry=entry,
        removed=variant,
        attention={"kd": kd, "leaf": leaf},
        replies=(
            Reply(who="student", text="7", right=False),
            Reply(who="LeaF", text="4", right=True),
        ),
    )


def styled(line: Text) -> Iterator[tuple[str, set[str]]]:
    """Yield what has a style, and its styles, from left to right."""
    places = sorted({(span.start, span.end) for span in line.spans if span.style})
    for start, end in places:
        yield (
            line.plain[start:end],
            {str(s.style) for s in line.spans if (s.start, s.end) == (start, end)},
        )


def test_a_case_has_four_maps_of_the_question_and_every_answer() -> None:
    lines = text_of(case_of("one red pen", "red ")).split("\n")
    shown = [line.plain for line in lines]
    assert shown[0] == "p"
    assert shown[-2:] == ["student (wrong): 7", "LeaF (right): 4"]
    student, teacher, difference, attention = (
        dict(styled(line)) for line in lines if line.plain == "one red pen"
    )
    assert student == {"red ": {heat_style(-1.0)}}
    assert teacher == {}
    assert difference == {"red ": {heat_style(-1.0), "strike"}}
    # Of KD each word has a third, of LeaF the last two have half: -1/3, +1/6, +1/6.
    assert attention == {
        "one ": {heat_style(1.0)},
        "red ": {heat_style(-0.5), "strike"},
        "pen": {heat_style(-0.5)},
    }
    assert any("strongest: 33.3 points" in line for line in shown)


def test_of_a_long_question_the_part_around_the_cut_is_shown() -> None:
    text = text_of(case_of("far " * 1000 + "red " + "off " * 1000, "red "))
    struck = [text.plain[span.start : span.end] for span in text.spans if span.style == "strike"]
    assert struck == ["red ", "red "]
    # 4,000 characters stand before the cut and 4,004 from it on; 750 of each are shown.
    assert text.plain.count("… 3250 characters before") == 4
    assert text.plain.count("… 3254 characters after") == 4
    assert len(text.plain) < 4 * 1500 + 700


def test_formulas_and_what_prints_nothing_are_shown_as_text() -> None:
    question = "costs $\\frac{1$ <b> a\x00b\u202ec now"
    picture = svg_of(text_of(case_of(question, "now")))
    shown = re.findall(r"<text[^>]*>(.*?)</text>", picture)
    assert any("$\\frac{1$" in line for line in shown)
    assert any("&lt;b&gt;" in line for line in shown)
    assert any("a·b·c" in line for line in shown)


def test_a_picture_needs_nothing_outside_itself() -> None:
    picture = svg_of(text_of(case_of("one red pen", "red ")))
    assert "url(http" not in picture
    assert "href" not in picture
    assert picture == svg_of(text_of(case_of("one red pen", "red ")))


def test_every_line_of_a_picture_has_the_clip_path_that_it_names() -> None:
    picture = svg_of(text_of(case_of("one red pen", "red ")))
    drawn = re.findall(r'clip-path="url\(#([^)]*)\)">([^<]*)<', picture)
    assert {name for name, text in drawn if text.strip()} <= set(
        re.findall(r'<clipPath id="([^"]*)"', picture)
    )


def luminance(colour: str) -> float:
    """Relative luminance of WCAG 2."""
    parts = [int(colour[at : at + 2], 16) / 255 for at in (0, 2, 4)]
    linear = [
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    ]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("value", [-1.0, 1.0])
def test_black_is_readable_on_the_deepest_colour(value: float) -> None:
    # WCAG's contrast for small text is 4.5 at least; of black it is (L + 0.05) / 0.05.
    colour = heat_style(value).partition("#")[2]
    assert (luminance(colour) + 0.05) / 0.05 > 4.5


def test_the_worst_has_the_highest_loss_above_the_teacher_s() -> None:
    def one(key: str, student: float | None, teacher: float | None) -> Entry:
        return dataclasses.replace(
            entry_of("a b"), problem_id=key, student_loss=student, teacher_loss=teacher
        )

    entries = [one("a", 2, 1.5), one("d", 3, 0), one("c", 3, 0), one("b", None, None)]
    assert [entry.problem_id for entry in worst(entries)] == ["c", "d", "a"]
