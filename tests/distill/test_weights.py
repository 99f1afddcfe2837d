"""What each response token weighs: by hand, and in a loss held against full logits in float64."""

from collections.abc import Callable, Sequence
from typing import Any

import pytest
import torch

from leaf.distill import Distiller, Sample, TrainingExample, originals_in, plan_steps
from leaf.distill.ranks import Ranks
from leaf.distill.teacher import online_teacher
from leaf.distill.weights import Amounts, token_weight
from leaf.errors import RecipeError
from leaf.models.files import Source
from leaf.models.load import Loaded
from leaf.models.prompt_format import EncodedExample
from leaf.recipe import DistillSection
from leaf.recipe.reading import check_section


def row(changed: bool = False, weight: float = 1.0, anchored: bool = False) -> TrainingExample:
    return TrainingExample(
        problem_id="a",
        content="",
        response="",
        counterfactual=changed,
        weight=weight,
        anchored=anchored,
    )


# By hand. Two originals of 2 and 4 tokens, the second twice as heavy: 2 + 8 = 10. A changed row of
# 5 tokens that weigh 3 each: 15.
ROWS = [(row(), 2), (row(weight=2.0, anchored=True), 4), (row(changed=True, weight=3.0), 5)]


@pytest.mark.parametrize(
    ("settings", "weights"),
    [
        ({"lambda": 0.4}, [0.4 / 10, 0.4 * 2 / 10, 0.6 * 3 / 15]),
        # One mean over 25.
        ({"lambda": "rows"}, [1 / 25, 2 / 25, 3 / 25]),
        ({"lambda": "add"}, [1 / 10, 2 / 10, 3 / 15]),
        ({"lambda": "add", "changed_weight": 0.5}, [1 / 10, 2 / 10, 0.5 * 3 / 15]),
        # Another key of `add` alone.
        ({"lambda": 0.4, "changed_weight": 0.5}, [0.4 / 10, 0.4 * 2 / 10, 0.6 * 3 / 15]),
    ],
    ids=str,
)
def test_a_tokens_weight_by_hand(settings: dict[str, Any], weights: list[float]) -> None:
    section = DistillSection(**settings)
    amounts = Amounts.of(ROWS)
    found = [token_weight(each, amounts, section.lambda_, section) for each, _ in ROWS]
    assert [one.loss for one in found] == pytest.approx(weights, rel=1e-12)
    assert all(one.anchor == 0 for one in found)


def test_the_anchor_weighs_by_the_tokens_of_anchored_originals_alone() -> None:
    section = DistillSection(anchor=0.7)
    rows = [*ROWS, (row(anchored=True), 2), (row(changed=True, anchored=True), 9)]
    amounts = Amounts.of(rows)
    found = [token_weight(each, amounts, 0.5, section).anchor for each, _ in rows]
    # 4 tokens of weight 2 and 2 of weight 1.
    assert found == pytest.approx([0, 0.7 * 2 / 10, 0, 0.7 / 10, 0], rel=1e-12)


@pytest.mark.parametrize(
    ("lambda_", "originals", "changed"),
    [(0.3, 1.0, 1.0), ("rows", 1.0, 1.0), ("add", 1.0, 0.5)],
)
def test_a_step_of_one_kind_gives_it_what_is_its_own(
    lambda_: Any, originals: float, changed: float
) -> None:
    section = DistillSection(**{"lambda": lambda_, "changed_weight": 0.5})
    for kind, total in ((False, originals), (True, changed)):
        one = row(changed=kind)
        found = token_weight(one, Amounts.of([(one, 4)]), section.lambda_, section)
        assert 4 * found.loss == pytest.approx(total)


def test_rows_of_no_weight_are_as_if_they_were_not_there() -> None:
    section = DistillSection()
    rows = [(row(), 3), (row(changed=True, weight=0.0), 5)]
    amounts = Amounts.of(rows)
    assert [token_weight(each, amounts, 0.5, section).loss for each, _ in rows] == [1 / 3, 0.0]


@pytest.mark.parametrize("value", [1.5, -0.1, "row", True, None])
def test_a_lambda_that_is_none_is_one_line(value: Any) -> None:
    with pytest.raises(
        RecipeError, match=r"`distill\.lambda` must be from 0 to 1, rows or add"
    ) as e:
        check_section(DistillSection, {"lambda": value}, source="x")
    assert "\n" not in str(e.value)


def test_a_named_lambda_goes_nowhere() -> None:
    with pytest.raises(RecipeError, match=r"lambda_end \(0.2\) needs a number as distill.lambda"):
        check_section(DistillSection, {"lambda": "rows", "lambda_end": 0.2}, source="x")


# Held against full logits.


def sample(ids: tuple[int, ...], prompt: int, of: TrainingExample) -> Sample:
    return Sample(row=of, tokens=EncodedExample(ids=ids, prompt_length=prompt))


SAMPLES = [
    sample((5, 9, 22, 7, 31, 40, 3, 18, 2), 6, row(anchored=True)),
    sample((11, 4, 58, 2), 1, row(weight=0.5)),
    sample((7, 8, 9, 30, 2), 3, row(weight=2.0, anchored=True)),
    sample((5, 9, 22, 31, 40, 3, 18, 2), 5, row(changed=True, weight=3.0)),
    sample((11, 58, 2), 1, row(changed=True)),
]
SETTINGS: list[dict[str, Any]] = [
    {"lambda": 0.3},
    {"lambda": "rows"},
    {"lambda": "add", "changed_weight": 0.4},
    {"lambda": 0.3, "cross_entropy": 0.25},
    {"lambda": 0.3, "cross_entropy": 0.25, "cross_entropy_changed": 0.75},
    {"lambda": 0.3, "cross_entropy": 1.0, "cross_entropy_changed": 0.0},
    {"lambda": 0.3, "cross_entropy": 0.0, "cross_entropy_changed": 1.0},
    {"lambda": "rows", "cross_entropy": 1.0},
    {"lambda": 0.3, "anchor": 0.7},
    {"lambda": 0.0, "anchor": 0.7},  # originals weigh in the anchor alone
    {
        "lambda": "add",
        "changed_weight": 0.4,
        "cross_entropy": 0.5,
        "cross_entropy_changed": 1.0,
        "anchor": 2.0,
        "temperature": 2.0,
    },
]


def loaded(model: Any) -> Loaded:
    source = Source(name="tiny", fingerprint="tiny")
    device = torch.device("cpu")
    return Loaded(source=source, model=model, tokenizer=None, device=device, dtype=model.dtype)


@pytest.fixture
def models(tiny_model: Callable[..., Any]) -> list[Any]:
    """A student, a teacher, and what the student is said to have been."""
    return [tiny_model("llama", seed=seed, dtype=torch.float64) for seed in (1, 2, 3)]


def naive(models: Sequence[Any], section: DistillSection) -> torch.Tensor:
    """The loss as METHOD has it, token by token from full logits."""
    sums = {name: [torch.zeros((), dtype=torch.float64), 0.0] for name in ("o", "c", "anchor")}
    for one in SAMPLES:
        ids = torch.tensor([one.tokens.ids])
        log_q, log_p, log_a = (model(input_ids=ids).logits[0] for model in models)
        heat = section.temperature
        for at in range(one.tokens.prompt_length - 1, len(one.tokens.ids) - 1):
            p, q = (torch.softmax(each[at] / heat, -1) for each in (log_p, log_q))
            apart = (p * (p / q).log()).sum() * heat**2
            said = -torch.log_softmax(log_q[at], -1)[one.tokens.ids[at + 1]]
            share = section.cross_entropy
            if one.row.counterfactual and section.cross_entropy_changed is not None:
                share = section.cross_entropy_changed
            loss = (1 - share) * apart + share * said
            terms = [("c" if one.row.counterfactual else "o", loss)]
            if one.row.anchored:
                a, q = (torch.softmax(each[at], -1) for each in (log_a, log_q))
                terms.append(("anchor", (a * (a / q).log()).sum()))
            for name, term in terms:
                sums[name][0] = sums[name][0] + one.row.weight * term
                sums[name][1] += one.row.weight
    (o, n_o), (c, n_c), (anchor, n_a) = (sums[name] for name in ("o", "c", "anchor"))
    if section.lambda_ == "rows":
        total = (o + c) / (n_o + n_c)
    elif section.lambda_ == "add":
        total = o / n_o + section.changed_weight * c / n_c
    else:
        total = section.lambda_ * o / n_o + (1 - section.lambda_) * c / n_c
    return total + section.anchor * anchor / n_a


def gradients(model: Any) -> torch.Tensor:
    return torch.cat([parameter.grad.flatten() for parameter in model.parameters()])


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
def test_loss_and_gradient_equal_naive_float64_however_the_step_is_cut(
    models: list[Any], settings: dict[str, Any]
) -> None:
    student, teacher, before = models
    section = DistillSection(**settings)
    expected = naive([student.requires_grad_(True), teacher, before], section)
    expected.backward()
    theirs = gradients(student)
    for budget in (9, 14, 1000):
        made = Distiller(
            loaded(student),
            online_teacher(loaded(teacher)) if section.needs_teacher else None,
            section.model_copy(update={"token_budget": budget}),
            anchor=online_teacher(loaded(before)),
        )
        found = made.backward(SAMPLES, section.lambda_)
        assert found.loss == pytest.approx(expected.item(), rel=1e-9)
        torch.testing.assert_close(gradients(student), theirs, rtol=1e-7, atol=1e-11)
    # And as one differentiable number.
    student.zero_grad()
    loss = made.loss(SAMPLES, section.lambda_)
    loss.backward()
    assert loss.item() == pytest.approx(expected.item(), rel=1e-9)
    torch.testing.assert_close(gradients(student), theirs, rtol=1e-7, atol=1e-11)


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
def test_two_processes_share_a_step_and_come_to_the_same(
    models: list[Any], settings: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    student, teacher, before = models
    section = DistillSection(token_budget=9, **settings)
    students = online_teacher(loaded(teacher)), online_teacher(loaded(before))

    def made(ranks: Ranks) -> Distiller:
        return Distiller(loaded(student), students[0], section, anchor=students[1], ranks=ranks)

    whole = made(Ranks()).backward(SAMPLES, section.lambda_)
    expected = gradients(student)
    # Each process's sums are kept, and added up as all of them would.
    sums: list[torch.Tensor] = []

    def noted(_: Ranks, values: torch.Tensor) -> torch.Tensor:
        sums.append(values)
        return values

    monkeypatch.setattr(Ranks, "total", noted)
    parts = []
    for rank in (0, 1):
        made(Ranks(rank=rank, world=2)).backward(SAMPLES, section.lambda_)
        parts.append(gradients(student))
    # Sharding takes the mean.
    torch.testing.assert_close((parts[0] + parts[1]) / 2, expected, rtol=1e-8, atol=1e-12)
    total = sums[0] + sums[1]
    monkeypatch.setattr(Ranks, "total", lambda *_: total)
    found = made(Ranks(rank=1, world=2)).backward(SAMPLES, section.lambda_)
    assert found.loss == pytest.approx(whole.loss, rel=1e-9)


@pytest.mark.parametrize(
    ("settings", "tokens"),
    [
        ({}, 9 + 4 + 5 + 8 + 3),
        ({"cross_entropy": 1.0, "cross_entropy_changed": 0.0}, 8 + 3),
        ({"cross_entropy": 0.0, "cross_entropy_changed": 1.0}, 9 + 4 + 5),
        ({"cross_entropy": 1.0}, 0),
    ],
    ids=str,
)
def test_a_teacher_is_asked_only_of_rows_that_are_held_against_it(
    models: list[Any], settings: dict[str, Any], tokens: int
) -> None:
    student, teacher, _ = models
    seen: list[int] = []

    def counted(_: Any, inputs: Any, options: dict[str, Any]) -> None:
        seen.append(options["input_ids"].numel())

    section = DistillSection(**settings)
    made = Distiller(loaded(student), online_teacher(loaded(teacher)), section)
    made.backward(SAMPLES, 0.5)  # and finds out about the model
    teacher.model.register_forward_pre_hook(counted, with_kwargs=True)
    found = made.backward(SAMPLES, 0.5)
    assert sum(seen) == tokens
    assert (found.kl_original is None) == (section.cross_entropy == 1.0)
    assert (found.kl_counterfactual is None) == (section.cross_entropy_of(changed=True) == 1.0)


def test_the_parts_are_plain_means_whatever_rows_weigh(models: list[Any]) -> None:
    student, teacher, before = models
    section = DistillSection(anchor=1.0)
    made = Distiller(
        loaded(student),
        online_teacher(loaded(teacher)),
        section,
        anchor=online_teacher(loaded(before)),
    )
    found = made.backward(SAMPLES, 0.5)
    light = [
        Sample(row=row(one.row.counterfactual, 1.0, one.row.anchored), tokens=one.tokens)
        for one in SAMPLES
    ]
    other = made.backward(light, 0.5)
    assert found.loss != other.loss
    assert found.kl_original == pytest.approx(other.kl_original)
    assert found.anchor == pytest.approx(other.anchor)


# Equal steps, or equal passes over the originals.


def test_as_many_originals_are_seen_as_in_the_plan_that_they_are_counted_of() -> None:
    def of(name: int, changed: bool) -> TrainingExample:
        return TrainingExample(
            problem_id=str(name), content="", response="", counterfactual=changed
        )

    originals = [of(n, False) for n in range(10)]
    whole = [*originals, *(of(n, True) for n in range(10))]
    section = DistillSection(batch_size=4, epochs=3)
    plan = plan_steps(whole, section)
    # Three passes over 10 originals, beside 10 changed questions: 15 steps of two pairs.
    assert (len(plan), originals_in(whole, plan)) == (15, 30)
    kd = plan_steps(originals, section, originals=30)
    # Three passes of three steps each (4, 4, 2).
    assert (len(kd), originals_in(originals, kd)) == (9, 30)
    # A limit on LeaF's steps limits both: four steps of it see 8 originals, two steps of KD do.
    few = section.model_copy(update={"max_steps": 4})
    assert originals_in(whole, plan_steps(whole, few)) == 8
    assert len(plan_steps(originals, few, originals=8)) == 2


def test_rows_without_an_original_are_planned_by_passes() -> None:
    rows = [row(changed=True)] * 3
    section = DistillSection(batch_size=1, batching="mixed", epochs=2)
    assert len(plan_steps(rows, section, originals=5)) == 6
