"""Whatever is cut from whatever text, question = counterfactual + removed pieces."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from leaf.models.prompt_format import PromptFormat
from leaf.prune import remove, spans
from leaf.records import Problem, RankedUnits

FRAGMENTS = [
    "What is ",
    "  ",
    "\n",
    "👩‍👩‍👧",
    "∠ABC",
    "e\u0301",
    "\u1112\u1161",
    "东京",
    "<|im_start|>user\n",
    "<|eot_id|>",
    "<bos>",
    "</s>",
    "[INST] ",
    "{{ messages }}",
    "leafsentinelqzx",
]

texts = st.lists(st.sampled_from(FRAGMENTS) | st.text(max_size=12), max_size=12).map("".join)


@settings(max_examples=60, deadline=None)
@given(
    question=texts, before=texts, after=texts, chosen=st.integers(0, 2**40), bridge=st.booleans()
)
def test_the_question_is_the_counterfactual_with_the_pieces_put_back(
    chat: PromptFormat, question: str, before: str, after: str, chosen: int, bridge: bool
) -> None:
    problem = Problem(id="p", question=question, answer="", solution="", before=before, after=after)
    units = chat.prompt(problem).units
    scores = RankedUnits(
        problem_id="p",
        starts=tuple(unit.start for unit in units),
        ends=tuple(unit.end for unit in units),
        rank_score=(0.5,) * len(units),
    )
    # Which units are candidates: the binary digits of a number.
    marked = np.array([chosen >> at & 1 for at in range(len(units))], dtype=np.bool_)
    pieces = spans(marked, scores, question, bridge_whitespace=bridge)
    counterfactual = remove(question, pieces)

    rebuilt = counterfactual
    for piece in pieces:
        rebuilt = rebuilt[: piece.start] + piece.text + rebuilt[piece.start :]
    assert rebuilt == question
    assert len(counterfactual) == len(question) - sum(len(piece.text) for piece in pieces)
    # UTF-8 refuses half a character.
    for text in (counterfactual, *(piece.text for piece in pieces)):
        assert text.encode("utf-8").decode("utf-8") == text
    removed = {at for piece in pieces for at in range(piece.start, piece.end)}
    wanted = {
        at
        for unit, on in zip(units, marked, strict=True)
        if on
        for at in range(unit.start, unit.end)
    }
    assert wanted <= removed
    assert bridge or wanted == removed
    assert all(question[at].isspace() for at in removed - wanted)
    # The shortened question goes through the same template again.
    chat.render(before + counterfactual + after)
