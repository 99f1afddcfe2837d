"""Which problems enter detection: the student failed them, and the teacher solved them."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace

from leaf.errors import ChatError
from leaf.grade.judgement import GOLD_UNREADABLE, NO_TESTS, NOT_COMPARED
from leaf.models.prompt_format import PromptFormat
from leaf.records import Answer, Outcome, Problem, Score, Verdict
from leaf.store.results import Graded

KINDS = ("wrong", "no answer", "cut")
"""How a student fails: graded wrong; ended by itself without a final answer that can be read; cut
at the token limit before one. The last two enter only with `attribute.enter: failed`."""


def shown(
    problems: Sequence[Problem], chats: Sequence[PromptFormat]
) -> tuple[list[Problem], list[str]]:
    """Return the problems that every model can be shown, and of the others a line that says why.

    A template may read what stands in a text ("/think") and take it out.
    """
    kept, lines = [], []
    for problem in problems:
        try:
            for chat in chats:
                chat.render(problem.content, problem.turns)
        except ChatError as error:
            lines.append(f"{problem.id}: {error}")
        else:
            kept.append(problem)
    return kept, lines


def failing(problems: Sequence[Problem], student: Graded, rule: str) -> dict[str, str]:
    """Return the problems that the student failed, each with its kind, a name of `KINDS`.

    A failed request and a gold answer that nobody can read are no failure of the student.

    Args:
        problems: All that were asked.
        student: Its answers to these, in that order.
        rule: `wrong` or `failed`.
    """
    kinds = {
        problem.id: kind_of(answer, score)
        for problem, answer, score in zip(problems, *student, strict=True)
    }
    return {
        name: kind
        for name, kind in kinds.items()
        if kind is not None and (rule == "failed" or kind == "wrong")
    }


def entering(
    problems: Sequence[Problem], student: Graded, teacher: Graded | None, rule: str
) -> dict[str, str]:
    """Return the problems that enter detection: those of `failing` that the teacher solves.

    Where the student was cut the teacher must have ended in time; without a teacher the answer to
    a cut question has to.

    Args:
        problems: All that were asked.
        student: Its answers to these, in that order.
        teacher: Its answers to what `failing` returns at least; None: there is none.
        rule: `wrong` or `failed`.
    """
    found = failing(problems, student, rule)
    if teacher is None:
        return found
    solved = {
        answer.problem_id: not answer.truncated
        for answer, score in zip(*teacher, strict=True)
        if score.right
    }
    return {
        name: kind
        for name, kind in found.items()
        if name in solved and (kind != "cut" or solved[name])
    }


def kind_of(answer: Answer, score: Score) -> str | None:
    """Return how an answer failed, a name of `KINDS`; None: it did not, or not by itself."""
    if score.outcome is Outcome.WRONG:
        return "wrong"
    # What is no fault of the answer says nothing of the student.
    others = (GOLD_UNREADABLE, NO_TESTS, NOT_COMPARED)
    if score.right or answer.failure or (score.reason or "").startswith(others):
        return None
    return "cut" if answer.truncated else "no answer"


def in_time(verdict: Verdict, answer: Answer, entered: Mapping[str, str]) -> Verdict:
    """Let go of a cut that leaves the student cut at the limit, as it was on the whole question.

    Without a teacher that ended in time nothing else says that the question can be answered so.

    Args:
        verdict: Of a cut question.
        answer: The student's to it.
        entered: What `entering` returned.
    """
    if verdict.kept and answer.truncated and entered.get(verdict.problem_id) == "cut":
        return replace(verdict, kept=False, reason="student right, but cut at the token limit")
    return verdict


def in_words(entered: Mapping[str, str], *, alone: bool = False) -> str:
    """Say how the student failed what enters: `student wrong, teacher right`, or each kind.

    `alone` there is no teacher.
    """
    kinds, teacher = Counter(entered.values()), "" if alone else "teacher right"
    if not set(kinds) - {"wrong"}:
        return ", ".join(filter(None, ("student wrong", teacher)))
    said = {"wrong": "wrong", "no answer": "without a final answer", "cut": "cut at the limit"}
    each = ", ".join(f"{kinds[kind]} {said[kind]}" for kind in KINDS)
    return "; ".join(filter(None, (f"student {each}", teacher)))


def outcomes(graded: Graded) -> str:
    """Count a model's answers: `0 right, 3 wrong, 17 not gradable: cut at the limit`.

    Of several reasons why answers could not be graded the most frequent is said, with its count.
    """
    counts = Counter(score.outcome for score in graded[1])
    said = f"{counts[Outcome.RIGHT]} right, {counts[Outcome.WRONG]} wrong"
    reasons = Counter(
        "cut at the limit" if answer.truncated else answer.failure or score.reason or "no reason"
        for answer, score in zip(*graded, strict=True)
        if score.outcome is Outcome.UNGRADABLE
    )
    if not reasons:
        return said
    ((reason, count),) = reasons.most_common(1)
    which = reason if len(reasons) == 1 else f"{count} {reason}"
    return f"{said}, {reasons.total()} not gradable: {which}"
