"""The bundled models, a question that holds a distraction, and the state of a model."""

from typing import Any

import pytest

import leaf

QUESTION = (
    "At first Gina has 2 shells. The room has 3 chairs. Yesterday, Gina gives 1 shells to Jack. "
    "How many shells does Gina have now?"
)
REFERENCE = "2 - 1 = 1"
DISTRACTION = " The room has 3 chairs."


@pytest.fixture(scope="session")
def student() -> leaf.Model:
    return leaf.Model.load("package:playground/models/student", dtype="float32")


@pytest.fixture(scope="session")
def teacher() -> leaf.Model:
    return leaf.Model.load("package:playground/models/teacher", dtype="float32")


def state_of(model: Any) -> list[Any]:
    """Everything about a model that its owner could notice."""
    hooks = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks")
    parameters = list(model.parameters())
    return [
        [module.training for module in model.modules()],
        [(each.requires_grad, id(each.grad), id(each), each.dtype) for each in parameters],
        [len(getattr(module, name)) for module in model.modules() for name in hooks],
        model.config._attn_implementation,
        model.generation_config.to_dict(),
    ]
