"""Sampled answers of a small real model to school problems, kept as they come."""

from collections.abc import Iterator
from pathlib import Path

from benchmarks._gsm_ic import MODELS, STUDENT
from leaf.models.files import find
from leaf.pipeline.answered import Benchmark
from leaf.pipeline.benchmarks import load_benchmarks
from leaf.pipeline.session import Session
from leaf.pipeline.workers import AnswerWorker
from leaf.recipe import Recipe
from leaf.recipe.reading import check_recipe
from leaf.store.results import Graded
from leaf.store.store import Store
from leaf.store.work import About

SAMPLES = 10
"""Answers to each problem."""

_AT_ONCE = 10
"""Problems whose answers are one result in the store: what was answered stays when more follow."""

_NAME = "problemathic"


def build_recipe(data: Path, problems: int, split: str = "test_distracted") -> Recipe:
    """Return the recipe whose student is sampled."""
    benchmark = {
        "task": "problemathic",
        "path": str(data / "problemathic"),
        "split": split,
        "sources": ["simple"],
        "shuffle": True,
        "limit": problems,
        "samples": SAMPLES,
        "temperature": 0.7,
    }
    model = {"model": str(MODELS / f"{STUDENT}.gguf")}
    return check_recipe(
        {
            "name": "consistency",
            "student": model,
            "teacher": model,
            "data": {"task": "problemathic", "path": benchmark["path"]},
            "generate": {"max_new_tokens": 512, "max_batch": 100, "token_budget": 65536},
            "evaluate": {"benchmarks": {_NAME: benchmark}},
            "store": {"shard_size": SAMPLES * _AT_ONCE},
        },
        source="consistency",
    )


def sampled(recipe: Recipe, store: Path, *, kept: bool) -> Iterator[tuple[Benchmark, Graded]]:
    """Yield a few problems at a time with their answers, found in the store or generated now.

    `kept`: only those that are there already.
    """
    whole = load_benchmarks(recipe.evaluate, recipe.generate)[_NAME]
    session = Session(recipe, Store(store))
    source = find(recipe.student)
    for at in range(0, len(whole.problems), _AT_ONCE):
        part = Benchmark(
            name=whole.name,
            section=whole.section,
            problems=whole.problems[at : at + _AT_ONCE],
            refused=[],
        )
        work = AnswerWorker(
            about=About(asked=f"{whole.name} {at + 1} to {at + len(part.problems)}"),
            section=recipe.student,
            source=source,
            generate=part.generate(recipe.generate),
        )
        key = session.store.key_of(work, part.asked, shard_size=recipe.store.shard_size)
        if kept and not session.store.is_done(work.kind, key):
            continue
        yield (
            part,
            session.answers(recipe.student, source, part.asked, work.about, generate=work.generate),
        )
