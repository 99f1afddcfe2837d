"""What kind of answer a gold is, and which grader fits a data set."""

import pytest

from leaf.text.kinds import Kind, fitting_grader, kind_of

KINDS = {
    Kind.NUMBER: [
        "18", "1,234.5", "$1,000", "18 eggs", "18元", "60°", "1e-05", "½", "20%", "1957",
        "3 million", "x = 5", "2 + 3 = 5\n#### 5", r"\boxed{3}",
    ],
    Kind.OPTION: ["A", "(B)", r"\text{(C)}", "D."],
    Kind.FORMULA: [r"\frac{1}{2}", "x+1", "2pi", "(3,4)", "3, 4", "√2", "x^2"],
    Kind.TEXT: [
        "Paris", "30 days after delivery", "New York City", "yes", "北京", "Catch-22", "2024-08-01",
        "12/25/2020", "5:30 pm", "in 1957 or so they say",
    ],
}  # fmt: skip


@pytest.mark.parametrize(("kind", "gold"), [(kind, one) for kind in KINDS for one in KINDS[kind]])
def test_a_gold_is_of_the_kind_that_a_person_would_say(kind: Kind, gold: str) -> None:
    assert kind_of(gold) is kind


@pytest.mark.parametrize(
    ("golds", "grader"),
    [
        (["18", "19"], "numbers"),
        (["18"] * 20 + [r"\frac{1}{2}"], "numbers"),
        (["18", r"\frac{1}{2}"], "math"),
        (["A", "B"], "math"),
        (["Paris", "Rome", "1957"], "qa"),
        (["30 days after delivery", "Paris"], "qa"),
        (["18", "19", "Paris"], None),
        ([], None),
    ],
)
def test_the_grader_is_guessed_only_where_the_golds_are_plain(
    golds: list[str], grader: str | None
) -> None:
    assert fitting_grader(golds) == grader
