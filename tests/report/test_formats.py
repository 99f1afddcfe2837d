import pytest

from leaf.progress import visible
from leaf.report.formats import as_said, duration, level, percent, points, whole


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0.04, "0.0 s"),
        (9.9, "9.9 s"),
        (59.7, "1 min 00 s"),
        (185, "3 min 05 s"),
        (7620, "2 h 07 min"),
    ],
)
def test_durations_read_as_people_say_them(seconds: float, said: str) -> None:
    assert duration(seconds) == said


def test_numbers_are_rounded_for_people() -> None:
    assert (percent(0.625), points(0.0312), points(-0.02), points(-0.0001)) == (
        "62.5%",
        "+3.1",
        "−2.0",
        "0.0",
    )
    assert whole(39000) == "39\u202f000"
    assert [level(value) for value in (-1.0, -0.05, 0.5, 7.0)] == [-6, 0, 3, 6]


def test_invisible_characters_are_shown_and_line_ends_stay() -> None:
    assert visible("a\x00\tb\n\u202e👩‍🚀\x7f") == "a␀\tb\n[U+202E]👩‍🚀[U+007F]"


@pytest.mark.parametrize("reason", ["student {}", "teacher {}", "student {} and teacher wrong"])
def test_reasons_of_earlier_versions_are_told_in_todays_words(reason: str) -> None:
    assert as_said(reason.format("ungradable")) == reason.format("not gradable")
    assert as_said(reason.format("not gradable")) == reason.format("not gradable")
