"""Our own: run folders, and folders of `leaf evaluate`."""

from pathlib import Path

from leaf.errors import UsageError
from leaf.report.others.asked import Asked, Evaluated, flat
from leaf.store.arms import in_order
from leaf.store.run_folder import ALONE, VALUES, QuestionValue, read_records, repeat


def is_ours(path: Path) -> bool:
    """Whether a folder is a run's or an evaluation's."""
    names = (VALUES, "report.json", "scores.json", "recipe.yaml")
    return path.is_dir() and any((path / name).is_file() for name in names)


def read_ours(path: Path, arm: str | None) -> Evaluated:
    """Read what one arm scored.

    Args:
        path: The folder.
        arm: None: LeaF's student, or the only model.

    Raises:
        UsageError: no values of single questions, or no such arm.
        StoreError: the file is damaged.
    """
    way_out = f"`{repeat(path)}` writes it"
    if (path / "scores.json").is_file():
        way_out = "the same `leaf evaluate` again writes it; what was answered is not asked again"
    found = read_records(path / VALUES, QuestionValue, way_out)
    arms = in_order(one.arm for one in found)
    chosen = arm or ("leaf" if "leaf" in arms else arms[0] if len(arms) == 1 else "")
    if chosen not in arms:
        raise UsageError(
            f"{path}: has {', '.join(arms)}, but no arm `{chosen or 'leaf'}`; name one: {path}:ARM"
        )
    asked: dict[str, dict[tuple[str, str], dict[str, float]]] = {}
    first: dict[tuple[str, str], QuestionValue] = {}
    for one in found:
        if one.arm == chosen:
            # In files of before the measure stands in the benchmark's name alone.
            name = one.benchmark.removesuffix(one.measure).rstrip()
            key = (name, one.problem_id)
            first.setdefault(key, one)
            asked.setdefault(name, {}).setdefault(key, {})[one.measure] = one.value
    return Evaluated(
        path=str(path) if chosen == ALONE else f"{path}:{chosen}",
        kind="evaluation" if chosen == ALONE else "run",
        benchmarks={
            name: [
                Asked(
                    texts=_texts(first[key]),
                    values=values,
                    columns={"base": first[key].base},
                    base=first[key].base,
                )
                for key, values in by_key.items()
            ]
            for name, by_key in asked.items()
        },
    )


def _texts(one: QuestionValue) -> dict[str, str]:
    texts = {"digest": one.question}
    return {**texts, "question": flat(one.text)} if one.text else texts
