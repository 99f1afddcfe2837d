"""`leaf push`: what would go to the hub, and its card; nothing is sent in a dry run."""

import json
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import HfApi, ModelCard

from tests.command_line import complaint, leaf


def test_a_dry_run_names_the_files_and_sends_nothing(
    finished: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("something was sent")

    for name in ("create_repo", "create_commit"):
        monkeypatch.setattr(HfApi, name, refuse)
    done = leaf("push", finished, "--to", "me/small", "--dry-run")
    assert (done.code, done.err) == (0, "")
    assert "model.safetensors" in done.out
    assert done.out.endswith("Nothing was sent. The same without --dry-run sends it to me/small.\n")
    said = json.loads(leaf("push", finished, "--to", "me/small", "--dry-run", "--json").out)
    folder = finished / "student"
    assert set(said["files"]) == {one.name for one in folder.iterdir()}
    assert said["bytes"] == sum(
        one.stat().st_size for one in folder.iterdir() if one.name != "README.md"
    )
    assert said["address"] is None


def test_the_card_has_the_name_on_the_hub_and_the_scores_of_the_run(finished: Path) -> None:
    said = json.loads(leaf("push", finished, "--to", "me/small", "--dry-run", "--json").out)
    card = ModelCard(said["card"])
    assert card.data.base_model is None  # a folder, no id of the hub
    assert 'from_pretrained("me/small")' in card.text
    assert "PATH" not in card.text
    (result,) = json.loads((finished / "report.json").read_text())["results"]
    (ours,) = (arm for arm in result["arms"] if arm["arm"] == "leaf")
    assert f"| {ours['mean']:.1%} | {ours['low']:.1%} to {ours['high']:.1%} | 4 |" in card.text
    assert "| own | LeaF | " in card.text
    assert "| own | KD | " not in card.text


def test_what_is_sent_is_what_the_dry_run_said(
    finished: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: dict[str, Any] = {}

    class Done:
        commit_url = "https://hub/me/small/commit/1"

    def commit(_: Any, repository: str, *, operations: Any, commit_message: str) -> Done:
        sent["files"] = {one.path_in_repo: one.as_file for one in operations}
        return Done()

    monkeypatch.setattr(HfApi, "create_repo", lambda _, name, **more: sent.update(more, to=name))
    monkeypatch.setattr(HfApi, "create_commit", commit)
    done = leaf("push", finished, "--to", "me/small", "--what", "kd", "--private")
    assert done.out.endswith("sent:     https://hub/me/small/commit/1\n")
    assert (sent["to"], sent["private"], sent["exist_ok"]) == ("me/small", True, True)
    with sent["files"]["model.safetensors"]() as file:
        assert file.read() == (finished / "student-kd" / "model.safetensors").read_bytes()
    with sent["files"]["README.md"]() as file:
        assert b"a baseline of LeaF" in file.read()


def test_what_cannot_be_sent_is_one_line(finished: Path, tmp_path: Path) -> None:
    words = ("push", finished, "--dry-run", "--to")
    assert complaint(*words, "a/b/c").startswith("--to a/b/c: Repo id must be")
    assert complaint(*words, "small") == "--to small: must be OWNER/NAME, such as me/small"
    said = complaint(*words, "me/small", "--what", "teacher")
    assert said == "--what teacher: is trained by no run; name a student, such as leaf or kd"
    said = complaint(*words, "me/small", "--adapter")
    assert said == (
        f"{finished}/student-adapter: not there; the run has student, student-kd; adapters "
        "are kept with distill.tuning: lora"
    )
    said = complaint("push", tmp_path, "--to", "me/small", "--dry-run")
    assert said.startswith(f"{tmp_path}/student: not there; the run has no student; `leaf run")
    done = leaf("push", finished, "--to", "me/small")
    assert (done.code, done.err.count("\n")) == (1, 1)
    assert done.err.startswith("leaf: me/small: the hub did not take it: ")
