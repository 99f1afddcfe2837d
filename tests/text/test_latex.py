r"""Boxes and lists of answers in texts of mathematics."""

import time

import pytest

from leaf.text.latex import boxes, joined_thousands, parts


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (r"\boxed{1} and \fbox{2}", ["1", "2"]),
        (r"\boxed{so \boxed{18}} then \boxed{2}", ["18", "2"]),
        (r"\boxed{} \boxed{ } \boxed{\{1\}}", [r"\{1\}"]),
        (r"\boxed{\frac{1}{2}} \boxed{3", [r"\frac{1}{2}"]),
        ("no box", []),
    ],
)
def test_boxes_are_the_innermost_complete_ones_in_text_order(
    text: str, expected: list[str]
) -> None:
    assert boxes(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1, 3;5", ["1", "3", "5"]),
        (r"1, 3, \text{ and } 5", ["1", "3", "5"]),
        (r"x=1 \text{ or } x=3", ["x=1", "x=3"]),
        (r"x \in \{1,3\}", ["1", "3"]),
        (r"$1$,$\frac{3 + \sqrt{21}}{2}$", ["1", r"\frac{3 + \sqrt{21}}{2}"]),
        (r"(1,2), \left(3, 4\right)", ["(1,2)", "(3, 4)"]),
        ("(x,y)=(1,2), (x,y)=(3,4)", ["(1,2)", "(3,4)"]),
        (r"(-\infty,0]\cup[1,2)", [r"(-\infty,0]\cup[1,2)"]),
        (r"\pm 2, 1 \mp \sqrt{3}", ["2", "- 2", r"1 - \sqrt{3}", r"1 + \sqrt{3}"]),
        (r"1{,}000, 2,\!000, 3\,000", ["1000", "2000", "3000"]),
        (r"\begin{pmatrix}1\\ 2\end{pmatrix}", [r"\begin{pmatrix}1\\ 2\end{pmatrix}"]),
        ("sandor, bandit", ["sandor", "bandit"]),
        (" , ", []),
    ],
)
def test_parts_are_cut_where_no_bracket_encloses(text: str, expected: list[str]) -> None:
    assert parts(text) == expected


def test_thousands_are_joined_one_number_at_a_time() -> None:
    assert joined_thousands("2,500,7,500 and 12,34 and 1,234.5") == "2500,7500 and 12,34 and 1234.5"


@pytest.mark.parametrize(
    "part", [",", "{", "(", "\\{", " ", "and ", r"\text{ and } ", "x = (", "1,"]
)
def test_a_hostile_list_is_cut_in_linear_time(part: str) -> None:
    begun = time.process_time()
    parts(part * (100_000 // len(part)))
    boxes(part * (100_000 // len(part)))
    assert time.process_time() - begun < 5
