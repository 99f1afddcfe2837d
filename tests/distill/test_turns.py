"""A conversation before the question goes with it: into rows, both prompts, own answers, the hub's
trainer."""

import pytest

from leaf.distill.rows import TrainingExample, counterfactual_rows, original_rows, rows_from
from leaf.errors import DataError
from leaf.pipeline.rounds import as_problem
from leaf.prune.segments import segments
from leaf.recipe import DistillSection
from leaf.records import Counterfactual, Outcome, Problem, Score, Span, Turn

TURNS = (Turn(role="system", text="Be brief."), Turn(role="user", text="Hello."))
PROBLEM = Problem(
    id="p", question="Ann has 2. It rains. How many?", answer="2", solution="", turns=TURNS
)
CUT = Counterfactual(
    id="p/cf1",
    problem_id="p",
    strategy="span",
    spans=(Span(start=10, end=20, text=" It rains.", gap=0.0, units=1),),
    question="Ann has 2. How many?",
)


@pytest.mark.parametrize("sees", ["same", "cut"])
def test_rows_of_a_conversation_begin_with_it(sees: str) -> None:
    right = Score(problem_id="p", outcome=Outcome.RIGHT, extracted="2", reason=None)
    whole = original_rows([PROBLEM], {"p": "2"}, {"p": right}, DistillSection())
    changed = counterfactual_rows({"p": PROBLEM}, {"p": "2"}, [CUT], teacher_sees=sees)  # type: ignore[arg-type]
    assert [row.turns for row in (*whole, *changed)] == [TURNS, TURNS]


def test_what_is_asked_again_begins_with_the_conversation() -> None:
    row = TrainingExample(
        problem_id="p", content="How many?", response="2", counterfactual=False, turns=TURNS
    )
    assert as_problem(row, 1).turns == TURNS


def test_rows_of_a_user_may_have_turns() -> None:
    given = {"question": "How many?", "response": "2"}
    (row,) = rows_from([{**given, "turns": [{"role": "system", "content": "Be brief."}]}])
    assert row.turns == TURNS[:1]
    with pytest.raises(DataError, match=r"row 0: a turn must have `role` .* but is 'Hello'"):
        rows_from([{**given, "turns": ["Hello"]}])


def test_a_segment_of_a_response_has_the_conversation_of_its_question() -> None:
    made = segments(PROBLEM, "First.\nSecond.\nThird.", 2, lambda text: False)
    assert not isinstance(made, str)
    assert [segment.turns for segment in made] == [TURNS]
