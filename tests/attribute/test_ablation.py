"""Ablation: every conversation as if it ran alone, and what is taken away."""

import pickle
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from leaf.attribute import Evidence, detector_class
from leaf.attribute.checks import check_measured
from leaf.attribute.ranking import of_kind
from leaf.attribute.tail_losses import fed, tail_losses
from leaf.attribute.trials import plan_trial
from leaf.errors import LeafError, ModelError, NonFiniteError
from leaf.models.load import Loaded, load
from leaf.models.output_head import output_head
from leaf.models.paths import paths_of
from leaf.models.prompt_format import EncodedExample, PromptFormat
from leaf.recipe import ModelSection
from leaf.records import NormalisedScores, Problem, Sensitivity
from tests.attribute.measured import measured

# Cut in the middle, at the first token, right before the response; then another problem.
GROUPS = [
    [
        EncodedExample(ids=(5, 9, 22, 7, 31, 40, 3, 18, 2), prompt_length=6),
        EncodedExample(ids=(5, 9, 31, 40, 3, 18, 2), prompt_length=4),
        EncodedExample(ids=(22, 7, 31, 40, 3, 18, 2), prompt_length=4),
        EncodedExample(ids=(5, 9, 22, 7, 31, 3, 18, 2), prompt_length=5),
    ],
    [
        EncodedExample(ids=(11, 4, 58, 2), prompt_length=2),
        # All of this prompt is the beginning of the other one.
        EncodedExample(ids=(11, 58, 2), prompt_length=1),
    ],
    [EncodedExample(ids=(8, 8, 19, 25, 33, 2), prompt_length=5)],
]


def naive(model: Any, ids: Sequence[int], first: int) -> list[float]:
    """-log p of each token from `first` on, alone, from the model's own full logits."""
    table_TV = torch.log_softmax(model(input_ids=torch.tensor([list(ids)])).logits[0].double(), -1)
    return [-float(table_TV[at - 1, ids[at]]) for at in range(first, len(ids))]


@pytest.mark.parametrize("budget", [1, 15, 8192])
@pytest.mark.parametrize(
    ("family", "changes"),
    [
        ("llama", {}),
        ("qwen2", {}),
        # A window that slides: its cache cannot be shared, so that all run whole.
        ("qwen2", {"use_sliding_window": True, "sliding_window": 4, "max_window_layers": 0}),
    ],
)
def test_what_is_shared_changes_no_loss(tiny_model, family, changes, budget) -> None:
    model = tiny_model(family, dtype=torch.float32, **changes)
    share = paths_of(model).shares
    assert share == (not changes)
    found = tail_losses(model, output_head(model), GROUPS, token_budget=budget, share=share)
    assert [len(group) for group in found] == [4, 2, 1]
    for group, losses in zip(GROUPS, found, strict=True):
        for item, losses_R in zip(group, losses, strict=True):
            expected = naive(model, item.ids, item.prompt_length)
            assert losses_R.tolist() == pytest.approx(expected, rel=1e-4, abs=1e-5)


@pytest.mark.parametrize("share", [True, False])
def test_what_is_fed_is_what_the_model_saw(tiny_model, share) -> None:
    model = tiny_model("llama", dtype=torch.float32)
    head = output_head(model)
    # The first use of a model rehearses it.
    tail_losses(model, head, GROUPS, token_budget=1, share=share)
    seen = []
    hook = model.get_input_embeddings().register_forward_pre_hook(
        lambda _module, inputs: seen.append(inputs[0].numel())
    )
    # One conversation in a pass, so that nothing is padded.
    tail_losses(model, head, GROUPS, token_budget=1, share=share)
    hook.remove()
    assert sum(seen) == sum(fed(group, share=share) for group in GROUPS)


# The attributor, on a real tokenizer and model.


def attributor(
    loaded: Loaded, options: Any = None, places: Any = None, tick: Any = None, **settings: Any
) -> Any:
    return measured("ablation", loaded, options, places=places, tick=tick, **settings)


def asked(question: str, *, before: str = "", after: str = "") -> Problem:
    return Problem(
        id=question, question=question, answer="4", solution="4", before=before, after=after
    )


RED = "Ada has some red pens. Bo has cups, and keys. How many pens are there?"


ASKS = " How many pens are there?"


def expected_score(loaded: Loaded, whole: str, cut: str, reference: str) -> float:
    """Return how many more nats the asking sentence and the reference take, a token, naively.

    The last token of what stands before the asking sentence ends where that begins.
    """
    chat = PromptFormat(loaded.tokenizer, name="tiny")
    sums = []
    for content in (whole, cut):
        item = chat.encode(content, reference)
        nats = naive(loaded.model, item.ids, 1)
        before = chat.prefix + content[: content.index(ASKS.strip())].rstrip()
        first = len(loaded.tokenizer(before, add_special_tokens=False)["input_ids"])
        asked = len(loaded.tokenizer(ASKS, add_special_tokens=False)["input_ids"])
        counted = nats[first - 1 : first - 1 + asked] + nats[item.prompt_length - 1 :]
        sums.append(sum(counted))
    return (sums[1] - sums[0]) / len(counted)


@pytest.mark.parametrize(
    ("unit", "cuts"),
    [
        ("sentence", {"Ada has some red pens.": "Bo has cups, and keys. How many pens are there?"}),
        ("clause", {" Bo has cups,": "Ada has some red pens. and keys. How many pens are there?"}),
        ("word", {" red": "Ada has some pens. Bo has cups, and keys. How many pens are there?"}),
        ("token", {" red": "Ada has some pens. Bo has cups, and keys. How many pens are there?"}),
    ],
)
def test_a_pieces_score_is_what_the_reference_loses_without_it(
    loaded: Loaded, unit: str, cuts: dict[str, str]
) -> None:
    problem = asked(RED, before="Read: ", after=" Now.")
    (found,) = attributor(loaded, {"unit": unit}).attribute([problem], ["7"])
    pieces = [RED[start:end] for start, end in zip(found.starts, found.ends, strict=True)]
    for piece, left in cuts.items():
        whole, cut = f"Read: {RED} Now.", f"Read: {left} Now."
        score = found.scores[pieces.index(piece)]
        assert score == pytest.approx(expected_score(loaded, whole, cut, "7"), abs=1e-5)
    assert not any("?" in piece for piece in pieces)
    # All but what asks, and space alone, are there.
    shown = "".join(pieces).replace(" ", "")
    assert shown.startswith("Adahassomeredpens.Bohascups,andkeys.")


def test_a_hidden_piece_stays_but_what_asks_and_answers_does_not_see_it(loaded: Loaded) -> None:
    problem = asked(RED, before="Read: ", after=" Now.")
    (found,) = attributor(loaded, {"unit": "sentence", "hide": True}).attribute([problem], ["7"])
    (taken,) = attributor(loaded, {"unit": "sentence"}).attribute([problem], ["7"])
    assert (found.starts, found.loss) == (taken.starts, pytest.approx(taken.loss, abs=1e-6))
    # One pass of the conversation, and for each piece one of what asks and answers.
    assert found.fed is not None
    assert taken.fed is not None
    assert found.fed < taken.fed

    chat = PromptFormat(loaded.tokenizer, name="tiny")
    item = chat.encode(problem.content, "7")
    ends = [unit.tokens[-1] + 1 for unit in chat.prompt(problem).units if unit.end in found.ends]
    starts = [unit.tokens[0] for unit in chat.prompt(problem).units if unit.start in found.starts]
    asks = RED.index(ASKS)
    first = next(unit.tokens[0] for unit in chat.prompt(problem).units if unit.start == asks)
    last = next(unit.tokens[-1] for unit in chat.prompt(problem).units if unit.end == len(RED))
    counted = [*range(first, last + 1), *range(item.prompt_length, len(item.ids))]
    whole = naive(loaded.model, item.ids, 1)
    for score, start, end in zip(found.scores, starts, ends, strict=True):
        count = len(item.ids)
        sees_KK = torch.ones(count, count, dtype=torch.bool).tril()
        # What predicts the first token that counts, and all behind it, unless it is in the piece.
        sees_KK[max(first - 1, end) :, start:end] = False
        mask = torch.zeros(count, count).masked_fill(~sees_KK, torch.finfo(torch.float32).min)
        logits = loaded.model(
            input_ids=torch.tensor([list(item.ids)]), attention_mask=mask[None, None]
        ).logits[0]
        table_TV = torch.log_softmax(logits.double(), -1)
        more = [-float(table_TV[at - 1, item.ids[at]]) - whole[at - 1] for at in counted]
        assert score == pytest.approx(sum(more) / len(counted), abs=1e-5)


def test_a_model_that_we_cannot_blind_is_refused(tiny_model: Any, loaded: Loaded) -> None:
    changes = {"use_sliding_window": True, "sliding_window": 4, "max_window_layers": 0}
    model = tiny_model("qwen2", dtype=torch.float32, **changes)
    with pytest.raises(ModelError, match=r"pieces cannot be hidden from it \(.*; leave out"):
        attributor(replace(loaded, model=model), {"hide": True}).attribute([asked(RED)], ["4"])


def test_the_teacher_is_measured_as_the_option_says() -> None:
    kind = detector_class("ablation")
    assert kind().roles() == ("student", "teacher")
    alone = kind(kind.Options(student_alone=True))
    assert alone.roles() == alone.roles(teacher=False) == ("student",)
    with pytest.raises(ValueError, match="chosen by the gradient of both models"):
        kind.Options(student_alone=True, proposals=2)


def test_the_cue_that_misleads_the_student_scores_lowest(loaded: Loaded) -> None:
    # Trained to say 7 where it reads "red": without the word the right answer, 4, gains.
    (found,) = attributor(loaded, {"unit": "word"}).attribute(
        [asked("Ada has some red pens. How many pens are there?")], ["4"]
    )
    lowest = found.scores.index(min(found.scores))
    assert found.starts[lowest] == len("Ada has some")
    assert found.scores[lowest] < -0.2


def test_only_the_given_places_are_taken_away(loaded: Loaded) -> None:
    places = {RED: [(0, 22), (22, 34)]}
    (found,) = attributor(loaded, places=places).attribute([asked(RED)], ["4"])
    assert (found.starts, found.ends) == ((0, 22), (22, 34))
    first = expected_score(loaded, RED, RED[23:], "4")
    assert found.scores[0] == pytest.approx(first, abs=1e-5)


@pytest.mark.parametrize("budget", [1, 60, 8192])
def test_batches_change_nothing_and_order_is_kept(loaded: Loaded, budget: int) -> None:
    problems = [asked(RED), asked("Why?"), asked("Bo has cups. Ada has red pens. How many?")]
    ticks: list[int] = []
    found = attributor(loaded, tick=ticks.append, token_budget=budget).attribute(
        problems, ["4"] * 3
    )
    assert [item.problem_id for item in found] == [problem.id for problem in problems]
    assert sum(ticks) == 3
    for problem, item in zip(problems, found, strict=True):
        (alone,) = attributor(loaded).attribute([problem], ["4"])
        assert (item.starts, item.ends, item.skipped) == (alone.starts, alone.ends, alone.skipped)
        assert item.scores == pytest.approx(alone.scores, abs=1e-6)


def test_what_cannot_be_scored_says_why(loaded: Loaded) -> None:
    problems = [asked("Why?"), asked(RED), asked("@# " * 100), asked("")]
    found = attributor(loaded).attribute(problems, ["4", " ", "4", "4"])
    assert [item.skipped for item in found] == [
        "no piece of the question can be taken away but the one that asks",
        "no reference response",
        "prompt and reference longer than the context of 128 tokens",
        "no piece of the question can be taken away but the one that asks",
    ]
    assert attributor(loaded).attribute([], []) == []


def test_a_prompt_that_is_too_long_is_encoded_once(
    loaded: Loaded, monkeypatch: pytest.MonkeyPatch
) -> None:
    encode = PromptFormat.encode
    lengths = []

    def counted(self: PromptFormat, *values: str) -> EncodedExample:
        encoded = encode(self, *values)
        lengths.append(len(encoded.ids))
        return encoded

    monkeypatch.setattr(PromptFormat, "encode", counted)
    (found,) = attributor(loaded).attribute([asked("It is late. " * 500 + "How many?")], ["3"])
    assert "longer than the context" in str(found.skipped)
    assert len(lengths) == 1


def test_a_number_that_is_none_names_the_problem(cue_pair: Path) -> None:
    broken = load(ModelSection(model=str(cue_pair / "student"), dtype="float32"))
    judge = attributor(broken)
    # Once the head is checked: hidden states that overflow, as float16 ones do.
    broken.model.model.norm.weight.fill_(float("inf"))
    with pytest.raises(NonFiniteError, match=r"in problem Ada has some red pens\."):
        judge.attribute([asked(RED)], ["4"])


# Several kinds of pieces at once.

KINDS = "Ada has red pens. Bo has 2 cups weighing 5 kg, and keys. How many pens are there?"


def ablation(*units: str) -> Any:
    detector = detector_class("ablation")()
    detector.units = units
    return detector


def shown(found: Sensitivity) -> list[str]:
    return [KINDS[start:end] for start, end in zip(found.starts, found.ends, strict=True)]


def test_each_kind_that_will_be_cut_is_measured_as_if_alone(loaded: Loaded) -> None:
    model = attributor(loaded).model
    (both,) = ablation("sentence", "phrase").measure(model, [asked(KINDS)], ["4"])
    sentence, phrase = (
        ablation(unit).measure(model, [asked(KINDS)], ["4"])[0] for unit in ("sentence", "phrase")
    )
    assert shown(sentence) == ["Ada has red pens.", " Bo has 2 cups weighing 5 kg, and keys."]
    assert shown(phrase) == [
        "Ada has red pens.", " Bo has 2 cups", " weighing 5 kg,", " and keys."
    ]  # fmt: skip
    assert both.kinds == ("sentence",) * 2 + ("phrase",) * 4
    assert shown(both) == [*shown(sentence), *shown(phrase)]
    assert both.scores == pytest.approx((*sentence.scores, *phrase.scores), abs=1e-6)
    assert (sentence.kinds, phrase.kinds) == ((), ())


def test_what_is_of_both_kinds_is_taken_away_once(loaded: Loaded) -> None:
    chat = PromptFormat(loaded.tokenizer, name="tiny")
    trial = plan_trial(asked(KINDS), "4", chat, ["sentence", "phrase"])
    # The first sentence is a phrase as well.
    assert len(trial.cut) == len(trial.places) == 5


def test_each_kind_is_ranked_by_its_own_pieces_and_others_by_the_first(loaded: Loaded) -> None:
    model = attributor(loaded).model
    detector = ablation("sentence", "phrase")
    tokens = tuple((unit.start, unit.end) for unit in model.chat.prompt(asked(KINDS)).units)

    def ranks(measured: Sensitivity, unit: str) -> Any:
        return detector.rank_units(
            Evidence(problem=asked(KINDS), tokens=tokens, measured=measured), unit
        )

    (both,) = detector.measure(model, [asked(KINDS)], ["4"])
    for unit in ("sentence", "phrase"):
        (alone,) = ablation(unit).measure(model, [asked(KINDS)], ["4"])
        expected = ranks(alone, unit)
        assert ranks(both, unit).starts == expected.starts
        assert ranks(both, unit).rank_score == pytest.approx(expected.rank_score, abs=1e-4)
    assert ranks(both, "token") == ranks(of_kind(both, "sentence"), "token")


@pytest.mark.parametrize(
    ("option", "units", "key"),
    [
        # As of version 0.1.0, where a unit was always named, `sentence` if by nobody.
        (None, ("token",), "sentence"),
        (None, ("word", "clause"), "clause"),
        ("word", ("clause",), "word"),
        (None, ("sentence", "phrase"), ("sentence", "phrase")),
    ],
)
def test_what_is_taken_away_names_the_result(
    option: str | None, units: tuple[str, ...], key: object
) -> None:
    kind = detector_class("ablation")
    detector = kind(kind.Options(unit=option))
    detector.units = units
    assert detector.measure_key() == {"ablation_unit": key}
    # As a worker gets it.
    assert pickle.loads(pickle.dumps(detector)).measure_key() == detector.measure_key()  # noqa: S301


def test_the_gradient_proposes_pieces_of_each_kind(loaded: Loaded) -> None:
    detector = ablation("sentence", "phrase")
    detector.options = type(detector).Options(proposals=1)
    at = KINDS.index(" weighing 5")
    tokens = [(0, 17), (17, at), (at, at + 15), (at + 15, len(KINDS))]
    gradient = NormalisedScores(
        problem_id=KINDS,
        starts=tuple(start for start, _ in tokens),
        ends=tuple(end for _, end in tokens),
        teacher=(0.0,) * 4,
        student=(0.0,) * 4,
        gap=(1.0, 0.2, 0.0, 0.4),
    )
    evidence = Evidence(problem=asked(KINDS), tokens=tuple(tokens))
    places = detector.places(evidence, gradient)
    assert [KINDS[slice(*place)] for place in places] == [
        " Bo has 2 cups weighing 5 kg, and keys.",
        " weighing 5 kg,",
    ]
    model = attributor(loaded, places={KINDS: places}).model
    (found,) = detector.measure(model, [asked(KINDS)], ["4"])
    assert found.kinds == ("sentence", "phrase")


def test_units_of_one_kind_may_not_overlap_those_of_two_may() -> None:
    two = Sensitivity(
        problem_id=KINDS,
        starts=(0, 0, 4),
        ends=(9, 4, 9),
        scores=(0.0,) * 3,
        loss=1.0,
        kinds=("sentence", "phrase", "phrase"),
    )
    assert check_measured("x", [asked(KINDS)], [two]) == [two]
    with pytest.raises(LeafError, match="must lie in the question"):
        check_measured("x", [asked(KINDS)], [replace(two, kinds=("phrase",) * 3)])
    with pytest.raises(LeafError, match="1 kinds of 3 units"):
        check_measured("x", [asked(KINDS)], [replace(two, kinds=("phrase",))])
