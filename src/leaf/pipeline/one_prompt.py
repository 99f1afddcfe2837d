"""One prompt of one's own: the way of a run for a single problem, kept nowhere."""

import tempfile
from dataclasses import dataclass
from pathlib import Path

from leaf.attribute import normalise_scores
from leaf.errors import UsageError
from leaf.grade.final import final_answer
from leaf.models.files import find
from leaf.models.vocabulary import check_tokenizers
from leaf.pipeline.detection import Detection
from leaf.pipeline.session import Session
from leaf.progress import say
from leaf.recipe import GenerateSection, Recipe
from leaf.recipe.reading import check_recipe
from leaf.records import NormalisedScores, Problem
from leaf.store.ledger import Entry
from leaf.store.results import Results
from leaf.store.store import Store

_NAME = "your prompt"


@dataclass(frozen=True, kw_only=True, slots=True)
class OwnPrompt:
    """What is to be explained, and by which models."""

    student: str
    teacher: str
    question: str
    reference: str
    """A right response, whose loss is differentiated."""
    answer: str | None
    """The gold final answer; None takes the one that the reference marks."""
    dtype: str
    max_new_tokens: int


def explain_prompt(own: OwnPrompt) -> tuple[Entry, Recipe]:
    """Score, cut and verify one question, whether or not the student fails it.

    Raises:
        UsageError: there is no final answer to judge by.
    """
    marked = final_answer(own.reference)
    gold = own.answer or (marked.text if marked else None)
    if gold is None:
        raise UsageError(
            "--reference: marks no final answer (`#### 18`, `the answer is 18`); add --answer 18"
        )
    recipe = _recipe(own)
    problem = Problem(
        id=_NAME, question=own.question, answer=gold, solution=own.reference, grader="math"
    )
    with tempfile.TemporaryDirectory(prefix="leaf-explain-") as folder:
        session = Session(recipe, Store(Path(folder)))
        session.sources = {"student": find(recipe.student), "teacher": find(recipe.teacher)}
        if line := check_tokenizers(session.student_chat, session.teacher_chat, recipe.distill):
            say(line)
        student, teacher = (session.answers_of(role, [problem]) for role in session.sources)
        detection = Detection(session, [problem], student, teacher)
        # Whoever asks about a prompt wants to see it, whatever the models answer.
        detection.chosen = [problem]
        attributions = detection.attribute({problem.id: problem.solution})
        results = Results(
            problems=[problem],
            student=student,
            teacher=teacher,
            attributions=attributions,
            focus=[
                scores
                for scores in map(normalise_scores, attributions)
                if isinstance(scores, NormalisedScores)
            ],
            segments=detection.segments,
            cuts=detection.cut(attributions),
            rankings=detection.rankings(attributions),
        )
        detection.verify(results.cuts)
        (entry,) = results.entries()
    return entry, recipe


def _recipe(own: OwnPrompt) -> Recipe:
    budget = max(GenerateSection().token_budget, 2 * own.max_new_tokens)
    return check_recipe(
        {
            "name": "explain",
            "student": {"model": own.student, "dtype": own.dtype},
            "teacher": {"model": own.teacher, "dtype": own.dtype},
            "data": {"task": "table"},
            "generate": {"max_new_tokens": own.max_new_tokens, "token_budget": budget},
            # A token alone often frees nobody: the words around it go as well.
            "prune": {"units": ["token", "clause"]},
            "evaluate": {"benchmarks": {}},
        },
        source="leaf explain",
    )
