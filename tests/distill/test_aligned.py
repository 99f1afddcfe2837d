"""A teacher with another tokenizer, held against a naive float64 version that autograd follows."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch

from leaf.distill.align import Aligner
from leaf.distill.aligned import AlignedTargets, AlignedTeacher, Layout, event_loss
from leaf.distill.buckets import Buckets
from leaf.distill.objective import Objective, chosen_loss
from leaf.distill.rows import TrainingExample
from leaf.distill.sample import Sample, encode_rows
from leaf.errors import LeafError
from leaf.losses import LOSSES
from leaf.models.fused_loss import linear_loss
from leaf.models.output_head import backbone, output_head
from leaf.models.prompt_format import PromptFormat
from leaf.models.vocabulary import common_tokens
from leaf.recipe import DistillSection

STUDENT = [("o", "n"), ("c", "a"), ("ca", "b"), ("Ġ", "a")]
TEACHER = [("Ġ", "a"), ("a", "b"), ("c", "a"), ("Ġa", "b")]
LONGER = {"on": "o", "cab": "c", "ab": "a", "Ġab": "Ġa"}
"""Tokens of one model alone, and the common one that the other would say first."""

ROWS = [("ab", "cab on a cab"), ("x", "on"), ("on", " ab, a cabon")]
"""Prompts and responses. The first is [cab] [ ] [on] [ a] [ ] [cab] to the student and
[c ab] [ ] [o n] [ a] [ ] [c ab] to the teacher."""


def formula(name: str, p: torch.Tensor, q: torch.Tensor) -> torch.Tensor:
    """The losses as they stand in papers, p the teacher: plain sums over probabilities."""

    def kl(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        return (a * (a / b).log()).sum()

    if name == "jsd":
        m = 0.3 * p + 0.7 * q
        return 0.3 * kl(p, m) + 0.7 * kl(q, m)
    return {
        "kl": lambda: kl(p, q),
        "reverse_kl": lambda: kl(q, p),
        "skew_kl": lambda: kl(p, 0.2 * p + 0.8 * q),
        "tv": lambda: (p - q).abs().sum() / 2,
    }[name]()


class Case:
    """Two tiny models with vocabularies of their own."""

    def __init__(self, tiny_model: Any, byte_level: Any) -> None:
        self.chats: tuple[PromptFormat, PromptFormat] = (
            byte_level(STUDENT, "<end>"),
            byte_level(TEACHER, "</s>"),
        )
        sizes = {"vocab_size": 262, "hidden_size": 8}
        self.student = tiny_model("llama", seed=1, dtype=torch.float64, **sizes)
        # A teacher's output head may have more entries than its tokenizer has tokens.
        self.teacher = tiny_model("qwen2", seed=2, dtype=torch.float64, vocab_size=270)
        self.common = common_tokens(*self.chats)
        rows = [
            TrainingExample(
                problem_id=str(at), content=content, response=response, counterfactual=False
            )
            for at, (content, response) in enumerate(ROWS)
        ]
        aligner = Aligner(*self.chats, self.common)
        self.samples, _ = encode_rows(self.chats[0], rows, 99, aligner)

    def hidden(self, of: str) -> torch.Tensor:
        """The hidden states before each response token, row after row."""
        parts = []
        for sample in self.samples:
            assert sample.aligned
            item = sample.tokens if of == "student" else sample.aligned.tokens
            model = self.student if of == "student" else self.teacher
            states = backbone(model)(input_ids=torch.tensor([item.ids])).last_hidden_state[0]
            parts.append(states[item.prompt_length - 1 : -1])
        return torch.cat(parts)

    def targets(self, loss: str, chunk: int) -> AlignedTargets:
        teacher = AlignedTeacher(
            states=lambda items: self.hidden("teacher"),
            head=output_head(self.teacher),
            buckets=Buckets(self.common, 262, 270, torch.device("cpu")),
            vocabulary=262,
            chunk=chunk,
        )
        section = DistillSection(loss=loss, jsd_beta=0.3, skew=0.2)
        return teacher.targets(
            self.samples,
            loss=chosen_loss(section),
            temperature=1.0,
            vocabulary=262,
            device=torch.device("cpu"),
        )

    def naive(self, loss: str) -> torch.Tensor:
        """The sum of all pieces' losses, from full logits and tokens' names alone."""
        total = torch.zeros((), dtype=torch.float64)
        for sample in self.samples:
            assert sample.aligned
            said: list[list[tuple[str, torch.Tensor]]] = []
            for chat, model, item in zip(
                self.chats,
                (self.student, self.teacher),
                (sample.tokens, sample.aligned.tokens),
                strict=True,
            ):
                logits = model(input_ids=torch.tensor([item.ids])).logits[0]
                names: Any = chat.tokenizer
                ids = item.ids[item.prompt_length :]
                words = names.convert_ids_to_tokens(list(ids))
                said.append(
                    [
                        (word, torch.softmax(logits[item.prompt_length - 1 + at], -1))
                        for at, word in enumerate(words)
                    ]
                )
            total = total + sum(self.piece(loss, *piece) for piece in cut(*said))
        return total

    def piece(self, loss: str, ours: list[Any], theirs: list[Any]) -> torch.Tensor:
        last = (ours[0][0], theirs[0][0]) == ("<end>", "</s>")
        if len(ours) == len(theirs) == 1 and (last or ours[0][0] == theirs[0][0]):
            q = self.bucketed(0, ours[0][1])
            p = self.bucketed(1, theirs[0][1])
        else:
            q, p = (self.event(side, said) for side, said in ((0, ours), (1, theirs)))
        return formula(loss, p.detach(), q)

    def event(self, side: int, said: list[Any]) -> torch.Tensor:
        ids = [self.chats[side].tokenizer.get_vocab()[word] for word, _ in said]
        chance = torch.stack([p[at] for at, (_, p) in zip(ids, said, strict=True)]).prod()
        return torch.stack([chance, 1 - chance])

    def bucketed(self, side: int, p: torch.Tensor) -> torch.Tensor:
        names: Any = self.chats[side].tokenizer
        buckets: dict[str, list[torch.Tensor]] = {}
        for token, chance in enumerate(p):
            word = str(names.convert_ids_to_tokens([token])[0]) if token < len(names) else "rest"
            word = LONGER.get(word, word)
            word = {"</s>": "end", "<end>": "end", "<pad>": "rest"}.get(word, word)
            buckets.setdefault(word, []).append(chance)
        return torch.stack([torch.stack(buckets[word]).sum() for word in sorted(buckets)])


def cut(ours: list[Any], theirs: list[Any]) -> list[tuple[list[Any], list[Any]]]:
    """Cut two lists of (word, ...) where both have said as many characters."""
    pieces = []
    while ours:
        own, other = 1, 1
        while length(ours[:own]) != length(theirs[:other]):
            if length(ours[:own]) < length(theirs[:other]):
                own += 1
            else:
                other += 1
        pieces.append((ours[:own], theirs[:other]))
        ours, theirs = ours[own:], theirs[other:]
    assert not theirs
    return pieces


def length(said: list[Any]) -> int:
    return sum(0 if word in {"<end>", "</s>"} else len(word) for word, *_ in said)


@pytest.fixture
def case(tiny_model: Any, byte_level: Any) -> Case:
    return Case(tiny_model, byte_level)


def gradients(model: Any) -> torch.Tensor:
    return torch.cat([parameter.grad.flatten() for parameter in model.parameters()])


def run(case: Case, targets: AlignedTargets, chunk: int) -> tuple[torch.Tensor, Objective]:
    case.student.requires_grad_(True)
    hidden_RD = case.hidden("student")
    labels = [sample.tokens.ids[sample.tokens.prompt_length :] for sample in case.samples]
    labels_R = torch.tensor([token for row in labels for token in row])
    objective = Objective(targets, labels_R, share=0.0, temperature=1.0, dtype=torch.float64)
    head = replace(output_head(case.student), weight=case.student.get_output_embeddings().weight)
    objective.look_at(hidden_RD, head)
    total, _ = linear_loss(
        hidden_RD, head, objective, torch.ones(len(labels_R), dtype=torch.float64), chunk=chunk
    )
    return total, objective


@pytest.mark.parametrize("chunk", [1, 3, 100])
@pytest.mark.parametrize("loss", sorted(LOSSES))
def test_loss_and_gradient_equal_a_naive_version(case: Case, loss: str, chunk: int) -> None:
    total, _ = run(case, case.targets(loss, chunk), chunk)
    total.backward()
    ours = gradients(case.student)
    case.student.zero_grad()
    expected = case.naive(loss)
    expected.backward()
    assert total.item() == pytest.approx(expected.item(), rel=1e-9)
    torch.testing.assert_close(ours, gradients(case.student), rtol=1e-7, atol=1e-10)


def test_the_rows_hold_pairs_and_events_of_every_shape(case: Case) -> None:
    shapes = {
        (len(piece.student), len(piece.teacher), piece.pair)
        for sample in case.samples
        if sample.aligned
        for piece in sample.aligned.pieces
    }
    assert {(1, 1, True), (1, 2, False), (2, 1, False)} <= shapes


def test_an_events_loss_stands_at_its_last_token(case: Case) -> None:
    # Row 3 begins with " ab": [ a] [b] to the student, one token to the teacher.
    case.samples = case.samples[2:]
    _, objective = run(case, case.targets("kl", 100), 100)
    assert objective.divergence_R[0] == 0
    assert objective.divergence_R[1] > 0


def test_the_mass_of_pairs_is_the_teachers_chance_of_common_tokens(case: Case) -> None:
    targets = case.targets("kl", 100)
    run(case, targets, 100)
    expected = []
    for place in targets.layout.pairs_R.tolist():
        logits = output_head(case.teacher).weight @ case.hidden("teacher")[place]
        p = torch.softmax(logits, -1)
        expected.append(float(p[list(case.common.teacher)].sum()) if place >= 0 else 0.0)
    assert targets.mass_R.tolist() == pytest.approx(expected, rel=1e-6)


def test_the_loss_is_zero_where_both_models_are_one(tiny_model: Any, byte_level: Any) -> None:
    case = Case(tiny_model, byte_level)
    case.chats = (case.chats[0], case.chats[0])
    case.teacher, case.common = case.student, common_tokens(*case.chats)
    aligner = Aligner(*case.chats, case.common)
    case.samples, _ = encode_rows(case.chats[0], [s.row for s in case.samples], 99, aligner)
    targets = case.targets("kl", 100)
    targets.buckets = Buckets(case.common, 262, 262, torch.device("cpu"))
    total, _ = run(case, targets, 100)
    assert total.item() == pytest.approx(0.0, abs=1e-12)


def test_an_event_that_is_all_but_certain_has_a_finite_loss_and_slope() -> None:
    log_q = torch.tensor([-1e-12, 0.0, -200.0, -1e-12])
    log_p = torch.tensor([-1e-12, -3.0, -1e-12, -200.0])
    for name in LOSSES:
        loss_E, slope_E = event_loss(log_q, log_p, chosen_loss(DistillSection(loss=name)))
        assert torch.isfinite(loss_E).all()
        assert torch.isfinite(slope_E).all()


def test_an_events_slope_by_hand() -> None:
    # P = 1/2, Q = 1/4. KL = 1/2 ln 2 + 1/2 ln(2/3); d/dQ = -1/2 / Q + 1/2 / (1 - Q) = -4/3.
    log_q, log_p = torch.tensor([0.25]).log(), torch.tensor([0.5]).log()
    loss_E, slope_E = event_loss(log_q, log_p, LOSSES["kl"])
    assert loss_E.item() == pytest.approx(0.1438, abs=1e-4)
    assert slope_E.item() == pytest.approx(-4 / 3 * 0.25)


def test_the_example_of_the_module() -> None:
    # Q = 0.5 x 0.8, P = 0.9: 0.9 ln(0.9 / 0.4) + 0.1 ln(0.1 / 0.6), and -(P - Q) / (1 - Q).
    log_q, log_p = torch.tensor([0.5 * 0.8]).log(), torch.tensor([0.9]).log()
    loss_E, slope_E = event_loss(log_q, log_p, LOSSES["kl"])
    assert loss_E.item() == pytest.approx(0.551, abs=1e-3)
    assert slope_E.item() == pytest.approx(-0.833, abs=1e-3)


def test_rows_are_aligned_where_there_is_an_aligner(
    byte_level: Callable[..., PromptFormat],
) -> None:
    student, teacher = byte_level(STUDENT, "<end>"), byte_level(TEACHER, "</s>")
    aligner = Aligner(student, teacher, common_tokens(student, teacher))
    row = TrainingExample(
        problem_id="a", content="x", response="cabcab", counterfactual=False, response_prefix="o"
    )
    (sample,), _ = encode_rows(student, [row], 99, aligner)
    assert sample.aligned == aligner("x", "cabcab", "o")
    (alone,), _ = encode_rows(student, [row], 99)
    assert alone == Sample(row=row, tokens=sample.tokens)


def test_a_temperature_is_refused(case: Case) -> None:
    teacher = AlignedTeacher(
        states=lambda items: case.hidden("teacher"),
        head=output_head(case.teacher),
        buckets=Buckets(case.common, 262, 270, torch.device("cpu")),
        vocabulary=262,
        chunk=8,
    )
    with pytest.raises(LeafError, match="temperature is 1"):
        teacher.targets(
            case.samples,
            loss=LOSSES["kl"],
            temperature=2.0,
            vocabulary=262,
            device=torch.device("cpu"),
        )


def test_layout_numbers_the_positions_of_all_rows(case: Case) -> None:
    items = [sample.tokens for sample in case.samples]
    rows = [sample.aligned for sample in case.samples if sample.aligned]
    layout = Layout.of(rows, items, torch.device("cpu"))
    assert len(layout.pairs_R) == sum(item.response_length for item in items)
    assert len(layout.events_M) == sum(row.tokens.response_length for row in rows)
    # The end of the first turn: the student's position and the teacher's are their rows' last.
    last = items[0].response_length - 1
    assert layout.pairs_R[last] == rows[0].tokens.response_length - 1
