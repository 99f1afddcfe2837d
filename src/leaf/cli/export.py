"""The command `leaf export`."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

from leaf.cli.options import AsJson, out_console, say_line
from leaf.errors import UsageError
from leaf.progress import print_table, table

if TYPE_CHECKING:  # it imports torch
    from leaf.share.rows import Rows
    from leaf.store.run_folder import TrainingRow

FormatName = Literal[
    "messages", "trl", "privileged", "swift", "sharegpt", "alpaca", "axolotl", "parquet"
]


def export(  # noqa: D417 - `AsJson` says what it is
    run_folder: Annotated[Path, Parameter(name="RUN")],
    /,
    *,
    format_: Annotated[FormatName, Parameter(name="--format")],
    out: Path,
    what: str = "leaf",
    top_k: int | None = None,
    store: Path | None = None,
    overwrite: Annotated[bool, Parameter(negative=())] = False,
    json_: AsJson = False,
) -> None:
    """Write what a run trained on as data that other trainers read.

    These are the originals and the verified changed questions, each with its reference response,
    the student's system prompt, its kind and what its response tokens weigh (lambda made rows).
    Formats of text need no model and no store; a run with `--until verify` has what they need.

    Args:
        run_folder: What `leaf run` wrote; its rows.parquet is read, or that of the arm.
        format_: messages (chat); trl (conversational prompt and completion); privileged (these and
            what the teacher sees in the prompt's place, for TRL's SDFTTrainer); swift (messages
            and ms-swift's teacher_prompt); sharegpt or alpaca (with LLaMA-Factory's
            dataset_info.json); axolotl (messages, with a part of its config); parquet (tokens of
            the student: input ids, loss mask, labels).
        out: File to write: .jsonl (one record a line) or .json (one list); with --format parquet
            .parquet.
        what: Whose rows: leaf; its baseline, kd (the originals alone) or rft (the student's own
            right answers); or an arm that the recipe names.
        top_k: With --format parquet: so many likeliest tokens of the teacher at every response
            token, with their log-probabilities; it is loaded, or its cache read.
        store: With --top-k: where the run's store is. Default: store beside the run folder.
        overwrite: Replace a file that is there.
    """
    from leaf.share.rows import read_rows
    from leaf.store.disk import made

    tokens = format_ == "parquet"
    _check_out(out, suffixes={".parquet"} if tokens else {".jsonl", ".json"}, overwrite=overwrite)
    if not tokens and top_k is not None:
        raise UsageError(f"--top-k {top_k}: needs --format parquet")
    if top_k is not None and top_k < 1:
        raise UsageError(f"--top-k {top_k}: must be at least 1")
    found = read_rows(run_folder, what)
    with made(out.parent):
        if tokens:
            written = _write_parquet(run_folder, found, what, out, top_k, store)
        else:
            written = _write_texts(format_, found, what, out)
    if json_:
        summary = {"file": str(out), "format": format_, **written.summary()}
        print(json.dumps(summary, indent=1))
        return
    shown = table("rows", "kind", "weight of a token")
    for kind, (count, weight) in written.kinds.items():
        shown.add_row(str(count), kind, f"{weight:.3g}")
    print_table(out_console, shown)
    for reason, count in written.left_out.items():
        say_line(f"left out: {count} rows {reason}")
    for note in written.notes:
        say_line(f"note:     {note}")
    say_line(f"data:     {out} ({len(written.rows)} rows)")
    for path in written.beside:
        say_line(f"beside:   {path}")
    loader = "parquet" if tokens else "json"
    say_line(f'Next: datasets.load_dataset("{loader}", data_files="{out}", split="train")')


@dataclass(frozen=True, kw_only=True, slots=True)
class Written:
    """What a file holds."""

    rows: "Sequence[TrainingRow]"
    weights: Sequence[float]
    """Of a response token of each row."""
    left_out: dict[str, int]
    """Reason to how many rows."""
    beside: Sequence[Path] = ()
    """Other files that were written."""
    notes: Sequence[str] = ()
    """What a reader of the file could not know."""

    @property
    def kinds(self) -> dict[str, tuple[int, float]]:
        """Rows, and what a token of theirs weighs, by how they were made, originals first."""
        found: dict[str, list[float]] = {}
        for row, weight in zip(self.rows, self.weights, strict=True):
            found.setdefault(row.strategy or "original", []).append(weight)
        return {kind: (len(own), sum(own) / len(own)) for kind, own in found.items()}

    def summary(self) -> dict[str, Any]:
        """Return what `--json` says of it."""
        return {
            "rows": len(self.rows),
            "kinds": {kind: count for kind, (count, _) in self.kinds.items()},
            "weights": {kind: weight for kind, (_, weight) in self.kinds.items()},
            "left_out": self.left_out,
            "beside": [str(path) for path in self.beside],
            "notes": list(self.notes),
        }


def _write_parquet(
    run_folder: Path, found: "Rows", what: str, out: Path, top_k: int | None, store: Path | None
) -> Written:
    from leaf.share.rows import choose
    from leaf.share.tokens import write_tokens
    from leaf.store.run_folder import repeat

    if found.recipe is None:
        raise UsageError(
            f"{run_folder / 'recipe.yaml'}: not there; --format parquet needs it for the student; "
            f"`{repeat(run_folder)}` writes it"
        )
    chosen = choose(found.rows, what, begun=True)
    store = store or run_folder.parent / "store"
    rows, weights, longer = write_tokens(out, chosen.rows, found.recipe, top_k=top_k, store=store)
    return Written(rows=rows, weights=weights, left_out={**chosen.left_out, **longer})


def _write_texts(format_: str, found: "Rows", what: str, out: Path) -> Written:
    """Write records of text, and what belongs beside them."""
    from leaf.share.formats import FORMATS
    from leaf.share.rows import choose
    from leaf.store.store import write_whole

    chosen = choose(found.rows, what)
    weights = chosen.weights(found.recipe)
    form = FORMATS[format_]
    beside = form.beside(out) if form.beside else {}
    records = [
        form.record(row, found.system) | _named(row, weight)
        for row, weight in zip(chosen.rows, weights, strict=True)
    ]
    write_whole(out, _as_json(records, lines=out.suffix == ".jsonl").encode())
    for path, content in beside.items():
        write_whole(path, content.encode())
    notes = []
    if found.recipe is None:
        notes.append("there is no recipe.yaml: no system prompt, and all rows weigh the same")
    elif not chosen.counted:
        notes.append("this run kept no lengths in tokens: weights go by characters")
    if chosen.two_contexts and not form.teacher:
        notes.append(
            f"{chosen.two_contexts} rows have a prompt of the teacher's own, which this format has "
            "no place for: privileged, swift and parquet have"
        )
    return Written(
        rows=chosen.rows,
        weights=weights,
        left_out=chosen.left_out,
        beside=list(beside),
        notes=notes,
    )


def _named(row: "TrainingRow", weight: float) -> dict[str, Any]:
    """Return what tells where a record comes from; trainers pass such columns by."""
    return {
        "id": row.id,
        "kind": row.kind,
        "strategy": row.strategy,
        "problem": row.problem_id,
        "weight": weight,
    }


def _as_json(records: Sequence[dict[str, Any]], *, lines: bool) -> str:
    if lines:
        return "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records)
    return json.dumps(records, ensure_ascii=False, indent=1) + "\n"


def _check_out(out: Path, *, suffixes: set[str], overwrite: bool) -> None:
    if out.suffix not in suffixes:
        raise UsageError(f"--out {out}: must end in {' or '.join(sorted(suffixes, reverse=True))}")
    if out.is_dir():
        raise UsageError(f"--out {out}: is a folder; name a file")
    if out.exists() and not overwrite:
        raise UsageError(f"--out {out}: is there already; name another, or add --overwrite")
