"""Logs of Inspect: .json as they stand, .eval through `inspect-ai` itself (extra `inspect`).

A log has `eval` (task, model), `status` and `samples`, each with `input`, `target`, `epoch`,
`metadata` and `scores`: scorer to its `value`.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from leaf.errors import UsageError
from leaf.report.others.asked import Asked, Evaluated, flat, number

_Log = Mapping[str, Any]
T = TypeVar("T", list[Any], dict[str, Any])


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
    found = {file: _read(file) for file in find_logs(path)}
    logs = {file: log for file, log in found.items() if _is_log(log)}
    if not logs:
        raise UsageError(f"{next(iter(found))}: no log of Inspect (it has no `eval`)")
    for file, log in logs.items():
        name = str(log["eval"].get("task", file.stem))
        if name not in newest or _created(log) > _created(newest[name][1]):
            newest[name] = file, log
    models = {str(log["eval"].get("model")) for log in logs.values()}
    if len(models) > 1:
        raise UsageError(
            f"{path}: holds logs of {len(models)} models; name one, such as {next(iter(logs))}"
        )
    notes = []
    if others := len(found) - len(logs):
        notes.append(f"{path}: {others} files that are no logs of Inspect are passed over")
    if older := len(logs) - len(newest):
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


def _read(file: Path) -> Any:
    if file.suffix == ".eval":
        try:
            from inspect_ai.log import read_eval_log
        except ImportError:
            raise UsageError(
                f"{file}: is read by inspect-ai; install leaf-distill[inspect], or write it as "
                f"JSON: inspect log convert --to json --output-dir FOLDER {file}"
            ) from None
        try:
            text = str(read_eval_log(str(file)).model_dump_json())
        except Exception as error:  # zip, JSON and pydantic each say it their own way
            first = str(error).strip().partition("\n")[0]
            raise UsageError(f"{file}: inspect-ai cannot read it: {first:.200}") from None
    else:
        text = file.read_text(encoding="utf-8", errors="replace")
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{file}: not JSON: {error}; run the evaluation again") from None


def _is_log(value: Any) -> bool:
    return isinstance(value, dict) and isinstance(value.get("eval"), dict)


def _created(log: _Log) -> str:
    return str(log["eval"].get("created", ""))


def _asked(log: _Log, file: str) -> tuple[Sequence[Asked], int]:
    """Return the questions, and how many samples have no score."""
    by_id: dict[str, list[Mapping[str, float]]] = {}
    first: dict[str, Asked] = {}
    for at, sample in enumerate(_part(log, "samples", list, file), start=1):
        place = f"{file}: sample {at}"
        if not isinstance(sample, dict):
            raise UsageError(f"{place}: must be a mapping, but is {sample!r:.60}")
        name = str(sample.get("id"))
        by_id.setdefault(name, []).append(_values(sample, place))
        columns = {**_part(sample, "metadata", dict, place), "id": name}
        first.setdefault(
            name,
            Asked(
                texts={"input": flat(_input(sample, place))},
                values={},
                columns={
                    key: str(value)
                    for key, value in columns.items()
                    if isinstance(value, str | int | float)
                },
            ),
        )
    asked = [replace(one, values=_mean(by_id[name])) for name, one in first.items()]
    return asked, sum(not values for epochs in by_id.values() for values in epochs)


def _part(whole: Mapping[str, Any], key: str, kind: type[T], place: str) -> T:
    """Return what stands under a key, empty where nothing does.

    Raises:
        UsageError: it is of another type.
    """
    value = whole.get(key)
    if value is None:
        return kind()
    if not isinstance(value, kind):
        what = "a list" if kind is list else "a mapping"
        raise UsageError(f"{place}: `{key}` must be {what}, but is {value!r:.60}")
    return value


def _values(sample: Mapping[str, Any], place: str) -> dict[str, float]:
    found: dict[str, float] = {}
    for scorer, score in _part(sample, "scores", dict, place).items():
        value = score.get("value") if isinstance(score, dict) else score
        # A scorer may say several things at once.
        parts = value if isinstance(value, dict) else {"": value}
        for part, each in parts.items():
            one = number(each, f"{place}: {scorer}")
            if one is not None:
                found[f"{scorer}.{part}" if part else scorer] = one
    return found


def _mean(epochs: Sequence[Mapping[str, float]]) -> dict[str, float]:
    names = dict.fromkeys(name for one in epochs for name in one)
    columns = {name: [one[name] for one in epochs if name in one] for name in names}
    return {name: sum(values) / len(values) for name, values in columns.items()}


def _input(sample: Mapping[str, Any], place: str) -> str:
    """Return the question: a text, or a conversation's last message by the user.

    Raises:
        UsageError: it is neither.
    """
    if isinstance(sample.get("input"), str):
        return str(sample["input"])
    for message in reversed(_part(sample, "input", list, place)):
        if not isinstance(message, dict):
            raise UsageError(f"{place}: a message of `input` must be a mapping: {message!r:.60}")
        if message.get("role") == "user":
            if isinstance(message.get("content"), str):
                return str(message["content"])
            parts = _part(message, "content", list, place)
            return " ".join(str(part.get("text", "")) for part in parts if isinstance(part, dict))
    return ""
