"""What a run will run a model for, said before it does."""

import pytest

from leaf.pipeline.rehearsal import uses_of
from leaf.recipe.reading import load_recipe


@pytest.mark.parametrize(
    ("settings", "uses"),
    [
        (["attribute.detector=ablation"], ("generation", "ablation")),
        (["attribute.detector=gradient"], ("generation", "sensitivity")),
        # It marks as many units as the gradient would.
        (["attribute.detector=random"], ("generation", "sensitivity")),
        (
            ["attribute.detector=ablation", "attribute.controls=[random]"],
            ("generation", "ablation"),
        ),
    ],
)
def test_a_model_is_rehearsed_for_the_gradient_where_it_is_taken(
    settings: list[str], uses: tuple[str, ...]
) -> None:
    recipe = load_recipe("demo", ["attribute.controls=[]", *settings])
    assert uses_of(recipe, "student", asked=True, training=False) == uses
