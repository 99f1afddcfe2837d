"""A kept student answers again: whether others get what we got."""

import random
from pathlib import Path

import yaml

from benchmarks._gsm_ic import MODELS
from benchmarks._kept import Student, answers_of, outcomes_of, questions_of
from leaf.errors import UsageError
from leaf.generate import find_for
from leaf.pipeline.answered import Benchmark
from leaf.pipeline.session import Session
from leaf.recipe.reading import check_recipe
from leaf.store.store import Store
from leaf.store.work import About


def again(student: Student, limit: int, folder: Path, model: str | None) -> dict[str, int]:
    """Let a kept student answer questions of all its tests again; count what differs.

    Args:
        student: With an adapter.
        limit: How many questions, drawn with a seed.
        folder: For what is computed.
        model: Its base; None: as its recipe names it.

    Raises:
        LeafError: the base is not there, or is another; answers are missing.
    """
    path = student.folder / "recipe.yaml"
    values = yaml.safe_load(path.read_text(encoding="utf-8"))
    base = model or _base(values["student"]["model"])
    values["student"] |= {"model": base, "adapter": str(student.folder / "adapter")}
    recipe = check_recipe({**values, "arms": {}}, source=str(path))
    source = find_for(recipe.student, recipe.generate)
    session = Session(recipe, Store(folder))
    found = {"asked": 0, "texts": 0, "verdicts": 0}
    drawn = [(test, at) for test in student.tests for at in range(len(questions_of(student, test)))]
    drawn = random.Random(0).sample(drawn, min(limit, len(drawn)))
    for test, section in recipe.evaluate.benchmarks.items():
        places = sorted(at for name, at in drawn if name == test)
        if not places:
            continue
        problems = questions_of(student, test)
        asked = [problems[at] for at in places]
        one = Benchmark(name=test, section=section, problems=asked, refused=[])
        about = About(role=student.arm, asked=test)
        how = one.generate(recipe.generate)
        answers, scores = session.answers(recipe.student, source, asked, about, generate=how)
        before, verdicts = answers_of(student, test), outcomes_of(student, test)
        found["asked"] += len(places)
        for at, answer, score in zip(places, answers, scores, strict=True):
            found["texts"] += answer.text != before[at].text
            found["verdicts"] += score.outcome != verdicts[at]
    return found


def _base(name: str) -> str:
    """Return where a base lies: as it is named, or among the offline models."""
    offline = MODELS / Path(name).name
    if offline.exists():
        return str(offline)
    if name.endswith(".gguf"):
        raise UsageError(
            f"{offline}: the student's base is not there; tools/offline_models.py makes it, or "
            "name it with --model"
        )
    return name
