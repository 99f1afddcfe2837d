"""Checks of the gold answers: that their graders take them, and that they agree."""

import itertools
import statistics
from collections.abc import Hashable, Iterator, Sequence

from leaf.doctor.finding import Finding
from leaf.grade import grader_of, open_graders
from leaf.recipe import GradeSection
from leaf.records import Answer, Problem
from leaf.text.kinds import NAME, fitting_grader

_GOLDS = 300
"""Gold answers that are tried of each data set: symbolic comparisons take their time."""

_STRAY = 0.02
"""Share of the golds that may be nothing their grader takes: a slip of the data."""

_OTHER = "\\boxed{61803398}"
"""An answer that no gold is."""


def check_golds(label: str, problems: Sequence[Problem]) -> Iterator[Finding]:
    """Find golds that their own grader refuses: no answer to such a problem could be right.

    Each gold is given as the answer, and compared with something else: a gold that is right by its
    letters alone cannot be compared with an answer that says it in other words. No model is asked.
    """
    graded = (one for one in problems if one.tests is None and not grader_of(one).asks())
    asked = list(itertools.islice(graded, _GOLDS))
    with open_graders(GradeSection()) as grader:
        golds = [grader_of(problem).gold_text(problem) for problem in asked]
        own = grader.grade(asked, list(map(_answer, asked, golds)))
        other = grader.grade(asked, [_answer(problem, _OTHER) for problem in asked])
    bad = [score for score in own if not score.right]
    bad += [score for score in other if (score.reason or "").startswith("gold")]
    if bad:
        named = {score.problem_id for score in bad}
        yield Finding(
            "warn",
            f"{label}: the grader refuses {len(named)} of {len(asked)} gold answers, the first: "
            f"problem {bad[0].problem_id}: {bad[0].reason or 'its own gold is judged wrong'}",
        )


def check_contradictions(label: str, problems: Sequence[Problem]) -> Iterator[Finding]:
    """Find questions that stand there several times, with golds that make each other wrong."""
    first: dict[Hashable, Problem] = {}
    pairs = []
    for problem in problems:
        one = first.setdefault((problem.turns, problem.content), problem)
        if one.tests is None and problem.answer not in (one.answer, *one.golds):
            pairs.append((one, problem))
    pairs = [pair for pair in pairs if not grader_of(pair[0]).asks()][:_GOLDS]
    said = [_answer(one, grader_of(one).gold_text(other)) for one, other in pairs]
    with open_graders(GradeSection()) as grader:
        scores = grader.grade([one for one, _ in pairs], said)
    apart = [pair for pair, score in zip(pairs, scores, strict=True) if not score.right]
    if apart:
        one, other = apart[0]
        asked = " ".join(one.question[one.asked].split())
        count = len({one.id for one, _ in apart})
        yield Finding(
            "warn",
            f"{label}: {count} question{'s have' if count > 1 else ' has'} golds that contradict "
            f"each other, the first: {asked!r:.60}: `{one.answer:.40}` (problem {one.id}) and "
            f"`{other.answer:.40}` (problem {other.id}); keep one record of each, or list all that "
            "is right in it",
        )


def check_kinds(label: str, problems: Sequence[Problem]) -> Iterator[Finding]:
    """Find golds that are nothing their grader takes: words where it compares numbers."""
    unfit = [one for one in problems if one.tests is None and _unfit(one)]
    if not unfit:
        return
    first, better = unfit[0], _better(problems)
    yield Finding(
        "bad" if len(unfit) > _STRAY * len(problems) else "warn",
        f"{label}: {len(unfit)} of {len(problems)} gold answers are {_unfit(first)}, the first: "
        f"problem {first.id}: `{first.answer:.60}`; grader `{first.grader}` cannot judge them: set "
        f"`grader: {better}` for these data, or remove them",
    )


def check_sentences(label: str, problems: Sequence[Problem]) -> Iterator[Finding]:
    """Find golds that are sentences, where the grader wants them word for word."""
    asked = [one for one in problems if one.grader in ("qa", "qa_exact") and one.answer]
    length = statistics.median(len(one.answer.split()) for one in asked) if asked else 0
    if length > NAME:
        yield Finding(
            "warn",
            f"{label}: golds are sentences, {length:.0f} words at the median, and grader "
            f"`{asked[0].grader}` wants one word for word: set `grader: rouge_l`, or a `judge`",
        )


def _unfit(problem: Problem) -> str:
    return grader_of(problem).unfit(problem.answer)


def _better(problems: Sequence[Problem]) -> str:
    """Return a grader that golds ask for."""
    fits = fitting_grader(problem.answer for problem in problems) or "qa"
    length = statistics.median(len(problem.answer.split()) for problem in problems)
    return "rouge_l" if fits == "qa" and length > NAME else fits


def _answer(problem: Problem, text: str) -> Answer:
    return Answer(
        problem_id=problem.id, text=text, prompt_tokens=0, response_tokens=0, truncated=False
    )
