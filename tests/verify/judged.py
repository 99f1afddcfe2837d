"""A removal and graded answers to it, which tests of its verdicts share."""

from leaf.records import Answer, Counterfactual, Outcome, Score, Span

RIGHT, WRONG, UNGRADABLE = Outcome.RIGHT, Outcome.WRONG, Outcome.UNGRADABLE

REMOVAL = Counterfactual(
    id="p1/cf0",
    problem_id="p1",
    strategy="span",
    spans=(Span(start=4, end=8, text="red ", gap=0.0, units=2),),
    question="Tom pens?",
)


def graded(text: str, outcome: Outcome, name: str = REMOVAL.id) -> tuple[Answer, Score]:
    """Return an answer to the changed question of this id, and how it was judged."""
    answer = Answer(problem_id=name, text=text, prompt_tokens=9, response_tokens=3, truncated=False)
    return answer, Score(problem_id=name, outcome=outcome, extracted=None, reason=None)
