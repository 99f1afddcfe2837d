"""A trained student, or its adapters, as a repository of the hub."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from leaf.distill.export import shown_name
from leaf.errors import UsageError
from leaf.models.files import ADAPTER_CONFIG
from leaf.store.arms import arm_of
from leaf.store.run_folder import recipe_of, repeat

_BEFORE = "## Training\n"
"""What the scores stand before, in the card."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Upload:
    """What would go where."""

    folder: Path
    repository: str
    files: Sequence[Path]
    """Relative to the folder, the card left out."""
    card: str
    """README.md: what the folder has, with the run's scores."""

    @property
    def size(self) -> int:
        """Bytes of the files."""
        return sum((self.folder / file).stat().st_size for file in self.files)


def prepare(run_folder: Path, repository: str, what: str, *, adapter: bool) -> Upload:
    """Look at what a run trained, and write its card anew.

    Args:
        run_folder: What `leaf run` wrote.
        repository: `OWNER/NAME`.
        what: The arm.
        adapter: Its adapters alone, in place of the whole model.

    Raises:
        UsageError: no name of a repository, or no such student.
    """
    from huggingface_hub.errors import HFValidationError
    from huggingface_hub.utils import validate_repo_id  # type: ignore[attr-defined]

    if "/" not in repository:
        raise UsageError(f"--to {repository}: must be OWNER/NAME, such as me/{repository}")
    try:
        validate_repo_id(repository)
    except HFValidationError as error:
        raise UsageError(f"--to {repository}: {' '.join(str(error).split())}") from None
    if not arm_of(what).folder:
        raise UsageError(f"--what {what}: is trained by no run; name a student, such as leaf or kd")
    folder = run_folder / (arm_of(what).folder + ("-adapter" if adapter else ""))
    wanted = ADAPTER_CONFIG if adapter else "config.json"
    if not (folder / wanted).is_file():
        there = sorted(path.name for path in run_folder.glob("student*") if path.is_dir())
        raise UsageError(
            f"{folder}: not there; the run has {', '.join(there) or 'no student'}"
            + (f"; `{repeat(run_folder)}` trains them" if not there else "")
            + ("; adapters are kept with distill.tuning: lora" if there and adapter else "")
        )
    files = sorted(
        path.relative_to(folder)
        for path in folder.rglob("*")
        if path.is_file() and path.relative_to(folder) != Path("README.md")
    )
    return Upload(
        folder=folder,
        repository=repository,
        files=files,
        card=_card(run_folder, folder, repository, what, adapter=adapter),
    )


def push(upload: Upload, *, private: bool) -> str:
    """Make the repository where it is not there, and commit the files; return its address.

    Raises:
        huggingface_hub.errors.HfHubHTTPError: the hub refuses.
    """
    from huggingface_hub import CommitOperationAdd, HfApi

    api = HfApi()
    api.create_repo(upload.repository, private=private, exist_ok=True)
    operations = [
        CommitOperationAdd(path_in_repo=file.as_posix(), path_or_fileobj=upload.folder / file)
        for file in upload.files
    ]
    operations.append(
        CommitOperationAdd(path_in_repo="README.md", path_or_fileobj=upload.card.encode())
    )
    done = api.create_commit(
        upload.repository, operations=operations, commit_message="Student trained with LeaF"
    )
    return str(done.commit_url)


def _card(run_folder: Path, folder: Path, repository: str, what: str, *, adapter: bool) -> str:
    """Return the student's card under its name on the hub, with what the run measured of it."""
    beside = folder.with_name(arm_of(what).folder) / "README.md"
    card = beside.read_text(encoding="utf-8") if beside.is_file() else "---\n---\n"
    card = card.replace("`PATH` is this folder or its name on the hub. ", "")
    model = f'AutoModelForCausalLM.from_pretrained("{repository}")'
    card = card.replace('from_pretrained("PATH")', f'from_pretrained("{repository}")')
    if adapter:
        base = shown_name(recipe_of(run_folder).student.model)
        whole = f'AutoModelForCausalLM.from_pretrained("{base}")'
        for old, new in (
            ("library_name: transformers", "library_name: peft"),
            ("from transformers import", "from peft import PeftModel\nfrom transformers import"),
            (model, f'PeftModel.from_pretrained({whole}, "{repository}")'),
            ("Nothing but `transformers` is needed.", "`peft` and `transformers` are needed."),
        ):
            card = card.replace(old, new, 1)
    if scores := _scores(run_folder, what):
        card = card.replace(_BEFORE, f"## Scores\n\n{scores}\n{_BEFORE}", 1)
    return card


def _scores(run_folder: Path, what: str) -> str:
    """Return a table of what the run measured: this arm, and the student before training."""
    try:
        report = json.loads((run_folder / "report.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return ""
    rows = [line for one in report.get("results") or () for line in _lines(one, what)]
    if not rows:
        return ""
    head = "| benchmark | | right | 95% interval | n |\n|---|---|---|---|---|\n"
    return head + "".join(f"{row}\n" for row in rows)


def _lines(one: dict[str, Any], what: str) -> list[str]:
    return [
        f"| {one['benchmark']} | {arm_of(arm['arm']).title} | {arm['mean']:.1%} | "
        f"{arm['low']:.1%} to {arm['high']:.1%} | {arm['n']} |"
        for arm in one["arms"]
        if arm["arm"] in ("before", what)
    ]
