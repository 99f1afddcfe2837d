"""PROBLEMATHIC on two real models: real distractions, known by the same problem without them."""

from pathlib import Path

from benchmarks import _gsm_ic
from leaf.recipe import Recipe
from leaf.recipe.reading import check_recipe
from leaf.records import Problem
from leaf.tasks import read_problems


def build_recipe(data: Path, seed: int) -> Recipe:
    """Return the recipe whose models and settings score distracted problems."""
    return check_recipe(
        {
            "name": "detection-problemathic",
            **_gsm_ic.models(),
            "data": {
                "task": "problemathic",
                "path": str(data / "problemathic"),
                "split": "test_distracted",
                "shuffle": True,
                "seed": seed,
            },
            # Small batches and shards: they spare memory, and a kill costs little.
            "attribute": {"token_budget": 2048, "random": {"seed": seed}},
            "evaluate": {"benchmarks": {}},
            "store": {"shard_size": 10},
        },
        source="detection on PROBLEMATHIC",
    )


def what_is_missing(data: Path) -> str | None:
    """Say what PROBLEMATHIC needs that is not here, and how to get it; None where all is here."""
    missing = _gsm_ic.missing_models()
    name = "problemathic/simple_adversarial_train.jsonl"
    if not (data / name).is_file():
        missing.append(f"no {name} and three beside it in {data}: name another folder with --data")
    return "; ".join(missing) or None


def choose_pairs(recipe: Recipe, count: int) -> tuple[list[tuple[Problem, str]], int]:
    """Choose distracted problems with their worked solutions.

    Returns:
        At most `count` pairs, and how many problems have no solution, or nothing that distracts.
    """
    problems, _ = read_problems(recipe.data)
    known = [problem for problem in problems if problem.solution and problem.distractors]
    return [(problem, problem.solution) for problem in known[:count]], len(problems) - len(known)
