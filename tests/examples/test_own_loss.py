"""The loss of the example holds what every loss of the package holds."""

from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest
import torch
from torch import Tensor

from leaf.distill.losses import LOSSES
from leaf.distill.losses.loss import Loss
from leaf.distill.targets import of_outcomes, to_logits, with_rest
from leaf.pipeline.cache_keys import student_settings
from leaf.recipe import DistillSection
from leaf.recipe.reading import load_recipe


@pytest.fixture
def hellinger(example: Callable[[str], ModuleType]) -> Iterator[Loss]:
    example("own_loss")
    yield LOSSES["hellinger"](DistillSection())
    del LOSSES["hellinger"]


@pytest.fixture
def logits() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    made = 3 * torch.randn(2, 7, 40, generator=generator, dtype=torch.float64)
    return made[0], made[1]


def plain(q: Tensor, p: Tensor) -> Tensor:
    """Return 1/2 sum_j (sqrt p_j - sqrt q_j)^2, the other way to write it."""
    return 0.5 * (p.sqrt() - q.sqrt()).square().sum(-1)


def test_value_and_slope_equal_autograd_over_the_written_formula(
    hellinger: Loss, logits: tuple[Tensor, Tensor]
) -> None:
    student, teacher = logits
    student.requires_grad_()
    expected = plain(student.softmax(-1), teacher.softmax(-1))
    expected.sum().backward()
    log_student = student.detach().log_softmax(-1)

    loss, slope = hellinger(log_student, teacher.log_softmax(-1))

    torch.testing.assert_close(loss, expected.detach(), rtol=1e-10, atol=1e-12)
    torch.testing.assert_close(to_logits(slope, log_student), student.grad, rtol=1e-9, atol=1e-12)


def test_value_and_slope_over_a_few_tokens_and_the_rest(
    hellinger: Loss, logits: tuple[Tensor, Tensor]
) -> None:
    student, teacher = logits
    student.requires_grad_()
    ids = teacher.topk(4).indices

    def outcomes(values: Tensor) -> Tensor:
        p = values.softmax(-1).gather(1, ids)
        return torch.cat([p, 1 - p.sum(-1, keepdim=True)], dim=1)

    expected = plain(outcomes(student), outcomes(teacher))
    expected.sum().backward()
    log_student = student.detach().log_softmax(-1)
    log_teacher = with_rest(teacher.log_softmax(-1).gather(1, ids))

    loss, slope = of_outcomes(log_student, ids, log_teacher, hellinger)

    torch.testing.assert_close(loss, expected.detach(), rtol=1e-9, atol=1e-12)
    torch.testing.assert_close(slope, student.grad, rtol=1e-8, atol=1e-11)


def test_it_is_no_larger_when_outcomes_are_merged(
    hellinger: Loss, logits: tuple[Tensor, Tensor]
) -> None:
    log_student, log_teacher = (values.log_softmax(-1) for values in logits)
    ids = logits[1].topk(4).indices

    merged, _ = of_outcomes(log_student, ids, with_rest(log_teacher.gather(1, ids)), hellinger)

    assert (merged <= hellinger(log_student, log_teacher)[0] + 1e-12).all()


def test_loss_and_slope_are_zero_where_both_agree(
    hellinger: Loss, logits: tuple[Tensor, Tensor]
) -> None:
    log = logits[0].log_softmax(-1)

    loss, slope = hellinger(log, log)

    assert loss.abs().max() < 1e-12
    assert to_logits(slope, log).abs().max() < 1e-12


def test_a_hand_derived_pair(hellinger: Loss) -> None:
    """p = (1, 0), q = (1/4, 3/4): 1 - sqrt(1/4) = 1/2."""
    log_student = torch.log(torch.tensor([[0.25, 0.75]]))
    log_teacher = torch.log(torch.tensor([[1.0, 0.0]]))

    loss, _ = hellinger(log_student, log_teacher)

    assert loss.item() == pytest.approx(0.5)


def test_the_student_that_it_trains_is_named_by_the_file_it_stands_in(
    hellinger: Loss, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = load_recipe("demo", ["distill.loss=hellinger"])

    def code() -> str:
        settings = student_settings(
            recipe.distill,
            recipe.student,
            recipe.teacher,
            counterfactuals=True,
            one_tokenizer=True,
        )
        return str(settings.get("code"))

    before = code()
    monkeypatch.setattr("inspect.getsource", lambda _: "another formula")

    assert before != "None"
    assert code() != before


def test_the_example_trains_with_both_losses(
    example: Callable[[str], ModuleType], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    example("own_loss").main(tmp_path)
    printed = capsys.readouterr().out
    del LOSSES["hellinger"]

    assert "kl: " in printed
    assert "hellinger: " in printed
    assert (tmp_path / "hellinger" / "student" / "config.json").is_file()
