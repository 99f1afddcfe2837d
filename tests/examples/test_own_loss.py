"""The loss of the example holds what every loss of the package holds."""

from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest
import torch
from torch import Tensor

from leaf.distill.objective import chosen_loss
from leaf.distill.targets import outcomes, with_rest
from leaf.losses import LOSSES, Formula
from leaf.pipeline.students import student_settings
from leaf.recipe import DistillSection
from leaf.recipe.reading import load_recipe


@pytest.fixture
def hellinger(example: Callable[[str], ModuleType]) -> Iterator[Formula]:
    example("own_loss")
    yield chosen_loss(DistillSection(loss="hellinger"))
    del LOSSES["hellinger"]


@pytest.fixture
def logits() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    made = 3 * torch.randn(2, 7, 40, generator=generator, dtype=torch.float64)
    return made[0].requires_grad_(), made[1]


def plain(q: Tensor, p: Tensor) -> Tensor:
    """Return 1/2 sum_j (sqrt p_j - sqrt q_j)^2, the other way to write it."""
    return 0.5 * (p.sqrt() - q.sqrt()).square().sum(-1)


def test_value_and_slope_equal_those_of_the_other_way_to_write_it(
    hellinger: Formula, logits: tuple[Tensor, Tensor]
) -> None:
    student, teacher = logits
    expected = plain(student.softmax(-1), teacher.softmax(-1))

    loss = hellinger(student.log_softmax(-1), teacher.log_softmax(-1))

    torch.testing.assert_close(loss, expected, rtol=1e-10, atol=1e-12)
    slopes = [torch.autograd.grad(values.sum(), student)[0] for values in (loss, expected)]
    torch.testing.assert_close(*slopes, rtol=1e-9, atol=1e-12)


def test_it_is_no_larger_when_outcomes_are_merged(
    hellinger: Formula, logits: tuple[Tensor, Tensor]
) -> None:
    log_student, log_teacher = (values.log_softmax(-1) for values in logits)
    ids = logits[1].topk(4).indices

    merged = hellinger(outcomes(log_student, ids), with_rest(log_teacher.gather(1, ids)))

    assert (merged <= hellinger(log_student, log_teacher) + 1e-11).all()


def test_it_is_zero_where_both_agree(hellinger: Formula, logits: tuple[Tensor, Tensor]) -> None:
    log = logits[0].log_softmax(-1)

    assert hellinger(log, log.detach()).abs().max() < 1e-12


def test_hand_derived_pairs(hellinger: Formula) -> None:
    """p = (1, 0), q = (1/4, 3/4): 1 - sqrt(1/4) = 1/2, and with share 1 it is 1 - sum q = 0."""
    log_student = torch.log(torch.tensor([[0.25, 0.75]]))
    log_teacher = torch.log(torch.tensor([[1.0, 1e-30]]))
    whole = chosen_loss(DistillSection(loss="hellinger", loss_options={"share": 1.0}))

    assert hellinger(log_student, log_teacher).item() == pytest.approx(0.5)
    assert whole(log_student, log_teacher).item() == pytest.approx(0.0, abs=1e-6)


def test_the_student_that_it_trains_is_named_by_its_file_and_its_options(
    hellinger: Formula, monkeypatch: pytest.MonkeyPatch
) -> None:
    def settings(*words: str) -> dict[str, object]:
        recipe = load_recipe("demo", ["distill.loss=hellinger", *words])
        return student_settings(
            recipe.distill,
            recipe.student,
            recipe.teacher,
            counterfactuals=True,
            one_tokenizer=True,
        )

    before = settings()
    assert before["code"]
    assert "loss_options" not in before
    assert settings("distill.loss_options={share: 0.4}")["loss_options"] == {"share": 0.4}
    monkeypatch.setattr("inspect.getsource", lambda _: "another formula")
    assert settings()["code"] != before["code"]


def test_the_example_trains_with_both_losses(
    example: Callable[[str], ModuleType], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    example("own_loss").main(tmp_path)
    printed = capsys.readouterr().out
    del LOSSES["hellinger"]

    assert "kl: " in printed
    assert "hellinger: " in printed
    assert (tmp_path / "hellinger" / "student" / "config.json").is_file()
