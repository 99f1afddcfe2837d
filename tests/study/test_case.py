"""A case as lines of a picture."""

import dataclasses

import pytest

from leaf.records import Attribution, Counterfactual, NormalisedScores, Problem, Sensitivity, Span
from leaf.study.case import Case, Said, lines_of_case, worst
from leaf.study.tinted import Line


def case_of(question: str, removed: str) -> Case:
    """Return a case whose units are words; the student leans on what was removed alone."""
    start = question.index(removed)
    end = start + len(removed)
    starts = [at for at in range(len(question)) if at == 0 or question[at - 1] == " "]
    ends = [*starts[1:], len(question)]
    student = tuple(float(start <= at < end) for at in starts)
    flat = dict.fromkeys(starts, 1.0)
    places = {"problem_id": "p", "starts": tuple(starts), "ends": tuple(ends)}
    span = Span(start=start, end=end, text=removed, gap=0.0, units=1)
    kd = Sensitivity(**places, scores=tuple(flat.values()), loss=0.0)
    # LeaF looks away from the first word alone.
    leaf = dataclasses.replace(kd, scores=(0.0, *kd.scores[1:]))
    return Case(
        problem=Problem(id="p", question=question, answer="1", solution="1"),
        focus=NormalisedScores(
            **places, teacher=(0.0,) * len(starts), student=student, gap=student
        ),
        removed=Counterfactual(
            id="p/cf0", problem_id="p", strategy="span", spans=(span,), question=""
        ),
        attention={"kd": kd, "leaf": leaf},
        said=(Said(who="student", text="7", right=False), Said(who="LeaF", text="4", right=True)),
    )


def text(line: Line) -> str:
    return "".join(piece.text for piece in line.pieces)


def test_a_case_has_four_maps_of_the_question_and_every_answer() -> None:
    lines = lines_of_case(case_of("one red pen", "red "))
    shown = [text(line) for line in lines]
    assert shown[0] == "p"
    assert shown.count("one red pen") == 4
    assert shown[-3:] == ["student (wrong): 7", "LeaF (right): 4", ""]
    student, teacher, difference, attention = [
        line for line in lines if text(line) == "one red pen"
    ]
    assert [piece.value for piece in student.pieces] == [0.0, 1.0, 0.0]
    assert [piece.value for piece in teacher.pieces] == [0.0, 0.0, 0.0]
    assert [(piece.value, piece.struck) for piece in difference.pieces] == [
        (0.0, False), (1.0, True), (0.0, False),
    ]  # fmt: skip
    # Of KD each word has a third, of LeaF the last two have half: -1/3, +1/6, +1/6.
    assert [piece.value for piece in attention.pieces] == pytest.approx([-1.0, 0.5, 0.5])
    assert any("strongest: 33.3 points" in one for one in shown)


def test_of_a_long_question_the_part_around_the_cut_is_shown() -> None:
    lines = lines_of_case(case_of("far " * 1000 + "red " + "off " * 1000, "red "))
    struck = [piece.text for line in lines for piece in line.pieces if piece.struck]
    assert struck == ["red ", "red "]
    shown = [text(line) for line in lines]
    # 4,000 characters stand before the cut and 4,004 from it on; 750 of each are shown.
    assert shown.count("… 3250 characters before") == 4
    assert shown.count("… 3254 characters after") == 4
    assert sum(len(one) for one in shown) < 4 * 1500 + 700


def test_the_worst_has_the_highest_loss_above_the_teacher_s() -> None:
    def one(key: str, student: float, teacher: float, skipped: str | None = None) -> Attribution:
        return Attribution(
            problem_id=key, reference="1", starts=(), ends=(), teacher=(), student=(),
            teacher_loss=teacher, student_loss=student, skipped=skipped,
        )  # fmt: skip

    found = worst([one("a", 2, 1.5), one("d", 3, 0), one("c", 3, 0), one("b", 9, 0, "too long")])
    assert [item.problem_id for item in found] == ["c", "d", "a"]
