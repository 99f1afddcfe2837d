"""Both models' scores side by side, on the student's units also where tokenizers differ.

Axes: S units of the student, T of the teacher, N those that both score.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from leaf.records import Attribution, Problem, Sensitivity

Floats = NDArray[np.float64]


def join(
    problems: Sequence[Problem],
    references: Sequence[str],
    teacher: Sequence[Sensitivity],
    student: Sequence[Sensitivity],
) -> list[Attribution]:
    """Put both models' scores of each problem side by side; a skipped one keeps its reason.

    Where the models cut the question alike, scores stay as they are. Elsewhere the teacher's are
    projected onto the student's units; those that the teacher does not score at all are left out.
    """
    return [
        _join_one(problem, reference, theirs, ours)
        for problem, reference, theirs, ours in zip(
            problems, references, teacher, student, strict=True
        )
    ]


def project(
    scores_T: Sequence[float],
    starts_T: Sequence[int],
    ends_T: Sequence[int],
    starts_S: Sequence[int],
    ends_S: Sequence[int],
) -> Floats:
    """Project scores onto other units by character overlap [S]; NaN where there is no overlap.

    projected_s = sum over t of overlap(s, t) score_t / sum over t of overlap(s, t), overlap in
    characters: the mean over a unit's characters, each with the score of the unit that it came
    from. Units lie in text order, do not overlap and hold at least one character each.
    """
    starts_S1, ends_S1 = np.asarray(starts_S)[:, None], np.asarray(ends_S)[:, None]
    overlap_ST = np.minimum(ends_S1, ends_T) - np.maximum(starts_S1, starts_T)
    overlap_ST = overlap_ST.clip(min=0).astype(np.float64)
    with np.errstate(invalid="ignore"):
        projected_S: Floats = overlap_ST @ np.asarray(scores_T) / overlap_ST.sum(axis=1)
    return projected_S


def _join_one(
    problem: Problem, reference: str, teacher: Sensitivity, student: Sensitivity
) -> Attribution:
    skipped = student.skipped or teacher.skipped
    kept = student
    theirs = teacher.scores
    if not skipped and (student.starts, student.ends) != (teacher.starts, teacher.ends):
        kept, theirs = _onto_student(teacher, student)
        if not theirs:
            skipped = "the two models score no character in common"
    return Attribution(
        problem_id=problem.id,
        reference=reference,
        starts=() if skipped else kept.starts,
        ends=() if skipped else kept.ends,
        teacher=() if skipped else theirs,
        student=() if skipped else kept.scores,
        teacher_loss=teacher.loss,
        student_loss=student.loss,
        skipped=skipped,
        kinds=() if skipped else kept.kinds,
    )


def _onto_student(
    teacher: Sensitivity, student: Sensitivity
) -> tuple[Sensitivity, tuple[float, ...]]:
    """Return the student's units that the teacher scores too, and the teacher's scores of them."""
    projected_S = project(
        teacher.scores, teacher.starts, teacher.ends, student.starts, student.ends
    )
    both_N = np.flatnonzero(~np.isnan(projected_S))
    kept = replace(
        student,
        starts=tuple(student.starts[at] for at in both_N),
        ends=tuple(student.ends[at] for at in both_N),
        scores=tuple(student.scores[at] for at in both_N),
    )
    return kept, tuple(projected_S[both_N].tolist())
