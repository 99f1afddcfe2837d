"""Logs of Inspect: .json as they stand, .eval through `inspect-ai` itself (extra `inspect`).

A log has `eval` (task, model), `status` and `samples`, each with `input`, `target`, `epoch`,
`metadata` and `scores`: scorer to its `value`.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from leaf.errors import UsageError
from leaf.report.others.asked import Asked, Evaluated, flat, number

_Log = Mapping[str, Any]


def find_logs(path: Path) -> list[Path]:
    """Return the logs that a path names: itself, or those in its folder."""
    if path.is_file():
        return [path] if path.suffix in (".eval", ".json") else []
    return sorted([*path.glob("*.eval"), *path.glob("*.json")])


def read_inspect(path: Path) -> Evaluated:
    """Read the logs of one model, the newest of each task; epochs of a sample are averaged.

    Raises:
        UsageError: no log, logs of several models, or `.eval` without `inspect-ai`.
    """
    newest: dict[str, tuple[Path, _Log]] = {}
    models = set()
    files = find_logs(path)
    for file in files:
        log = _read(file)
        about = log["eval"]
        models.add(about.get("model"))
        name = str(about.get("task", file.stem))
        if name not in newest or str(about.get("created")) > newest[name][1]["eval"]["created"]:
            newest[name] = file, log
    if len(models) > 1:
        raise UsageError(
            f"{path}: holds logs of {len(models)} models; name one, such as {files[0]}"
        )
    notes = []
    if older := len(files) - len(newest):
        notes.append(f"{path}: {older} older logs of the same tasks are passed over")
    for file, log in newest.values():
        if log.get("status") != "success":
            notes.append(f"{file}: its status is {log.get('status')}, not success")
    benchmarks = {}
    for name, (file, log) in newest.items():
        benchmarks[name], unscored = _asked(log, str(file))
        if unscored:
            notes.append(f"{file}: {unscored} samples without a score are left out")
    return Evaluated(path=str(path), kind="Inspect log", benchmarks=benchmarks, notes=notes)


def _read(file: Path) -> _Log:
    if file.suffix == ".eval":
        try:
            from inspect_ai.log import read_eval_log
        except ImportError:
            raise UsageError(
                f"{file}: is read by inspect-ai; install leaf-distill[inspect], or write it as "
                f"JSON: inspect log convert --to json --output-dir FOLDER {file}"
            ) from None
        text = str(read_eval_log(str(file)).model_dump_json())
    else:
        text = file.read_text(encoding="utf-8", errors="replace")
    try:
        log = json.loads(text)
    except ValueError as error:
        raise UsageError(f"{file}: not JSON: {error}") from None
    if not isinstance(log, dict) or not isinstance(log.get("eval"), dict):
        raise UsageError(f"{file}: no log of Inspect (it has no `eval`)")
    return log


def _asked(log: _Log, file: str) -> tuple[Sequence[Asked], int]:
    """Return the questions, and how many samples have no score."""
    by_id: dict[str, list[Mapping[str, float]]] = {}
    first: dict[str, Mapping[str, Any]] = {}
    unscored = 0
    for sample in log.get("samples") or ():
        values = _values(sample, file)
        if not values:
            unscored += 1
            continue
        name = str(sample.get("id"))
        first.setdefault(name, sample)
        by_id.setdefault(name, []).append(values)
    asked = [
        Asked(
            texts={"input": flat(_input(sample.get("input")))},
            values=_mean(by_id[name]),
            columns={
                key: str(value)
                for key, value in {**(sample.get("metadata") or {}), "id": name}.items()
                if isinstance(value, str | int | float)
            },
        )
        for name, sample in first.items()
    ]
    return asked, unscored


def _values(sample: Mapping[str, Any], file: str) -> dict[str, float]:
    found: dict[str, float] = {}
    for scorer, score in (sample.get("scores") or {}).items():
        value = score.get("value") if isinstance(score, dict) else score
        # A scorer may say several things at once.
        parts = value if isinstance(value, dict) else {"": value}
        for part, each in parts.items():
            place = f"{file}: sample {sample.get('id')}: {scorer}"
            one = number(each, place)
            if one is not None:
                found[f"{scorer}.{part}" if part else scorer] = one
    return found


def _mean(epochs: Sequence[Mapping[str, float]]) -> dict[str, float]:
    names = dict.fromkeys(name for one in epochs for name in one)
    columns = {name: [one[name] for one in epochs if name in one] for name in names}
    return {name: sum(values) / len(values) for name, values in columns.items()}


def _input(value: Any) -> str:
    """Return the question: a text, or a conversation's last message by the user."""
    if isinstance(value, str):
        return value
    for message in reversed(value or []):
        if message.get("role") == "user":
            content = message.get("content")
            if isinstance(content, str):
                return content
            return " ".join(part.get("text", "") for part in content or [])
    return ""
