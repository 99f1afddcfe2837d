"""TRL's trainer with our loss, on real models."""

from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import TrainerCallback

import leaf
from leaf.errors import DataError, RecipeError, UsageError
from tests.marks import OFFLINE
from trl import SFTConfig

SMOL, SHORT = OFFLINE / "smollm2-135m.gguf", OFFLINE / "smollm2-135m-short"

ROWS: list[dict[str, Any]] = [
    {
        "question": "Ann has 2 pens and buys 3. How many?",
        "response": "2 + 3 = 5",
        "problem_id": "a",
    },
    {"question": "Bo has 7 cups. How many cups?", "response": "7", "problem_id": "b"},
    {
        "question": "Ann has 2 red pens and buys 3.",
        "teacher_question": "Ann has 2 pens and buys 3.",
        "response": "5",
    },
    {"question": "Cy ate 4 of 9 figs. How many are left?", "response": "9 - 4 = 5 figs"},
]


class Noted(TrainerCallback):
    """The loss of every step by `leaf.distillation_loss`, before it is done, and what TRL logs."""

    def __init__(self, student: Any, tokenizer: Any, teacher: leaf.Model, rows: int) -> None:
        self.student = leaf.Model(student, tokenizer)
        self.teacher, self.rows = teacher, rows
        self.expected: list[float] = []

    def on_step_begin(self, args: Any, state: Any, control: Any, **others: Any) -> None:
        first = state.global_step * self.rows % len(ROWS)
        rows = ROWS[first : first + self.rows]
        with torch.no_grad():
            loss = leaf.distillation_loss(self.student, self.teacher, rows, lambda_=0.3)
        self.expected.append(loss.item())


def train(folder: Path, rows: int, accumulated: int) -> tuple[list[float], list[float]]:
    """Train two steps of `rows` rows; return the losses that TRL logs and those of ours."""
    torch.manual_seed(0)
    student = leaf.Model.load(SHORT, dtype="float32")
    teacher = leaf.Model.load(SMOL, dtype="float32")
    student.model.requires_grad_(True)
    noted = Noted(student.model, student.tokenizer, teacher, rows)
    trainer = leaf.trl.LeafTrainer(
        model=student.model,
        teacher=teacher,
        train_dataset=ROWS,
        args=SFTConfig(
            str(folder),
            max_steps=2,
            per_device_train_batch_size=rows // accumulated,
            gradient_accumulation_steps=accumulated,
            learning_rate=1e-3,
            logging_steps=1,
            report_to=[],
            bf16=False,
            use_cpu=True,
            save_strategy="no",
            train_sampling_strategy="sequential",
            gradient_checkpointing=False,
        ),
        processing_class=student.tokenizer,
        distill={"lambda": 0.3},
        callbacks=[noted],
    )
    trainer.train()
    logged = [line["loss"] for line in trainer.state.log_history if "loss" in line]
    return logged, noted.expected


@pytest.mark.real
@pytest.mark.skipif(
    not (SMOL.is_file() and SHORT.is_dir()),
    reason="SmolLM2 is not here: tools/offline_models.py smollm2-135m smollm2-135m-short",
)
def test_each_steps_loss_is_ours_and_accumulation_does_not_change_it(
    own_cache: None, tmp_path: Path
) -> None:
    whole, expected = train(tmp_path / "whole", rows=2, accumulated=1)
    assert whole == pytest.approx(expected, rel=1e-4)
    parts, again = train(tmp_path / "parts", rows=2, accumulated=2)
    assert parts == pytest.approx(again, rel=1e-4)
    # The second loss comes after a step: the gradients were the same, too.
    assert parts == pytest.approx(whole, rel=1e-3)
    assert whole[1] != whole[0]


def test_it_trains_by_trls_defaults(tmp_path: Path) -> None:
    """In bfloat16 and with gradient checkpointing, from float32 weights."""
    folder = "package:playground/models/"
    student = leaf.Model.load(folder + "student", dtype="float32")
    teacher = leaf.Model.load(folder + "teacher", dtype="float32")
    student.model.requires_grad_(True)
    expected = leaf.distillation_loss(student, teacher, ROWS).item()
    trainer = leaf.trl.LeafTrainer(
        model=student.model,
        teacher=teacher,
        train_dataset=ROWS,
        args=SFTConfig(
            str(tmp_path),
            max_steps=2,
            report_to=[],
            use_cpu=True,
            save_strategy="no",
            logging_steps=1,
        ),
        processing_class=student.tokenizer,
    )
    assert trainer.args.bf16
    assert trainer.args.gradient_checkpointing
    trainer.train()
    losses = [line["loss"] for line in trainer.state.log_history if "loss" in line]
    # The forward is in bfloat16, which has 8 bits.
    assert losses[0] == pytest.approx(expected, rel=2e-2)
    assert losses[1] != losses[0]


@pytest.fixture
def tiny(tiny_model: Any, byte_level: Any) -> tuple[Any, Any]:
    model = tiny_model("llama", seed=1, vocab_size=270, dtype=torch.float32)
    return model.requires_grad_(True), byte_level([("a", "n")], "<end>").tokenizer


def settings(folder: Path, **changes: Any) -> SFTConfig:
    return SFTConfig(
        str(folder), report_to=[], bf16=False, use_cpu=True, save_strategy="no", **changes
    )


def test_rows_are_checked_and_longer_ones_are_left_out(
    tiny: tuple[Any, Any], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    model, tokenizer = tiny
    common = {"model": model, "processing_class": tokenizer}
    with pytest.raises(DataError, match="row 0: `response` must be a text"):
        leaf.trl.LeafTrainer(**common, train_dataset=[{"question": "x"}], args=settings(tmp_path))
    with pytest.raises(RecipeError, match="did you mean `temperature`"):
        leaf.trl.LeafTrainer(
            **common, train_dataset=ROWS, args=settings(tmp_path), distill={"temprature": 2.0}
        )
    trainer = leaf.trl.LeafTrainer(
        **common, train_dataset=ROWS, args=settings(tmp_path, max_length=40)
    )
    assert len(trainer.train_dataset) < len(ROWS)
    assert "rows are longer than cutoff (40 tokens): left out" in capfd.readouterr().err


def test_it_evaluates_without_a_teacher_by_cross_entropy(
    tiny: tuple[Any, Any], tmp_path: Path
) -> None:
    model, tokenizer = tiny
    trainer = leaf.trl.LeafTrainer(
        model=model,
        processing_class=tokenizer,
        train_dataset=ROWS,
        eval_dataset=ROWS,
        args=settings(tmp_path, per_device_eval_batch_size=4, max_length=None),
    )
    found = trainer.evaluate()["eval_loss"]
    expected = leaf.distillation_loss(leaf.Model(model, tokenizer), None, ROWS)
    assert found == pytest.approx(expected.item(), rel=1e-4)


def test_without_trl_one_line_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("leaf.trl.find_spec", lambda name: None)
    with pytest.raises(UsageError, match=r'pip install "leaf-distill\[trl\]"'):
        _ = leaf.trl.LeafTrainer
