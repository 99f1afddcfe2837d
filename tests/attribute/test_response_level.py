"""Response level: the same detectors on another context, against autograd written by hand."""

import copy
import dataclasses

import pytest
import torch

from leaf.models.load import Loaded
from leaf.models.prompt_format import PromptFormat
from leaf.records import Problem
from tests.attribute.measured import measured

ASKED = "Bo has some red pens. How many pens are there?"
WITHIN = Problem(
    id="p/r1",
    prompt=ASKED,
    before="Bo has pens.",
    question=" How many red pens are there?",
    solution=" There are 4 pens.",
    answer="4",
)


@pytest.fixture(scope="module")
def wide(loaded: Loaded) -> Loaded:
    model = copy.deepcopy(loaded.model).double()
    return dataclasses.replace(loaded, model=model, dtype=torch.float64)


def by_hand(loaded: Loaded) -> tuple[list[int], int, int, int]:
    """Return the whole sequence, and where the segment, the rest and the end begin in it."""
    texts = (
        f"<|im_start|>user\n{ASKED}<|im_end|>\n<|im_start|>assistant\n{WITHIN.before}",
        WITHIN.question,
        WITHIN.solution,
        "<|im_end|>",
    )
    tokenizer = loaded.tokenizer
    ids = [tokenizer(text, add_special_tokens=False)["input_ids"] for text in texts]
    # No token reaches over a border, so that the parts are what the whole is cut into.
    whole = tokenizer("".join(texts), add_special_tokens=False)["input_ids"]
    assert whole == [token for part in ids for token in part]
    segment = len(ids[0])
    rest = segment + len(ids[1])
    return whole, segment, rest, rest + len(ids[2])


def test_the_gradient_is_that_of_the_rest_with_respect_to_the_segment(wide: Loaded) -> None:
    ids, segment, rest, _ = by_hand(wide)
    embeddings_TD = wide.model.get_input_embeddings()(torch.tensor(ids)).detach().requires_grad_()
    logits_TV = wide.model(inputs_embeds=embeddings_TD[None]).logits[0]
    # The mean over the rest and its end of turn; the beginning of the response has no loss.
    losses = [-logits_TV[at - 1].log_softmax(dim=-1)[ids[at]] for at in range(rest, len(ids))]
    loss = torch.stack(losses).mean()
    (gradient_TD,) = torch.autograd.grad(loss, embeddings_TD)
    (found,) = measured("gradient", wide).attribute([WITHIN], [WITHIN.solution])
    assert found.loss == pytest.approx(loss.item(), rel=1e-9)
    # Every unit of this segment is one token.
    assert list(found.scores) == pytest.approx(
        gradient_TD[segment:rest].norm(dim=-1).tolist(), rel=1e-6
    )
    texts = [WITHIN.question[a:b] for a, b in zip(found.starts, found.ends, strict=True)]
    assert "".join(texts) == WITHIN.question


def test_ablation_takes_a_word_out_of_the_segment_and_nowhere_else(wide: Loaded) -> None:
    # The space before its first word stays: it parts the segment from what was said before.
    problem = dataclasses.replace(WITHIN, question=" Bo has red pens.")
    chat = PromptFormat(wide.tokenizer, name="tiny")
    (found,) = measured("ablation", wide, {"unit": "word"}).attribute([problem], [problem.solution])

    def loss(segment: str) -> tuple[float, int]:
        item = chat.encode(ASKED, problem.solution, problem.before + segment)
        log_TV = wide.model(input_ids=torch.tensor([item.ids])).logits[0].log_softmax(dim=-1)
        places = range(item.prompt_length, len(item.ids))
        return sum(-float(log_TV[at - 1, item.ids[at]]) for at in places), len(places)

    whole, tokens = loss(problem.question)
    for start, end, score in zip(found.starts, found.ends, found.scores, strict=True):
        cut, _ = loss(problem.question[:start] + problem.question[end:])
        assert score == pytest.approx((cut - whole) / tokens, rel=1e-6, abs=1e-9)
    assert len(found.scores) == 4
    assert found.loss == pytest.approx(whole / tokens, rel=1e-9)


@pytest.mark.parametrize("detector", ["perplexity", "attention"])
def test_every_other_detector_scores_the_segment_too(loaded: Loaded, detector: str) -> None:
    (found,) = measured(detector, loaded).attribute([WITHIN], [WITHIN.solution])
    assert not found.skipped
    texts = [WITHIN.question[a:b] for a, b in zip(found.starts, found.ends, strict=True)]
    assert "".join(texts) == WITHIN.question
