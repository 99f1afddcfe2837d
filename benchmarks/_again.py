"""A kept student answers again, whether others get what we got; or more tests."""

import json
import random
from collections.abc import Iterator, Sequence
from pathlib import Path

import yaml

from benchmarks._gsm_ic import MODELS
from benchmarks._keep import homeless, said_of, say_of, write_answers, write_questions
from benchmarks._kept import Student, answers_of, outcomes_of, questions_folder, questions_of
from leaf.errors import UsageError
from leaf.generate import find_for
from leaf.pipeline.answered import Benchmark
from leaf.pipeline.benchmarks import load_benchmarks
from leaf.pipeline.session import Session
from leaf.recipe import Recipe
from leaf.recipe.reading import dump_recipe, load_recipe
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
    recipe = _recipe(student, model)
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


def more(
    student: Student,
    settings: Sequence[str],
    store: Path,
    model: str | None,
    *,
    overwrite: bool = False,
) -> Iterator[str]:
    """Let a kept student answer more tests, which are laid beside its others; yield each.

    Args:
        student: With an adapter or, as `before`, without.
        settings: Of its recipe, `evaluate.benchmarks.gsm_ic={task: gsm_ic, ...}` among them; the
            benchmarks that it had are not asked again.
        store: For what is computed, from which a killed command goes on.
        model: Its base; None: as its recipe names it.
        overwrite: Replace other questions of the same name.

    Raises:
        LeafError: no test is named, the base is not there, or is another; other questions of that
            name are there.
    """
    recipe = _recipe(student, model, "evaluate.benchmarks={}", *settings)
    if not recipe.evaluate.benchmarks:
        raise UsageError("--more: names no test; add --set 'evaluate.benchmarks.NAME={task: ...}'")
    benchmarks = load_benchmarks(recipe.evaluate, recipe.generate)
    source = find_for(recipe.student, recipe.generate)
    session = Session(recipe, Store(store))
    lies = questions_folder(student)
    for test, benchmark in benchmarks.items():
        asked = lies / f"{test}.jsonl.gz"
        write_questions(asked, benchmark.problems, student.folder, overwrite=overwrite)
    asked_as = homeless(yaml.safe_load(dump_recipe(recipe)))["evaluate"]["benchmarks"]
    for test, benchmark in benchmarks.items():
        about = About(role=student.arm, asked=test)
        how = benchmark.generate(recipe.generate)
        answers, _ = session.answers(
            recipe.student, source, benchmark.problems, about, generate=how
        )
        write_answers(student.folder / "answers" / f"{test}.jsonl.gz", benchmark.problems, answers)
        values, manifest = said_of(student.folder)
        values["evaluate"]["benchmarks"][test] = asked_as[test]
        say_of(
            student.folder, values, {**manifest, "tests": {**manifest["tests"], test: len(answers)}}
        )
        yield test


def _recipe(student: Student, model: str | None, *settings: str) -> Recipe:
    """Return a kept student's recipe, with its base and its adapter where they lie here."""
    path = student.folder / "recipe.yaml"
    named = yaml.safe_load(path.read_text(encoding="utf-8"))["student"]["model"]
    adapter = student.folder / "adapter"
    own: dict[str, object] = {
        "student.model": model or _base(named),
        "student.adapter": str(adapter) if adapter.is_dir() else None,
        "arms": {},
    }
    words = [f"{key}={json.dumps(value)}" for key, value in own.items()]
    return load_recipe(str(path), [*words, *settings])


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
