"""Names that a script adds to a table are allowed in a recipe; others are refused as before."""

from types import SimpleNamespace

import pytest

from leaf.errors import RecipeError
from leaf.generate import ENGINES
from leaf.grade import GRADERS
from leaf.losses import LOSSES
from leaf.recipe import DistillSection, Section
from leaf.recipe.detectors import DETECTORS
from leaf.recipe.reading import load_recipe


def test_a_name_that_nobody_knows_is_refused_with_those_that_are_there() -> None:
    with pytest.raises(RecipeError) as error:
        load_recipe("demo", ["distill.loss=hellinger"])

    assert str(error.value) == (
        "demo: `distill.loss` must be 'kl', 'reverse_kl', 'jsd', 'skew_kl' or 'tv', "
        "but is 'hellinger'"
    )


def test_a_loss_that_was_added_to_its_table_is_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(LOSSES, "hellinger", LOSSES["kl"])

    recipe = load_recipe("demo", ["distill.loss=hellinger"])

    assert recipe.distill.loss == "hellinger"


def test_an_added_name_stands_among_those_that_are_allowed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(LOSSES, "hellinger", LOSSES["kl"])

    with pytest.raises(RecipeError, match="'tv' or 'hellinger', but is 'helinger'"):
        load_recipe("demo", ["distill.loss=helinger"])


@pytest.mark.parametrize(
    ("table", "key"),
    [
        (DETECTORS, "attribute.detector"),
        (GRADERS, "data.grader"),
        (ENGINES, "generate.engine"),
        (ENGINES, "teacher.engine"),
    ],
)
def test_every_table_may_be_added_to(
    table: dict[str, object], key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(RecipeError, match=key):
        load_recipe("demo", [f"{key}=mine"])

    # Of a detector the recipe's arm `self` asks whether it can do without a teacher.
    stand_in = SimpleNamespace(Options=Section, formerly={}, roles=lambda teacher: ())
    monkeypatch.setitem(table, "mine", stand_in)

    load_recipe("demo", [f"{key}=mine"])


def test_every_name_that_ships_is_in_its_table() -> None:
    """A name that the recipe allows and nothing answers to would fail hours later."""
    annotation = DistillSection.model_fields["loss"]
    (names,) = annotation.metadata

    assert set(names.names) == set(LOSSES)
