"""Student and teacher each see a prompt of their own, and are compared on the same response."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from tokenizers.pre_tokenizers import ByteLevel

from leaf.distill import Distiller, Sample, TrainingExample, counterfactual_rows, encode_rows
from leaf.distill.align import Aligner
from leaf.distill.aligned import AlignedTeacher
from leaf.distill.cache import TeacherCache, fill, read_head, write_head
from leaf.distill.keep import keep_states, keep_tops
from leaf.distill.sample import OTHER_TOKENS
from leaf.distill.teacher import (
    HiddenTeacher,
    OnlineStates,
    Teacher,
    TopKTeacher,
    computed_once,
    online_teacher,
)
from leaf.models import packing
from leaf.models.files import Source
from leaf.models.load import Loaded
from leaf.models.output_head import output_head
from leaf.models.prompt_format import EncodedExample, PromptFormat
from leaf.models.vocabulary import common_tokens
from leaf.recipe import DistillSection
from leaf.records import Counterfactual, Problem, Span
from leaf.store.keys import plain

CPU = torch.device("cpu")


def span(question: str, text: str) -> Span:
    start = question.index(text)
    return Span(start=start, end=start + len(text), text=text, gap=0.0, units=1)


X = "Ann has 2 pens. It rains. How many?"
CUT = "Ann has 2 pens. How many?"
PROBLEM = Problem(id="a", question=X, answer="2", solution="2", before="<", after=">")
PLACE = Span(start=15, end=15, text="", gap=0.0, units=0)
CHANGED = {
    "cut": Counterfactual(
        id="a/cf0", problem_id="a", strategy="span", spans=(span(X, " It rains."),), question=CUT
    ),
    "collective": Counterfactual(
        id="a/cf1",
        problem_id="a",
        strategy="collective",
        spans=(span(X, " 2"), span(X, " It rains.")),
        question="Ann has pens. How many?",
    ),
    "insertion": Counterfactual(
        id="a/tp0",
        problem_id="a",
        strategy="transplant",
        spans=(PLACE,),
        question="Ann has 2 pens. Bo is 7. It rains. How many?",
        inserted="Bo is 7.",
        donor="b/cf0",
    ),
    "replacement": Counterfactual(
        id="a/tp1",
        problem_id="a",
        strategy="transplant",
        spans=(span(X, " It rains."),),
        question="Ann has 2 pens. Bo is 7. How many?",
        inserted="Bo is 7.",
        donor="b/cf0",
    ),
    "substitute": Counterfactual(
        id="a/sb0",
        problem_id="a",
        strategy="substitute",
        spans=(span(X, " It rains."),),
        question="Ann has 2 pens. It is so. How many?",
        inserted=" It is so.",
    ),
}


# The rows.


@pytest.mark.parametrize(
    ("kind", "student", "teacher"),
    [
        ("cut", X, CUT),
        ("collective", X, "Ann has pens. How many?"),
        ("insertion", "Ann has 2 pens. Bo is 7. It rains. How many?", X),
        ("replacement", "Ann has 2 pens. Bo is 7. How many?", CUT),
        ("substitute", "Ann has 2 pens. It is so. How many?", CUT),
    ],
)
def test_the_student_sees_the_distractor_and_the_teacher_the_question_without_it(
    kind: str, student: str, teacher: str
) -> None:
    item = CHANGED[kind]
    (row,) = counterfactual_rows({"a": PROBLEM}, {"a": "y"}, [item], teacher_sees="cut")
    assert (row.content, row.teacher_content) == (f"<{student}>", f"<{teacher}>")
    assert (row.counterfactual, row.two_contexts) == (True, True)


@pytest.mark.parametrize("kind", CHANGED)
def test_with_same_both_see_the_changed_question_and_the_row_is_named_as_before(kind: str) -> None:
    (row,) = counterfactual_rows({"a": PROBLEM}, {"a": "y"}, [CHANGED[kind]])
    assert row.content == f"<{CHANGED[kind].question}>"
    assert not row.two_contexts
    assert plain(row).keys() == {"problem_id", "content", "response", "counterfactual"}


def test_at_response_level_the_beginning_of_the_response_is_what_differs() -> None:
    within = Problem(
        id="a/r1", prompt="How many?", before="One. ", question="Two red.", answer="4", solution="4"
    )
    kept = Counterfactual(
        id="a/r1/cf0",
        problem_id="a/r1",
        strategy="span",
        spans=(span("Two red.", " red"),),
        question="Two.",
    )
    (row,) = counterfactual_rows(
        {"a/r1": within}, {"a/r1": " Four."}, [kept], {"a/r1": "a"}, teacher_sees="cut"
    )
    assert (row.content, row.response_prefix) == ("How many?", "One. Two red.")
    assert (row.teacher_content, row.teacher_prefix) == ("", "One. Two.")
    assert row.to_teacher == ("How many?", "One. Two.")


# Their tokens.


def row(content: str, response: str, **teacher: str) -> TrainingExample:
    return TrainingExample(
        problem_id="a", content=content, response=response, counterfactual=True, **teacher
    )


@pytest.fixture
def chat(byte_level: Callable[..., PromptFormat]) -> PromptFormat:
    return byte_level([("c", "a"), ("ca", "b"), ("o", "n")], "<end>")


def test_both_models_are_shown_the_same_response_tokens(chat: PromptFormat) -> None:
    (sample,), left_out = encode_rows(chat, [row("on cab on", "cab", teacher_content="on")], 99)
    assert not left_out
    ours, theirs = sample.tokens, sample.teacher_tokens
    assert ours == chat.encode("on cab on", "cab")
    assert theirs == chat.encode("on", "cab")
    assert ours.ids[ours.prompt_length :] == theirs.ids[theirs.prompt_length :]


def test_a_row_whose_response_falls_into_other_tokens_is_left_out_with_the_reason(
    byte_level: Callable[..., PromptFormat],
) -> None:
    torn = byte_level([("c", "a"), ("ca", "b")], "<end>")
    # A text that is tokenised by itself gets a space. "b" goes on after "o"; after "ca" it would
    # make another token of the prompt, so it stands by itself there.
    tokenizer: Any = torn.tokenizer
    tokenizer.backend_tokenizer.pre_tokenizer = ByteLevel(add_prefix_space=True)
    item = row("x", "b", response_prefix="o", teacher_prefix="ca")
    samples, (left_out,) = encode_rows(torn, [item], 99)
    assert not samples
    assert (left_out.row, left_out.reason) == (item, OTHER_TOKENS)
    # What is left out does not depend on who the teacher is.
    aligner = Aligner(torn, torn, common_tokens(torn, torn))
    assert encode_rows(torn, [item], 99, aligner)[1] == [left_out]


def test_the_cutoff_counts_the_longer_of_both_prompts(chat: PromptFormat) -> None:
    short, long = "x", "x" * 20
    tokens = len(chat.encode(long, "on").ids)
    for item in (row(long, "on", teacher_content=short), row(short, "on", teacher_content=long)):
        ((kept,), none), (nothing, (left_out,)) = (
            encode_rows(chat, [item], cutoff) for cutoff in (tokens, tokens - 1)
        )
        assert (kept.longest, none, nothing) == (tokens, [], [])
        assert left_out.reason == f"longer than distill.cutoff of {tokens - 1} tokens"


# The loss.


def sample(student: tuple[int, ...], teacher: tuple[int, ...] | None, response: Any) -> Sample:
    """A row with these prompts; one prompt makes it an original."""
    item, other = (
        EncodedExample(ids=(*prompt, *response), prompt_length=len(prompt))
        for prompt in (student, teacher or student)
    )
    named = TrainingExample(problem_id="a", content="", response="", counterfactual=bool(teacher))
    return Sample(row=named, tokens=item, apart=other if teacher else None)


SAMPLES = [
    sample((5, 9, 22, 7), None, (40, 3, 18, 2)),
    # Two insertions into it: the teacher sees the original.
    sample((5, 9, 31, 32, 33, 22, 7), (5, 9, 22, 7), (40, 3, 18, 2)),
    sample((5, 30, 9, 22, 7), (5, 9, 22, 7), (40, 3, 18, 2)),
    sample((11, 4), None, (58, 2)),
    # A cut: the student sees the whole question. And a teacher with the longer prompt.
    sample((11, 4), (11,), (58, 2)),
    sample((6,), (6, 7, 8, 9, 10), (58, 44, 2)),
]


def loaded(model: Any) -> Loaded:
    source = Source(name="tiny", fingerprint="tiny")
    return Loaded(source=source, model=model, tokenizer=None, device=CPU, dtype=model.dtype)


@pytest.fixture
def models(tiny_model: Callable[..., Any]) -> tuple[Any, Any]:
    return (
        tiny_model("llama", seed=1, dtype=torch.float64),
        tiny_model("llama", seed=2, dtype=torch.float64, num_hidden_layers=3),
    )


def naive(models: Sequence[Any], lambda_: float) -> torch.Tensor:
    """L from full logits, one forward a model and row; positions by number in the response."""
    kinds: tuple[list[torch.Tensor], list[torch.Tensor]] = ([], [])
    for one in SAMPLES:
        said = []
        for model, item in zip(models, (one.tokens, one.apart or one.tokens), strict=True):
            logits = model(input_ids=torch.tensor([item.ids])).logits[0]
            said.append(torch.softmax(logits[item.prompt_length - 1 : -1], -1))
        q_RV, p_RV = said
        for number in range(len(q_RV)):
            p, q = p_RV[number], q_RV[number]
            kinds[one.row.counterfactual].append((p * (p / q).log()).sum())
    return lambda_ * torch.stack(kinds[0]).mean() + (1 - lambda_) * torch.stack(kinds[1]).mean()


def gradients(model: Any) -> torch.Tensor:
    return torch.cat([parameter.grad.flatten() for parameter in model.parameters()])


def teachers(model: Any, folder: Path) -> dict[str, Teacher]:
    """The same teacher in memory, by kept hidden states and by all of its tokens."""
    items = [one.teacher_tokens for one in SAMPLES]
    states, head = OnlineStates(loaded(model)), output_head(model)
    for kind in ("hidden", "topk"):
        (folder / kind).mkdir()
    hidden = TeacherCache(folder / "hidden", "key", "hidden")
    tops = TeacherCache(folder / "topk", "key", "topk")
    write_head(hidden.folder, head)
    fill(hidden, items, keep_states(states, token_budget=20), lambda _: None)
    produce = keep_tops(states, head, k=61, temperature=1.0, token_budget=20, chunk=3)
    fill(tops, items, produce, lambda _: None)
    return {
        "online": online_teacher(loaded(model)),
        "hidden": HiddenTeacher(states=hidden.states, head=read_head(hidden.folder, CPU)),
        "topk": TopKTeacher(cache=tops, entries=61),
    }


@pytest.mark.parametrize("packed", [True, False])
@pytest.mark.parametrize("kind", ["online", "hidden", "topk"])
def test_loss_and_gradient_equal_those_of_two_prompts_in_float64(
    models: tuple[Any, Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    kind: str,
    packed: bool,
) -> None:
    if not packed:
        monkeypatch.setattr(packing, "attends_by_rows", lambda *_: False)
    student, teacher = models
    source = teachers(teacher, tmp_path)[kind]
    expected = naive([student.requires_grad_(True), teacher], 0.3)
    expected.backward()
    theirs = gradients(student)
    for budget in (8, 20, 1000):
        made = Distiller(loaded(student), source, DistillSection(token_budget=budget))
        assert made.module.packs is packed
        # Likeliest tokens are kept in float32.
        rel = 1e-6 if kind == "topk" else 1e-9
        assert made.backward(SAMPLES, 0.3).loss == pytest.approx(expected.item(), rel=rel)
        atol = 1e-6 if kind == "topk" else 1e-11
        torch.testing.assert_close(gradients(student), theirs, rtol=1e-6, atol=atol)


def test_the_loss_of_the_same_model_in_two_contexts_is_what_there_is_to_learn(
    models: tuple[Any, Any],
) -> None:
    student, _ = models
    made = Distiller(loaded(student), online_teacher(loaded(student)), DistillSection())
    found = made.backward(SAMPLES, 0.5)
    assert found.kl_original == pytest.approx(0.0, abs=1e-12)
    with torch.no_grad():
        assert found.kl_counterfactual == pytest.approx(2 * naive([student, student], 0.5).item())
    assert found.kl_counterfactual is not None
    assert found.kl_counterfactual > 1e-3


def test_rows_that_share_a_context_share_its_forward(models: tuple[Any, Any]) -> None:
    student, teacher = models
    seen: list[int] = []

    def counted(_: Any, inputs: Any, options: dict[str, Any]) -> None:
        seen.append(options["input_ids"].numel())

    made = Distiller(loaded(student), online_teacher(loaded(teacher)), DistillSection())
    made.backward(SAMPLES, 0.3)  # and finds out about the model
    teacher.model.register_forward_pre_hook(counted, with_kwargs=True)
    made.backward(SAMPLES, 0.3)
    # One pass: four different contexts of 8, 4, 3 and 8 tokens, of six rows.
    assert seen == [8 + 4 + 3 + 8]


def test_they_share_it_where_a_step_takes_several_forwards(models: tuple[Any, Any]) -> None:
    student, teacher = models
    # Rows of 7, 12 and 8 tokens. Packed by length alone 12 and 8 go together, and 7 by itself.
    samples = [
        sample((5, 9, 22), None, (40, 3, 18, 2)),
        sample((5, 9, 31, 32, 33, 34, 35, 22), (5, 9, 22), (40, 3, 18, 2)),
        sample((11, 4, 6, 7, 8), None, (58, 44, 2)),
    ]
    section = DistillSection(token_budget=20)
    made = Distiller(loaded(student), online_teacher(loaded(teacher)), section)
    whole = made.backward(samples, 0.3)
    seen: list[int] = []

    def counted(_: Any, inputs: Any, options: dict[str, Any]) -> None:
        seen.append(options["input_ids"].numel())

    teacher.model.register_forward_pre_hook(counted, with_kwargs=True)
    assert made.backward(samples, 0.3).loss == pytest.approx(whole.loss)
    assert sorted(seen) == [7, 8]


def test_what_is_computed_once_is_laid_out_for_every_row() -> None:
    a, b = (EncodedExample(ids=(1, n, 3), prompt_length=1) for n in (5, 6))
    asked: list[Sequence[EncodedExample]] = []

    def states(items: Sequence[EncodedExample]) -> torch.Tensor:
        asked.append(items)
        return torch.tensor([[float(token)] for item in items for token in item.ids[1:]])

    found = computed_once([b, a, b, a, a], states)
    assert asked == [[b, a]]
    assert found.flatten().tolist() == [6, 3, 5, 3, 6, 3, 5, 3, 5, 3]


def test_a_teacher_with_another_tokenizer_sees_its_own_prompt_too(
    tiny_model: Callable[..., Any], byte_level: Callable[..., PromptFormat]
) -> None:
    chats = byte_level([("c", "a"), ("o", "n")], "<end>"), byte_level([("o", "n")], "</s>")
    common = common_tokens(*chats)
    models = [tiny_model("llama", seed=n, vocab_size=270, dtype=torch.float64) for n in (1, 2)]
    teacher = AlignedTeacher.of(online_teacher(loaded(models[1])), common, 270, 8)
    # "on" and its end are the same tokens to both: two pairs, over buckets.
    item = row("on x on", "on", teacher_content="on")
    (one,), _ = encode_rows(chats[0], [item], 99, Aligner(*chats, common))
    assert one.teacher_tokens == chats[1].encode("on", "on")
    section = DistillSection()
    found = Distiller(loaded(models[0]), teacher, section).backward([one], 0.5).loss
    (plain_row,), _ = encode_rows(chats[0], [row("on x on", "on")], 99, Aligner(*chats, common))
    said = []
    for model, tokens in zip(models, (plain_row.tokens, one.teacher_tokens), strict=True):
        logits = model(input_ids=torch.tensor([tokens.ids])).logits[0]
        said.append(torch.log_softmax(logits[tokens.prompt_length - 1 : -1], -1).detach())
    buckets = teacher.buckets
    q, p = buckets.of_student(said[0]), buckets.of_teacher(said[1])
    assert found == pytest.approx(float((p.exp() * (p - q)).sum(-1).mean()), rel=1e-9)
