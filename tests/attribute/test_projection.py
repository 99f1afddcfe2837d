"""Two models' scores side by side: as they are, or projected by character overlap."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from leaf.attribute import join
from leaf.attribute.projection import project
from leaf.models.files import find
from leaf.models.load import load_tokenizer
from leaf.models.prompt_format import PromptFormat
from leaf.recipe import ModelSection
from leaf.records import Problem, Sensitivity
from tests.marks import OFFLINE

TEXT = "Ada has 12 pens."
ASKED = Problem(id="p", question=TEXT, answer="", solution="")


def scored(borders: list[int], scores: list[float], skipped: str | None = None) -> Sensitivity:
    """Units that tile the text between borders."""
    return Sensitivity(
        problem_id="p",
        starts=tuple(borders[:-1]),
        ends=tuple(borders[1:]),
        scores=tuple(scores),
        loss=0.5,
        skipped=skipped,
    )


def one(teacher: Sensitivity, student: Sensitivity):
    (found,) = join([ASKED], ["y"], [teacher], [student])
    return found


def test_the_same_units_keep_every_bit_of_their_scores() -> None:
    teacher, student = [0.1, 1 / 3, 2e-9], [0.7, 0.1 + 0.2, 5.0]
    found = one(scored([0, 4, 10, 16], teacher), scored([0, 4, 10, 16], student))
    assert (found.teacher, found.student) == (tuple(teacher), tuple(student))
    assert (found.starts, found.ends) == ((0, 4, 10), (4, 10, 16))


def test_a_teachers_scores_are_the_mean_over_the_characters_of_a_students_unit() -> None:
    # Student: 4 and 12 characters. Teacher: 1, 2, 4 and 9 characters with 8, 2, 5 and 1.
    # First unit: (1 x 8 + 2 x 2 + 1 x 5) / 4; second: (3 x 5 + 9 x 1) / 12.
    found = one(scored([0, 1, 3, 7, 16], [8.0, 2.0, 5.0, 1.0]), scored([0, 4, 16], [0.3, 0.6]))
    assert found.teacher == pytest.approx((17 / 4, 24 / 12))
    assert found.student == (0.3, 0.6)
    assert (found.starts, found.ends) == ((0, 4), (4, 16))


def test_a_unit_that_the_teacher_does_not_score_is_left_out() -> None:
    # The teacher's template took the first three characters, so it scores from 3 to 16.
    found = one(scored([3, 16], [2.0]), scored([0, 3, 8, 16], [0.3, 0.6, 0.9]))
    assert (found.starts, found.ends) == ((3, 8), (8, 16))
    assert (found.teacher, found.student) == ((2.0, 2.0), (0.6, 0.9))


def test_nothing_in_common_is_a_reason_and_a_reason_is_kept() -> None:
    apart = one(scored([0, 3], [2.0]), scored([3, 8], [1.0]))
    assert apart.skipped == "the two models score no character in common"
    assert (apart.starts, apart.teacher, apart.student) == ((), (), ())
    empty = scored([0], [], "too long")
    assert one(empty, scored([0, 3], [2.0])).skipped == "too long"


@given(st.data())
def test_projection_is_a_mean_of_characters_whatever_the_units(data: st.DataObject) -> None:
    length = data.draw(st.integers(2, 30))

    def cut() -> list[int]:
        return [0, *sorted(data.draw(st.sets(st.integers(1, length - 1)))), length]

    ours, theirs = cut(), cut()
    scores = [data.draw(st.floats(0, 10)) for _ in theirs[1:]]
    by_character = np.repeat(scores, np.diff(theirs))
    naive = [by_character[a:b].mean() for a, b in pairwise(ours)]
    found = project(scores, theirs[:-1], theirs[1:], ours[:-1], ours[1:])
    assert found == pytest.approx(naive)


FILES = [OFFLINE / "qwen2.5-coder-0.5b.gguf", OFFLINE / "smollm2-135m.gguf"]


@pytest.mark.real
@pytest.mark.skipif(
    not all(path.is_file() for path in FILES),
    reason="not here: tools/offline_models.py smollm2-135m qwen2.5-coder-0.5b",
)
def test_real_families_meet_on_the_students_tokens_with_every_character_accounted_for() -> None:
    text = "A 12345-page héroïne☃ weighs 3.75 kg;\nTom's antidisestablishmentarianism is 10%."
    problem = Problem(id="p", question=text, answer="", solution="")
    units = []
    for path in FILES:
        chat = PromptFormat(load_tokenizer(find(ModelSection(model=str(path)))), name=path.name)
        units.append(chat.prompt(problem).units)
    ours, theirs = ([(unit.start, unit.end) for unit in found] for found in units)
    assert ours != theirs
    # A score that is the place of its unit's middle character, so that projections must stay near.
    scores = [(start + end - 1) / 2 for start, end in theirs]
    student = scored([start for start, _ in ours] + [len(text)], [1.0] * len(ours))
    teacher = scored([start for start, _ in theirs] + [len(text)], scores)
    (found,) = join([problem], ["y"], [teacher], [student])
    assert (found.starts, found.ends) == (student.starts, student.ends)
    by_character = np.repeat(scores, [end - start for start, end in theirs])
    naive = [by_character[start:end].mean() for start, end in ours]
    assert found.teacher == pytest.approx(naive)
