"""Where the teacher's word comes from changes who is in memory, and not what a student learns."""

import gc
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, AutoTokenizer

from leaf.distill import Distiller, plan_steps
from leaf.distill import cache as cache_module
from leaf.distill.train_student import run_job
from leaf.errors import ServerError
from leaf.models.prompt_format import prompt_format_of
from leaf.pipeline.run import run_recipe
from leaf.recipe import ModelSection
from leaf.recipe.reading import check_recipe
from leaf.store.store import Store
from tests.distill.training.runs import (
    job_of,
    largest_difference,
    metrics,
    run,
    values_of,
    weights,
)
from tests.servers import Answer, LogprobServer, refusal


@pytest.fixture(scope="module")
def online(
    cue_pair: Path, verified: Path, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Path]:
    """Each arm's folder where the teacher was in memory."""
    store = Path(shutil.copytree(verified, tmp_path_factory.mktemp("online") / "store"))
    return run(cue_pair, store).results.students


def test_a_teacher_in_memory_is_there_while_each_student_learns(
    cue_pair: Path, store: Path, events: list[str]
) -> None:
    run(cue_pair, store)
    assert events == ["+teacher", "train", "-teacher"] * 2


@pytest.mark.parametrize("kept", ["hidden", "topk"])
def test_a_kept_teacher_is_loaded_once_for_both_arms_and_never_while_they_learn(
    cue_pair: Path, tmp_path: Path, events: list[str], kept: str
) -> None:
    # Only questions with the cue: what is left of them without it is new to the teacher.
    folder = Path(shutil.copytree(cue_pair, tmp_path / "pair"))
    lines = (folder / "train.jsonl").read_text().splitlines(keepends=True)
    (folder / "train.jsonl").write_text("".join(lines[1::2]))
    text = (folder / "recipe.yaml").read_text().replace(str(cue_pair), str(folder))
    (folder / "recipe.yaml").write_text(text)
    run(folder, tmp_path / "store", "verify")
    events.clear()
    run(folder, tmp_path / "store", teacher=kept)
    assert events == ["+teacher", "-teacher", "train", "train"]
    (cache,) = (tmp_path / "store" / "teacher").iterdir()
    with safe_open(cache / "part-00000.safetensors", framework="pt") as part:
        assert len({name.partition(".")[0] for name in part.keys()}) == 8  # noqa: SIM118


def test_another_student_finds_what_was_kept(
    cue_pair: Path, store: Path, events: list[str]
) -> None:
    run(cue_pair, store, teacher="hidden")
    events.clear()
    run(cue_pair, store, teacher="hidden", learning_rate=2e-3)
    assert events == ["train", "train"]


def test_students_of_kept_hidden_states_are_those_of_the_teacher_in_memory(
    cue_pair: Path, store: Path, online: dict[str, Path]
) -> None:
    students = run(cue_pair, store, teacher="hidden").results.students
    assert list(students) == list(online) == ["kd", "leaf"]
    for arm, folder in students.items():
        start = cue_pair / "student"
        moved = (load_file(start / "model.safetensors"), weights(folder))
        assert any(not torch.equal(moved[0][name], moved[1][name]) for name in moved[0])
        # Six steps of 1e-3: what rounding leaves is far below one.
        assert largest_difference(folder, online[arm]) < 2e-5
        for ours, theirs in zip(metrics(folder), metrics(online[arm]), strict=True):
            assert ours["loss"] == pytest.approx(theirs["loss"], rel=1e-3, abs=1e-6)


@pytest.mark.parametrize("tuning", ["full", "lora"])
def test_with_two_contexts_kept_states_teach_what_the_teacher_in_memory_does(
    cue_pair: Path, store: Path, tuning: str
) -> None:
    settings = {"teacher_sees": "cut", "tuning": tuning}
    found = {kept: run(cue_pair, store, teacher=kept, **settings) for kept in ("online", "hidden")}
    rows = [row for row in found["online"].training_sets["leaf"].rows if row.counterfactual]
    assert len(rows) == 4
    for row in rows:
        assert "red" in row.content
        assert row.teacher_content == row.content.replace(" red", "")
    # Each context once, however many rows share it: a question without its cue is another row's.
    (cache,) = (store / "teacher").iterdir()
    with safe_open(cache / "part-00000.safetensors", framework="pt") as part:
        assert len(list(part.keys())) == 8
    online, hidden = (found[kept].results.students for kept in ("online", "hidden"))
    assert largest_difference(online["leaf"], hidden["leaf"]) < 2e-5
    for folder in (online["leaf"], hidden["leaf"]):
        # The student is misled by the cue that it sees and its teacher does not.
        assert metrics(folder)[0]["kl_counterfactual"] > 1.0


def test_a_kept_head_that_was_deleted_is_made_again(
    cue_pair: Path, store: Path, online: dict[str, Path]
) -> None:
    run(cue_pair, store, teacher="hidden")
    (head,) = (store / "teacher").glob("*/head.safetensors")
    head.unlink()
    students = run(cue_pair, store, teacher="hidden", epochs=1).results.students
    assert head.is_file()
    assert (students["leaf"] / "model").is_dir()


def test_likeliest_tokens_give_a_loss_that_is_at_most_the_whole(
    cue_pair: Path, store: Path, online: dict[str, Path]
) -> None:
    students = run(cue_pair, store, teacher="topk", top_k=2).results.students
    for arm, folder in students.items():
        assert metrics(folder)[0]["loss"] <= metrics(online[arm])[0]["loss"] * (1 + 1e-5)
        assert metrics(folder)[0]["loss"] > 0.0
    assert (students["leaf"] / "done.json").is_file()


def test_a_student_of_a_server_is_that_of_the_same_tokens_kept_here(
    cue_pair: Path, store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    local = run(cue_pair, store, teacher="topk", top_k=8).results.students
    monkeypatch.setenv("TEACHER_KEY", "secret-123")
    model = AutoModelForCausalLM.from_pretrained(cue_pair / "teacher", dtype=torch.float32)
    with LogprobServer(model, name="big", key="secret-123") as server:
        place = {"url": server.url, "model": "big", "key_variable": "TEACHER_KEY", "workers": 2}
        values = values_of(cue_pair, teacher="served", top_k=8, served=place)
        recipe = check_recipe(values, source="test")
        out = tmp_path / "run"
        results = run_recipe(recipe, out=out, store=Store(store), until="distill", command="")
        # Each content once, for both arms: a question without its cue is that of another problem.
        assert len(server.asked) == 8
    for arm, folder in results.students.items():
        assert largest_difference(folder, local[arm]) < 2e-5
    for path in [*out.rglob("*"), *store.rglob("*")]:
        assert path.is_dir() or b"secret-123" not in path.read_bytes(), path


def test_in_two_contexts_a_server_is_asked_about_what_the_teacher_sees_and_nothing_else(
    cue_pair: Path, tmp_path: Path
) -> None:
    chat = prompt_format_of(
        AutoTokenizer.from_pretrained(cue_pair / "student"), ModelSection(model="student")
    )
    model = AutoModelForCausalLM.from_pretrained(cue_pair / "teacher", dtype=torch.float32)
    with LogprobServer(model, name="big") as server:
        for kept in ("served", "topk"):
            (tmp_path / kept).mkdir()
            how: dict[str, Any] = {"served": {"url": server.url, "model": "big"}, "top_k": 8}
            pair = cue_pair / "student", cue_pair / "teacher", cue_pair
            job = job_of(tmp_path / kept, *pair, teacher=kept, max_steps=2, **how)
            rows = [
                replace(row, teacher_content=row.content.replace(" red", ""))
                for row in job.rows
                if row.counterfactual
            ]
            assert all(" red" in row.content for row in rows)
            run_job(replace(job, rows=rows, steps=plan_steps(rows, job.distill)))
    shown = {tuple(body["prompt"]) for body in server.asked}
    assert shown == {tuple(chat.encode(row.teacher_content, row.response).ids) for row in rows}
    served, local = tmp_path / "served" / "job", tmp_path / "topk" / "job"
    assert largest_difference(served, local) < 2e-5
    # The student is misled by the cue that it sees and its teacher does not.
    assert metrics(served)[0]["kl_counterfactual"] > 1.0


def test_the_number_of_kept_tokens_names_a_student_only_where_some_are_kept(
    cue_pair: Path, store: Path
) -> None:
    found = {
        (kept, k): run(cue_pair, store, teacher=kept, top_k=k, epochs=1).results.students["kd"]
        for kept in ("hidden", "topk")
        for k in (2, 3)
    }
    assert found["hidden", 2] == found["hidden", 3]
    assert found["topk", 2] != found["topk", 3]


def test_a_student_is_named_by_the_server_that_taught_it_and_by_no_key(
    cue_pair: Path, store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TEACHER_KEY", "secret-123")
    model = AutoModelForCausalLM.from_pretrained(cue_pair / "teacher", dtype=torch.float32)
    students = []
    with LogprobServer(model, name="big") as first, LogprobServer(model, name="big") as second:
        for place in ({}, {"key_variable": "TEACHER_KEY", "workers": 1}, {"url": second.url}):
            served = {"url": first.url, "model": "big", **place}
            changes = {"teacher": "served", "top_k": 8, "served": served, "epochs": 1}
            students.append(run(cue_pair, store, **changes).results.students["kd"])
    assert students[0] == students[1] != students[2]


def test_a_server_that_stops_leaves_what_it_answered(
    cue_pair: Path, store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cache_module, "ROWS_A_PART", 2)
    model = AutoModelForCausalLM.from_pretrained(cue_pair / "teacher", dtype=torch.float32)
    left = [5]

    def tire(answer: Answer) -> Answer:
        left[0] -= 1
        return answer if left[0] >= 0 else refusal(400, "no more")

    with LogprobServer(model, name="big", twist=tire) as server:
        served = {"url": server.url, "model": "big", "workers": 1}
        changes = {"teacher": "served", "top_k": 8, "served": served, "epochs": 1}
        with pytest.raises(ServerError, match=r"\(400: no more\)"):
            run(cue_pair, store, **changes)
        left[0] = 99
        server.asked.clear()
        students = run(cue_pair, store, **changes).results.students
    # Two parts of two rows were whole, and the third had its first row.
    assert len(server.asked) == 8 - 5
    assert (students["leaf"] / "done.json").is_file()


def test_plain_cross_entropy_loads_no_teacher_and_keeps_nothing_of_it(
    cue_pair: Path, store: Path, events: list[str]
) -> None:
    students = run(cue_pair, store, teacher="hidden", cross_entropy=1.0).results.students
    assert events == ["train", "train"]
    assert not (store / "teacher").exists()
    for line in metrics(students["kd"]):
        assert line["loss"] == pytest.approx(line["cross_entropy"], rel=1e-9)
        assert line["loss"] > 0.0
        assert line["kl_original"] is None


def parameter_bytes() -> int:
    """Bytes of all parameters alive, each storage once."""
    gc.collect()
    alive = [each for each in gc.get_objects() if isinstance(each, torch.nn.Parameter)]
    return sum({each.untyped_storage().data_ptr(): each.nbytes for each in alive}.values())


def test_a_student_with_adapters_that_teaches_itself_is_in_memory_once(
    cue_pair: Path, tmp_path: Path, events: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    most: list[int] = []
    real = Distiller.backward

    def backward(self: Distiller, *args: Any) -> Any:
        most.append(parameter_bytes())
        return real(self, *args)

    monkeypatch.setattr(Distiller, "backward", backward)
    student = cue_pair / "student"
    weights_bytes = sum(each.nbytes for each in load_file(student / "model.safetensors").values())
    settings = {"tuning": "lora", "lora": {"rank": 1}, "epochs": 1, "anchor": 1.0}
    for tuning in ("lora", "full"):
        folder = tmp_path / tuning
        folder.mkdir()
        job = job_of(folder, student, student, cue_pair, **{**settings, "tuning": tuning})
        rows = [replace(row, anchored=not row.counterfactual) for row in job.rows]
        before = parameter_bytes()
        most.clear()
        run_job(replace(job, rows=rows))
        copies = (max(most) - before) / weights_bytes
        # With full tuning a frozen copy teaches, and is the anchor, too.
        assert copies < 1.3 if tuning == "lora" else 1.9 < copies < 2.1
    assert events == ["train", "+student", "train", "-student"]
    # It learns nothing: its own word on the same prompts is what it says.
    line = metrics(tmp_path / "lora" / "job")[0]
    assert line["kl_original"] == pytest.approx(0.0, abs=1e-6)
    assert line["anchor"] == pytest.approx(0.0, abs=1e-6)


@pytest.mark.parametrize("kept", ["online", "hidden"])
def test_a_student_teaches_itself_in_another_context(
    cue_pair: Path, tmp_path: Path, kept: str
) -> None:
    """No teacher: the student shown the question without the cue, it learns to overlook the cue."""
    student = cue_pair / "student"
    settings = {"tuning": "lora", "batch_size": 8, "max_steps": 60, "learning_rate": 1e-2}
    job = job_of(tmp_path, student, student, cue_pair, teacher=kept, **settings)
    rows = [
        replace(row, teacher_content=row.content.replace(" red", "")) if row.counterfactual else row
        for row in job.rows
    ]
    run_job(replace(job, rows=rows))
    lines = metrics(tmp_path / "job")
    assert lines[0]["kl_original"] < 1e-4
    assert lines[0]["kl_counterfactual"] > 1.0
    assert lines[-1]["kl_counterfactual"] < 0.1
    assert lines[-1]["kl_original"] < 0.1
