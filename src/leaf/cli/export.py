"""The command `leaf export`."""

import json
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

from leaf.cli.options import AsJson, out_console, say_line
from leaf.errors import UsageError
from leaf.progress import print_table, table

if TYPE_CHECKING:  # it imports torch
    from leaf.store.run_folder import TrainingRow

Format = Literal["trl", "sharegpt", "alpaca"]


def export(  # noqa: D417 - `AsJson` says what it is
    run_folder: Annotated[Path, Parameter(name="RUN")],
    /,
    *,
    format_: Annotated[Format, Parameter(name="--format")],
    out: Path,
    what: str = "leaf",
    overwrite: Annotated[bool, Parameter(negative=())] = False,
    json_: AsJson = False,
) -> None:
    """Write what a run trained on as chat data that other trainers read.

    These are the originals and the verified changed questions, each with its reference response.
    No model and no store is needed; a run with `--until verify` has all that is asked for.

    Args:
        run_folder: What `leaf run` wrote; its rows.parquet is read, or that of the arm.
        format_: trl (conversational prompt and completion: its SFTTrainer learns the completion
            alone), sharegpt or alpaca.
        out: File to write: .jsonl (one record a line) or .json (one list).
        what: Whose rows: leaf; its baseline, kd (the originals alone) or rft (the student's own
            right answers); or an arm that the recipe names.
        overwrite: Replace a file that is there.
    """
    from leaf.store.store import write_whole

    _check_out(out, overwrite=overwrite)
    chosen = choose(_rows(run_folder, what), what)
    records = [FORMATS[format_](row) | _named(row) for row in chosen.rows]
    out.parent.mkdir(parents=True, exist_ok=True)
    write_whole(out, _as_json(records, lines=out.suffix == ".jsonl").encode())
    if json_:
        summary = {
            "file": str(out),
            "format": format_,
            "rows": len(chosen.rows),
            "kinds": chosen.kinds,
            "left_out": chosen.left_out,
        }
        print(json.dumps(summary, indent=1))
        return
    shown = table("rows", "kind")
    for kind, count in chosen.kinds.items():
        shown.add_row(str(count), kind)
    print_table(out_console, shown)
    for reason, count in chosen.left_out.items():
        say_line(f"left out: {count} rows {reason}")
    say_line(f"data:     {out} ({len(chosen.rows)} rows)")
    say_line(f'Next: datasets.load_dataset("json", data_files="{out}", split="train")')


@dataclass(frozen=True, kw_only=True, slots=True)
class Chosen:
    """The rows to write, and those that are not."""

    rows: "list[TrainingRow]"
    left_out: dict[str, int]
    """Reason to how many rows."""

    @property
    def kinds(self) -> dict[str, int]:
        """Count the rows by how they were made, originals first."""
        return dict(Counter(row.strategy or "original" for row in self.rows))


HELD_OUT = "of held-out problems, which serve validation alone"
BEGUN = "in the response: a chat turn that is half context and half answer has no place here"


def choose(rows: "Sequence[TrainingRow]", what: str) -> Chosen:
    """Return the rows of one arm that a chat format can hold, and why others are left out.

    Of LeaF's rows `kd` has the originals; any other arm has rows of its own.

    Raises:
        UsageError: nothing would be left.
    """
    ours = [row for row in rows if what != "kd" or not row.strategy]
    reasons = [HELD_OUT if row.held_out else BEGUN if row.response_prefix else "" for row in ours]
    chosen = [row for row, reason in zip(ours, reasons, strict=True) if not reason]
    if not chosen:
        raise UsageError("there is nothing to write: the run has no training row of this kind")
    return Chosen(rows=chosen, left_out=dict(Counter(reason for reason in reasons if reason)))


def as_trl(row: "TrainingRow") -> dict[str, Any]:
    """Return TRL's conversational prompt and completion."""
    return {
        "prompt": [
            *({"role": turn.role, "content": turn.text} for turn in row.turns),
            {"role": "user", "content": row.prompt},
        ],
        "completion": [{"role": "assistant", "content": row.response}],
    }


def as_sharegpt(row: "TrainingRow") -> dict[str, Any]:
    """Return a ShareGPT conversation: the turns before, the question and the response."""
    return {
        "conversations": [
            *({"from": _SHAREGPT[turn.role], "value": turn.text} for turn in row.turns),
            {"from": "human", "value": row.prompt},
            {"from": "gpt", "value": row.response},
        ]
    }


def as_alpaca(row: "TrainingRow") -> dict[str, Any]:
    """Return an Alpaca instruction; its input stays empty, as the prompt is one text.

    Turns before it are LLaMA-Factory's `system` and `history` (pairs of question and answer).
    """
    before: dict[str, Any] = {turn.role: turn.text for turn in row.turns if turn.role == "system"}
    said = [turn.text for turn in row.turns if turn.role != "system"]
    if said:
        before["history"] = [list(pair) for pair in zip(said[::2], said[1::2], strict=True)]
    return {**before, "instruction": row.prompt, "input": "", "output": row.response}


_SHAREGPT = {"system": "system", "user": "human", "assistant": "gpt"}
"""What ShareGPT calls the roles."""


FORMATS: "dict[str, Callable[[TrainingRow], dict[str, Any]]]" = {
    "trl": as_trl,
    "sharegpt": as_sharegpt,
    "alpaca": as_alpaca,
}


def _named(row: "TrainingRow") -> dict[str, str]:
    """Return what tells where a record comes from; trainers pass such columns by."""
    kind = "counterfactual" if row.strategy else "original"
    return {"id": row.id, "kind": kind, "strategy": row.strategy, "problem": row.problem_id}


def _as_json(records: Sequence[dict[str, Any]], *, lines: bool) -> str:
    if lines:
        return "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records)
    return json.dumps(records, ensure_ascii=False, indent=1) + "\n"


def _check_out(out: Path, *, overwrite: bool) -> None:
    if out.suffix not in {".jsonl", ".json"}:
        raise UsageError(f"--out {out}: must end in .jsonl or .json")
    if out.is_dir():
        raise UsageError(f"--out {out}: is a folder; name a file")
    if out.exists() and not overwrite:
        raise UsageError(f"--out {out}: is there already; name another, or add --overwrite")


def _rows(run_folder: Path, what: str) -> "list[TrainingRow]":
    """Read what an arm trains on.

    Raises:
        UsageError: the run has no such arm, or its rows are not there.
    """
    from leaf.recipe.reading import trained_arms
    from leaf.store.run_folder import TrainingRow, read_records, recipe_of, repeat, rows_name

    path = run_folder / rows_name(what)
    if (run_folder / "recipe.yaml").is_file():
        recipe = recipe_of(run_folder)
        arms = trained_arms(recipe)
        if what not in arms:
            raise UsageError(f"--what {what}: this run trains {', '.join(arms)}")
        until = "verify" if what in (recipe.baseline, "leaf") else "distill"
    else:
        until = "verify"
    way_out = f"`{repeat(run_folder)} --until {until}` writes it; nothing is computed twice"
    return read_records(path, TrainingRow, way_out)
