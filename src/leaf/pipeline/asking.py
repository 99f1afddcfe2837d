"""Who answers which of the training problems: the student all, the teacher what counts."""

from collections.abc import Sequence

from leaf.pipeline.entering import failing, outcomes
from leaf.pipeline.session import Session
from leaf.progress import say
from leaf.records import Problem
from leaf.store.results import Graded


def asked_of_teacher(
    session: Session, problems: Sequence[Problem], student: Graded
) -> list[Problem]:
    """Return the training problems that the teacher answers, given what the student answered.

    Where the teacher's answers are no y, only what the student failed can make one that counts
    (condition i); all of them if they are in the store already.
    """
    section = session.recipe.attribute
    if section.reference == "teacher" or session.has_answers("teacher", problems):
        return list(problems)
    failed = failing(problems, student, section.enter)
    return [problem for problem in problems if problem.id in failed]


def answer_all(session: Session, problems: Sequence[Problem]) -> dict[str, Graded]:
    """Let the student answer every problem and the teacher, if there is one, those that it must."""
    graded = {"student": session.answers_of("student", problems)}
    few = False
    if not session.recipe.alone:
        asked = asked_of_teacher(session, problems, graded["student"])
        few = len(asked) < len(problems)
        graded["teacher"] = session.answers_of("teacher", asked)
    for role, found in graded.items():
        only = " (asked what the student failed)" if few and role == "teacher" else ""
        say(f"{role}: {outcomes(found)}{only}")
    return graded


def still_asked(session: Session, problems: Sequence[Problem]) -> list[str]:
    """Return who has to answer training problems, since not all of it is in the store."""
    recipe = session.recipe
    if not session.has_answers("student", problems):
        return ["student"] if recipe.alone else ["student", "teacher"]
    if recipe.alone:
        return []
    before = len(session.logs)
    student = session.answers_of("student", problems)
    # The stage that answers logs what it finds.
    del session.logs[before:]
    asked = asked_of_teacher(session, problems, student)
    return [] if session.has_answers("teacher", asked) else ["teacher"]
