"""`leaf.inject`: texts put into questions, and what models make of them."""

import pytest

import leaf
from leaf.errors import RecipeError, UsageError
from tests.api.conftest import QUESTION, REFERENCE

PENS = "Ada has 3 pens. Ada gives 2 pens to Ben. How many pens does Ada have now?"
CUPS = "At first Ida has 9 cups. Ida gives 2 cups to Kim. How many cups does Ida have now?"
ALONE = "How many pens are 2 pens and 3 pens?"


def test_what_came_in_is_known_to_the_character_and_comes_back_by_question() -> None:
    made = leaf.inject(None, None, [PENS, ALONE, CUPS], ["1", "5", "7"], per=3)
    assert [item.id for item in made] == [
        *(f"q0/in{at}" for at in range(3)),
        "q1/in-none",
        *(f"q2/in{at}" for at in range(3)),
    ]
    for item in made:
        if item.place is None:
            assert item.skipped == "nothing to put in: there is only the sentence that asks"
            assert item.changed == item.question == ALONE
        else:
            end = item.place + len(item.inserted)
            assert item.changed[item.place : end] == item.inserted
            assert item.changed[: item.place] + item.changed[end:] == item.question
            assert (item.skipped, item.removed, item.strategy) == (None, (), "inject")


def test_sentences_of_one_question_go_into_others() -> None:
    made = leaf.inject(None, None, [PENS, CUPS], ["1", "7"], sources=["problems"], per=1)
    assert {item.donor.partition("/")[0] for item in made} == {"q0", "q1"}
    assert all(not item.id.startswith(item.donor.partition("/")[0]) for item in made)


def test_with_models_only_what_misleads_the_student_and_not_the_teacher_is_of_use(
    student: leaf.Model, teacher: leaf.Model
) -> None:
    questions, references = [CUPS, QUESTION, ALONE], ["9 - 2 = 7", REFERENCE, "5"]
    made = leaf.inject(student, teacher, questions, references, per=6, max_new_tokens=12)
    assert {item.skipped for item in made} <= {
        None,
        "student right already",
        "teacher wrong",
        "teacher not gradable",
        "the student fails the question without it",
        "nothing to put in: there is only the sentence that asks",
    }
    useful = [item for item in made if not item.skipped]
    said = leaf.verify(student, teacher, useful, max_new_tokens=12)
    assert all(one.student and one.student.outcome != "right" for one in said)
    assert all(one.teacher and one.teacher.outcome == "right" for one in said)


def test_a_long_reference_needs_an_answer_only_where_models_are_asked(student: leaf.Model) -> None:
    long = "She had three of them, and then she gave two away, so that there is one of them left."
    assert leaf.inject(None, None, [PENS], [long])
    with pytest.raises(UsageError, match="reference: marks no final answer"):
        leaf.inject(student, None, [PENS], [long])
    assert leaf.inject(student, None, [PENS], [long], answers={PENS: "1"}, max_new_tokens=4)


def test_wrong_arguments_are_one_line() -> None:
    with pytest.raises(RecipeError, match=r"leaf\.inject: unknown key `pre`; did you mean `per`"):
        leaf.inject(None, None, [PENS], ["1"], pre=2)
    with pytest.raises(RecipeError, match=r"leaf\.inject: `sources.0` must be 'verified'"):
        leaf.inject(None, None, [PENS], ["1"], sources=["template"])
    with pytest.raises(UsageError, match=r"sources: verified cuts are those of a run"):
        leaf.inject(None, None, [PENS], ["1"], sources=["verified"])
    with pytest.raises(UsageError, match=r"student: must be a leaf.Model"):
        leaf.inject("small", None, [PENS], ["1"])  # type: ignore[arg-type]
    with pytest.raises(UsageError, match=r"questions: .*references|references"):
        leaf.inject(None, None, [PENS], [])


def test_a_repr_says_what_came_in() -> None:
    (made,) = leaf.inject(None, None, [PENS], ["1"], sources=["templates"], per=1)
    assert repr(made) == f"Cut(q0/in0, with {made.inserted!r})"
