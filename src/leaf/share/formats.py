"""A training row as other trainers read it: a function a format, from a row to its record.

Every record also has `id`, `problem`, `kind` (original or changed), `strategy` and `weight`
(`leaf.share.weights`); trainers pass columns that they do not know by.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from leaf.errors import UsageError
from leaf.store.run_folder import TrainingRow

Record = dict[str, Any]


def as_messages(row: TrainingRow, system: str | None) -> Record:
    """Return chat messages, the response last: OpenAI's form, which most trainers read."""
    return {"messages": [*_prompt(row, system), _turn("assistant", row.response)]}


def as_trl(row: TrainingRow, system: str | None) -> Record:
    """Return TRL's conversational prompt and completion."""
    return {"prompt": _prompt(row, system), "completion": [_turn("assistant", row.response)]}


def as_privileged(row: TrainingRow, system: str | None) -> Record:
    """Return prompt, completion, and the message that the teacher sees in the last one's place.

    `privileged_context` is TRL's name for it (`examples/privileged.py`).
    """
    return {**as_trl(row, system), "privileged_context": row.teacher_prompt or row.prompt}


def as_swift(row: TrainingRow, system: str | None) -> Record:
    """Return messages, and the user's message that the teacher sees in place of the last one.

    Every row has it: ms-swift forgets that of a whole batch where one row has none.
    """
    return {**as_messages(row, system), "teacher_prompt": row.teacher_prompt or row.prompt}


_SHAREGPT = {"system": "system", "user": "human", "assistant": "gpt"}


def as_sharegpt(row: TrainingRow, system: str | None) -> Record:
    """Return a ShareGPT conversation."""
    said = as_messages(row, system)["messages"]
    return {
        "conversations": [
            {"from": _SHAREGPT[turn["role"]], "value": turn["content"]} for turn in said
        ]
    }


def as_alpaca(row: TrainingRow, system: str | None) -> Record:
    """Return an Alpaca instruction, with what stands before it; its input stays empty.

    Raises:
        UsageError: what stands before it are no pairs of a user's message and its answer.
    """
    *before, last = _prompt(row, system)
    first = before.pop(0)["content"] if before and before[0]["role"] == "system" else ""
    if [turn["role"] for turn in before] != ["user", "assistant"] * (len(before) // 2):
        raise UsageError(
            f"--format alpaca: row {row.id} has turns that are no question and answer in turn; "
            "write messages or sharegpt"
        )
    said = [turn["content"] for turn in before]
    # A column that LLaMA-Factory's entry names must be in every record.
    return {
        "instruction": last["content"],
        "input": "",
        "output": row.response,
        "system": first,
        "history": [list(pair) for pair in zip(said[::2], said[1::2], strict=True)],
    }


def llama_factory(out: Path, entry: Mapping[str, Any]) -> dict[Path, str]:
    """Return LLaMA-Factory's dataset_info.json with one more entry, named as the file is.

    Raises:
        UsageError: there is one that cannot be read.
    """
    path = out.parent / "dataset_info.json"
    known: Any = {}
    if path.exists():
        try:
            known = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise UsageError(f"{path}: not JSON ({error}); move it, or write elsewhere") from None
        if not isinstance(known, dict):
            raise UsageError(f"{path}: not a table of data sets; move it, or write elsewhere")
    whole = {**known, out.stem: {"file_name": out.name, **entry}}
    return {path: json.dumps(whole, ensure_ascii=False, indent=2) + "\n"}


def _sharegpt_beside(out: Path) -> dict[Path, str]:
    # Columns and tags that an entry leaves out are none for LLaMA-Factory, not their defaults.
    tags = {
        "role_tag": "from",
        "content_tag": "value",
        "user_tag": "human",
        "assistant_tag": "gpt",
        "observation_tag": "observation",
        "function_tag": "function_call",
        "system_tag": "system",
    }
    columns = {"messages": "conversations"}
    return llama_factory(out, {"formatting": "sharegpt", "columns": columns, "tags": tags})


def _alpaca_beside(out: Path) -> dict[Path, str]:
    columns = {"prompt": "instruction", "query": "input", "response": "output"}
    columns |= {"system": "system", "history": "history"}
    return llama_factory(out, {"formatting": "alpaca", "columns": columns})


def _axolotl_beside(out: Path) -> dict[Path, str]:
    """Return the part of an axolotl config that reads the file, the response alone trained on."""
    dataset = {
        "path": str(out),
        "ds_type": "json",
        "type": "chat_template",
        "field_messages": "messages",
        "message_property_mappings": {"role": "role", "content": "content"},
        "roles_to_train": ["assistant"],
        "train_on_eos": "turn",
    }
    return {
        out.with_suffix(".axolotl.yaml"): yaml.safe_dump({"datasets": [dataset]}, sort_keys=False)
    }


@dataclass(frozen=True, kw_only=True, slots=True)
class Format:
    """How rows are written for some trainers."""

    record: Callable[[TrainingRow, str | None], Record]
    """A row and the system prompt -> its record."""
    teacher: bool = False
    """Whether what the teacher sees in the prompt's place is in the record."""
    beside: Callable[[Path], dict[Path, str]] | None = None
    """File of the rows -> files that belong beside it, with their content; None: there are none."""


FORMATS: dict[str, Format] = {
    "messages": Format(record=as_messages),
    "trl": Format(record=as_trl),
    "privileged": Format(record=as_privileged, teacher=True),
    "swift": Format(record=as_swift, teacher=True),
    "sharegpt": Format(record=as_sharegpt, beside=_sharegpt_beside),
    "alpaca": Format(record=as_alpaca, beside=_alpaca_beside),
    "axolotl": Format(record=as_messages, beside=_axolotl_beside),
}
"""Those of texts, by name; `parquet` is in `leaf.share.tokens`."""


def _turn(role: str, content: str) -> dict[str, str]:
    return {"role": role, "content": content}


def _prompt(row: TrainingRow, system: str | None) -> list[dict[str, str]]:
    """Return the conversation that the student sees: a system turn of its own goes first."""
    before = [_turn(turn.role, turn.text) for turn in row.turns]
    if system is not None and (not before or before[0]["role"] != "system"):
        before.insert(0, _turn("system", system))
    return [*before, _turn("user", row.prompt)]
