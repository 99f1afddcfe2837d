"""GSM-IC on two real models: what it needs, which problems are taken, their references.

GSM-IC plants one irrelevant sentence in a GSM8K problem, in many ways each. It has no worked
solutions: those of the original questions serve as references.
"""

import os
import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from leaf.recipe import DataSection, Recipe
from leaf.recipe.reading import check_recipe
from leaf.records import Problem
from leaf.tasks import load_problems
from leaf.tasks.reading import Row, read_rows, text_of
from leaf.text.units import may_go, pieces

MODELS = Path(os.environ.get("LEAF_OFFLINE_MODELS") or Path.home() / ".cache" / "leaf" / "offline")
STUDENT, TEACHER = "qwen2.5-coder-0.5b", "qwen2.5-coder-1.5b"


def build_recipe(data: Path, seed: int) -> Recipe:
    """Return the recipe whose models and settings score GSM-IC."""
    return check_recipe(
        {
            "name": "detection-gsm-ic",
            **models(),
            "data": {"task": "gsm_ic", "path": str(data / "gsm_ic" / "gsm_ic_test.json")},
            # Small batches and shards: they spare memory, and a kill costs little.
            "attribute": {
                "token_budget": 2048,
                "random": {"seed": seed},
                "ablation": {"unit": "sentence"},
            },
            "evaluate": {"benchmarks": {}},
            "store": {"shard_size": 10},
        },
        source="detection on GSM-IC",
    )


def models() -> dict[str, dict[str, str]]:
    """Return the two sections of a recipe that name the models."""
    named = {"student": STUDENT, "teacher": TEACHER}
    return {role: {"model": str(MODELS / f"{name}.gguf")} for role, name in named.items()}


def what_is_missing(data: Path) -> str | None:
    """Say what GSM-IC needs that is not here, and how to get it; None where all is here."""
    missing = missing_models()
    files = [data / "gsm_ic" / "gsm_ic_test.json", *_gsm8k_files(data)]
    absent = [str(file.relative_to(data)) for file in files if not file.is_file()]
    if absent:
        missing.append(
            f"no {', '.join(absent)} in {data}: name another folder with --data; the records are "
            "those of github.com/google-research-datasets/GSM-IC (a JSON list) and "
            "github.com/openai/grade-school-math"
        )
    return "; ".join(missing) or None


def missing_models() -> list[str]:
    """Say that the two models are not here, and how to get them; nothing where they are."""
    if all((MODELS / f"{name}.gguf").is_file() for name in (STUDENT, TEACHER)):
        return []
    how = f"run tools/offline_models.py {STUDENT} {TEACHER}"
    return [f"no {STUDENT}.gguf and {TEACHER}.gguf in {MODELS}: {how}"]


def choose_pairs(
    section: DataSection, data: Path, count: int, *, seed: int
) -> tuple[list[tuple[Problem, str]], int]:
    """Choose problems of GSM-IC, spread over its original questions, with GSM8K's solutions.

    Returns:
        At most `count` pairs, and how many problems of the whole file have no solution.
    """
    assert section.path is not None
    rows = read_rows(section.path, name=None, split="test")
    originals = {
        row.name: _plain(text_of(row, "original_question")) for row in rows if isinstance(row, Row)
    }
    solutions = {
        _plain(problem.question): problem.solution
        for path in _gsm8k_files(data)
        for problem in load_problems(DataSection(task="gsm8k", path=str(path)))
    }
    problems = load_problems(section)
    joined = [problem for problem in problems if originals[problem.id] in solutions]
    spread = spread_over(joined, [originals[problem.id] for problem in joined], seed=seed)
    pairs = []
    for problem in spread[:count]:
        solution = solutions[originals[problem.id]]
        pairs.append((replace(problem, solution=solution), solution))
    return pairs, len(problems) - len(joined)


def move(problem: Problem, *, seed: int) -> Problem:
    """Move a problem's planted sentence before a random one of the sentences that do not ask.

    The words stay; the sentence is never last before the question, where the data have it.
    """
    (known,) = problem.distractors
    text = problem.question[known.start : known.end]
    rest = problem.question[: known.start].rstrip() + problem.question[known.end :]
    places = [place for place in pieces(rest, "sentence") if may_go(rest[slice(*place)])] or [
        (0, 0)
    ]
    at = random.Random(f"{seed} {problem.id}").choice(places)[0]
    before, after = rest[:at].rstrip(), rest[at:].lstrip()
    head = f"{before} " if before else ""
    start = len(head)
    return replace(
        problem,
        question=f"{head}{text} {after}",
        distractors=(replace(known, start=start, end=start + len(text)),),
    )


def spread_over(
    problems: Sequence[Problem], originals: Sequence[str], *, seed: int
) -> list[Problem]:
    """Shuffle problems so that no original comes a second time before all came once, and so on."""
    order = random.Random(seed).sample(range(len(problems)), len(problems))
    seen: Counter[str] = Counter()
    rounds = {}
    for at in order:
        rounds[at] = seen[originals[at]]
        seen[originals[at]] += 1
    return [problems[at] for at in sorted(order, key=rounds.__getitem__)]


def _gsm8k_files(data: Path) -> list[Path]:
    return [data / "gsm8k" / f"{split}.jsonl" for split in ("train", "test")]


def _plain(text: str) -> str:
    return " ".join(text.split())
