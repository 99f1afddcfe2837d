"""Samples of lm-evaluation-harness (`--log_samples`): samples_TASK_DATE.jsonl.

One line a question and filter; `doc` is the data set's record, `arguments` what the model was
asked, `metrics` the names of the columns with its scores, which older versions do not name.
"""

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from leaf.errors import UsageError
from leaf.report.others.asked import Asked, Evaluated, flat, number

_NAME = re.compile(r"samples_(.+?)(?:_(\d{4}-\d\d-\d\dT[\d.:-]+))?\.jsonl")

QUESTION_COLUMNS = (
    "question",
    "problem",
    "query",
    "input",
    "instruction",
    "prompt",
    "goal",
    "sentence",
    "text",
    "ctx",
)
"""Columns of a data set that hold its question, the likeliest first."""


def find_samples(path: Path) -> list[Path]:
    """Return the files of samples that a path names: itself, or those in its folders."""
    if path.is_file():
        return [path] if path.suffix == ".jsonl" else []
    return sorted(path.rglob("samples_*.jsonl"))


def read_lm_eval(path: Path, question: str | None) -> Evaluated:
    """Read the samples of one model, the newest of each task.

    Args:
        path: A file, or the folder of `--output_path`.
        question: Column of `doc` that holds the question; None, or where it is not: as usual.

    Raises:
        UsageError: no samples, samples of several models, or a line that is none.
    """
    newest: dict[str, Path] = {}
    dates: dict[str, str] = {}
    files = find_samples(path)
    parents = {file.parent for file in files}
    if len(parents) > 1:
        one = min(parents - {path})
        raise UsageError(f"{path}: holds samples of several models; name one, such as {one}")
    notes = []
    for file in files:
        name, date = _task_of(file)
        if name not in newest or date > dates[name]:
            newest[name], dates[name] = file, date
    older = len(files) - len(newest)
    if older:
        notes.append(f"{path}: {older} older files of the same tasks are passed over")
    return Evaluated(
        path=str(path),
        kind="lm-eval samples",
        benchmarks={name: _read(file, question) for name, file in newest.items()},
        notes=notes,
    )


def _task_of(file: Path) -> tuple[str, str]:
    found = _NAME.fullmatch(file.name)
    return (found[1], found[2] or "") if found else (file.stem, "")


def _read(file: Path, question: str | None) -> list[Asked]:
    """Return a file's questions, with what each filter let them score."""
    asked: dict[str, tuple[dict[str, Any], dict[str, float]]] = {}
    for place, line in _lines(file):
        name = json.dumps([line.get("doc_id"), line["doc"]], sort_keys=True)
        _, values = asked.setdefault(name, (line, {}))
        filtered = line.get("filter", "none")
        metrics = line["metrics"] or [] if "metrics" in line else _scores_of_old(line)
        if not isinstance(metrics, list) or not all(isinstance(one, str) for one in metrics):
            raise UsageError(f"{place}: `metrics` must be a list of names, but is {metrics!r:.60}")
        for metric in metrics:
            measure = metric if filtered == "none" else f"{metric},{filtered}"
            value = number(line.get(metric), f"{place}: {metric}")
            if value is not None:
                values[measure] = value
    return [
        Asked(texts=_texts(line, question), values=values, columns=_columns(line["doc"]))
        for line, values in asked.values()
    ]


def _scores_of_old(line: Mapping[str, Any]) -> list[str]:
    """Name the columns with scores of a sample that does not: what is a number, but for these."""
    others = ("doc_id", "target")
    return [key for key, value in line.items() if type(value) in (int, float) and key not in others]


def _lines(file: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    try:
        text = file.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise UsageError(f"{file}: byte {error.start} is not UTF-8 text") from None
    for at, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        place = f"{file}:{at}"
        try:
            value = json.loads(line)
        except (ValueError, RecursionError) as error:
            why = getattr(error, "msg", error)  # of a whole line its column says little
            raise UsageError(
                f"{place}: not JSON: {why}; remove the line, or run lm_eval again"
            ) from None
        if not isinstance(value, dict) or not isinstance(value.get("doc"), dict):
            raise UsageError(
                f"{place}: no sample of lm-eval (it has no `doc`); run lm_eval with --log_samples"
            )
        yield place, value


def _texts(line: Mapping[str, Any], question: str | None) -> dict[str, str]:
    doc = line["doc"]
    lower = {key.lower(): value for key, value in doc.items()}
    named = lower.get(question.lower()) if question else None
    if question and isinstance(named, str | int | float):
        return {question: flat(str(named))}
    texts = {"doc": json.dumps(doc, sort_keys=True)}
    for key in QUESTION_COLUMNS:
        if isinstance(value := lower.get(key), str):
            texts[key] = flat(value)
    prompt = _prompt(line.get("arguments"))
    return {**texts, "prompt": flat(prompt)} if prompt else texts


def _prompt(arguments: Any) -> str:
    """Return what the model was asked; of several requests (choices) the first."""
    first = arguments
    # As a list of tuples in memory, as dictionaries in a file.
    while isinstance(first, dict | list) and first:
        first = next(iter(first.values())) if isinstance(first, dict) else first[0]
    return first if isinstance(first, str) else ""


def _columns(doc: Mapping[str, Any]) -> dict[str, str]:
    return {key: str(value) for key, value in doc.items() if isinstance(value, str | int | float)}
