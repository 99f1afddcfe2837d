"""Lambda made rows: a trainer that weighs tokens so has LeaF's loss."""

import pytest

from leaf.distill.rows import TrainingExample
from leaf.distill.weights import Amounts, token_weight
from leaf.recipe import DistillSection
from leaf.share.weights import token_weights

ROWS = [(False, 3, 1.0), (False, 5, 1.0), (True, 2, 1.0)]
"""Eight tokens of originals and two of a changed question, ten in all."""


@pytest.mark.parametrize(
    ("section", "original", "changed"),
    [
        # 0.5 of the loss over 8 of 10 tokens, and over 2 of 10.
        ({}, 0.5 * 10 / 8, 0.5 * 10 / 2),
        ({"lambda": 0.8}, 1.0, 1.0),
        ({"lambda": 0.2}, 0.25, 4.0),
        ({"lambda": "rows"}, 1.0, 1.0),
        # The originals whole, and three times the changed one on top.
        ({"lambda": "add", "changed_weight": 3.0}, 10 / 8, 3 * 10 / 2),
        # From 0.2 to 0.6 in a straight line: 0.4 in the middle.
        ({"lambda": 0.2, "lambda_end": 0.6}, 0.4 * 10 / 8, 0.6 * 10 / 2),
    ],
)
def test_a_kind_has_its_share_of_the_loss(section: dict, original: float, changed: float) -> None:
    found = token_weights(ROWS, DistillSection.model_validate(section))
    assert found == pytest.approx([original, original, changed])


@pytest.mark.parametrize("section", [{}, {"lambda": 0.7}, {"lambda": "rows"}, {"lambda": "add"}])
def test_tokens_weigh_as_in_one_batch_of_all_rows(section: dict) -> None:
    how = DistillSection.model_validate(section)
    rows = [(False, 3, 1.0), (False, 5, 2.5), (True, 2, 1.0), (True, 7, 0.5)]
    examples = [
        TrainingExample(
            problem_id="p", content="q", response="r", counterfactual=changed, weight=weight
        )
        for changed, _, weight in rows
    ]
    amounts = Amounts.of(zip(examples, [tokens for _, tokens, _ in rows], strict=True))
    whole = sum(tokens for _, tokens, _ in rows)
    expected = [token_weight(one, amounts, how.lambda_, how).loss * whole for one in examples]
    assert token_weights(rows, how) == pytest.approx(expected)


def test_originals_alone_weigh_one() -> None:
    assert token_weights(ROWS[:2], DistillSection()) == [1.0, 1.0]
