"""Lays the trained students of a run into the repository (`benchmarks._kept` says how)."""

import dataclasses
import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from benchmarks._kept import PLACE, Student, packed, student_of
from leaf.errors import DataError, UsageError
from leaf.grade import open_graders
from leaf.models.files import ADAPTER_CONFIG, ADAPTER_WEIGHTS
from leaf.pipeline.benchmarks import load_benchmarks
from leaf.recipe import GradeSection, Recipe
from leaf.recipe.reading import dump_recipe, trained_arms
from leaf.records import Answer, Problem
from leaf.store.arms import arm_of
from leaf.store.run_folder import recipe_of, repeat, report_of
from leaf.store.store import Store, stream_records, write_whole

MOST_BYTES, MOST_RANK = 20 * 10**6, 16
"""Of an adapter that is kept."""

_QUESTION = (
    *("id", "question", "answer", "golds", "tolerance", "grader", "grader_options"),
    *("base", "source"),
)


def keep(
    run: Path,
    place: str,
    *,
    results: Path,
    store: Path | None = None,
    arms: Mapping[str, str] | None = None,
    overwrite: bool = False,
) -> list[Student]:
    """Lay the students of a run into `results`, with what each answered to every benchmark.

    A student that is there already gains the benchmarks that it had not.

    Args:
        run: A run folder that is done.
        place: `pair1/A/seed-1`.
        results: Where students are kept.
        store: The run's; None: the folder `store` beside it.
        arms: Arm of the run to its name here; None: all, and without a teacher `leaf` is `self`.
        overwrite: Replace another student of that name, and other questions.

    Raises:
        UsageError: not such a run or place, an adapter that is too large, or another student or
            other questions are there.
        DataError: the store lacks answers.
    """
    match = PLACE.fullmatch(place)
    if match is None:
        raise UsageError(f"--as {place}: must be PAIR/SETTING/SEED, such as pair1/A/seed-1")
    recipe, report = recipe_of(run), report_of(run)
    stages = report["cost"]["stages"]
    keys = {
        (stage["about"]["role"], stage["about"]["asked"]): stage["key"]
        for stage in stages
        if stage["kind"] == "answers" and stage["about"]["asked"] in recipe.evaluate.benchmarks
    }
    there = list(dict.fromkeys(arm for arm, _ in keys))
    if not there:
        raise UsageError(f"{run}: has answered no benchmark yet; `{repeat(run)}` does")
    arms = arms or {arm: "self" if recipe.alone and arm == "leaf" else arm for arm in there}
    if unknown := [arm for arm in arms if arm not in there]:
        raise UsageError(f"--arms: {run} has no arm `{unknown[0]}`; there are: {', '.join(there)}")
    for arm in arms:
        _check_adapter(run, arm, trained=arm in trained_arms(recipe))
    benchmarks = load_benchmarks(recipe.evaluate, recipe.generate)
    answers = Store(store or run.parent / "store")
    kept = []
    for arm, name in arms.items():
        folder = results / place / name
        _refuse_another(run, arm, folder, overwrite=overwrite)
        (folder / "answers").mkdir(parents=True, exist_ok=True)
        tests = {}
        for test, benchmark in benchmarks.items():
            key = keys.get((arm, test))
            if key is None or not answers.is_done("answers", key):
                what = f"{answers.root}: holds no answers of arm {arm} to benchmark {test}"
                raise DataError(f"{what}; name the run's store with --store")
            path = results / match[1] / "questions" / f"{test}.jsonl.gz"
            write_questions(path, benchmark.problems, run, overwrite=overwrite)
            found = list(stream_records(answers.folder("answers", key), Answer))
            write_answers(folder / "answers" / f"{test}.jsonl.gz", benchmark.problems, found)
            tests[test] = len(found)
        _write_about(run, arm, folder, recipe, report, tests)
        kept.append(student_of(folder))
    return kept


def _check_adapter(run: Path, arm: str, *, trained: bool) -> None:
    folder = _adapter(run, arm)
    if not trained:
        return
    if not (folder / ADAPTER_WEIGHTS).is_file():
        raise UsageError(f"{run}: arm {arm} has no adapter; train it with distill.tuning: lora")
    size = (folder / ADAPTER_WEIGHTS).stat().st_size
    rank = json.loads((folder / ADAPTER_CONFIG).read_text(encoding="utf-8"))["r"]
    if size > MOST_BYTES or rank > MOST_RANK:
        raise UsageError(
            f"{folder}: {size / 10**6:.1f} MB at rank {rank}; what is kept has at most "
            f"{MOST_BYTES // 10**6} MB and rank {MOST_RANK}: set distill.lora.rank"
        )


def _adapter(run: Path, arm: str) -> Path:
    return run / f"{arm_of(arm).folder}-adapter"


def _refuse_another(run: Path, arm: str, folder: Path, *, overwrite: bool) -> None:
    """Refuse to add answers of one student to those of another; with `overwrite` it goes."""
    mine, theirs = (
        path.read_bytes() if path.is_file() else None
        for path in (_adapter(run, arm) / ADAPTER_WEIGHTS, folder / "adapter" / ADAPTER_WEIGHTS)
    )
    if not (folder / "manifest.json").is_file() or mine == theirs:
        return
    if not overwrite:
        raise UsageError(f"{folder}: holds another student; name another --as, or add --overwrite")
    shutil.rmtree(folder)


def write_questions(
    path: Path, problems: Sequence[Problem], asked_by: Path, *, overwrite: bool
) -> None:
    """Lay a test's questions; raises `UsageError` where others are there."""
    asked = [dataclasses.replace(item, question=item.content) for item in problems]
    lines = [{name: getattr(item, name) for name in _QUESTION} for item in asked]
    data = packed(lines)
    if path.is_file() and path.read_bytes() != data and not overwrite:
        raise UsageError(
            f"{path}: holds other questions than {asked_by} was asked; all students of a pair "
            "answer the same (--overwrite replaces them)"
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, data)


def write_answers(path: Path, problems: Sequence[Problem], answers: Sequence[Answer]) -> None:
    """Lay the answers to a test, graded."""
    with open_graders(GradeSection()) as graders:
        scores = graders.grade(problems, answers)
    lines = [
        {
            "id": answer.problem_id,
            "text": answer.text,
            "tokens": answer.response_tokens,
            "cut": answer.truncated,
            "failure": answer.failure,
            "outcome": score.outcome,
            "extracted": score.extracted,
            **{one.name: round(one.value, 6) for one in score.measures},
        }
        for answer, score in zip(answers, scores, strict=True)
    ]
    write_whole(path, packed(lines))


def _write_about(
    run: Path,
    arm: str,
    folder: Path,
    recipe: Recipe,
    report: Mapping[str, Any],
    tests: Mapping[str, int],
) -> None:
    """Write recipe, manifest, metrics and adapter; tests that were there already stay."""
    values = homeless(yaml.safe_load(dump_recipe(recipe)))
    manifest = homeless({**report["manifest"], "arm": arm, "tests": dict(tests)})
    way = next((one for one in report.get("ways") or () if one["arm"] == arm), None)
    if way:
        spent = [
            stage["seconds"]
            for stage in report["cost"]["stages"]
            if stage["kind"] == "students" and stage["about"]["role"] == arm
        ]
        manifest["training"] = {"seconds": sum(spent), **way}
    if (folder / "manifest.json").is_file():
        old, before = said_of(folder)
        manifest["tests"] = {**before["tests"], **manifest["tests"]}
        benchmarks = values["evaluate"]["benchmarks"]
        values["evaluate"]["benchmarks"] = {**old["evaluate"]["benchmarks"], **benchmarks}
    if way:
        lines = (run / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
        own = [line for line in lines if json.loads(line)["arm"] == arm]
        write_whole(folder / "metrics.jsonl", "".join(f"{line}\n" for line in own).encode())
        shutil.copytree(_adapter(run, arm), folder / "adapter", dirs_exist_ok=True)
        config = folder / "adapter" / ADAPTER_CONFIG
        config.write_text(_json(homeless(json.loads(config.read_text(encoding="utf-8")))))
        (folder / "adapter" / ADAPTER_WEIGHTS).chmod(0o644)
    say_of(folder, values, manifest)


def said_of(folder: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return recipe and manifest of a kept student."""
    recipe = yaml.safe_load((folder / "recipe.yaml").read_text(encoding="utf-8"))
    return recipe, dict(student_of(folder).manifest)


def say_of(folder: Path, recipe: Mapping[str, Any], manifest: Mapping[str, Any]) -> None:
    """Write recipe and manifest of a kept student."""
    write_whole(folder / "recipe.yaml", yaml.safe_dump(recipe, sort_keys=False).encode())
    write_whole(folder / "manifest.json", _json(manifest).encode())


def homeless(value: Any) -> Any:
    """Return JSON values in which every absolute path is its last two parts."""
    if isinstance(value, Mapping):
        return {key: homeless(one) for key, one in value.items()}
    if isinstance(value, list):
        return [homeless(one) for one in value]
    if isinstance(value, str) and value.startswith(("/", "~/")):
        return "/".join(Path(value).parts[-2:]).lstrip("/")
    return value


def _json(value: Any) -> str:
    return json.dumps(value, indent=1) + "\n"
