import pytest

from leaf.config import DistillSection
from leaf.distill import Row, counterfactual_rows, original_rows, plan_steps
from leaf.errors import DataError
from leaf.records import Counterfactual, Outcome, Problem, Score


def problem(name: str) -> Problem:
    return Problem(
        id=name, question=f"Q{name}", answer="1", solution=f"S{name}", before="<", after=">"
    )


def score(name: str, outcome: Outcome) -> Score:
    return Score(problem_id=name, outcome=outcome, extracted=None, reason=None)


def row(name: str, counterfactual: bool = False) -> Row:
    return Row(problem_id=name, content="", response="", counterfactual=counterfactual)


PROBLEMS = [problem("a"), problem("b"), problem("c")]
SCORES = {
    "a": score("a", Outcome.RIGHT),
    "b": score("b", Outcome.WRONG),
    "c": score("c", Outcome.UNGRADABLE),
}


def test_originals_are_all_problems_with_a_reference_solved_or_not():
    rows = original_rows(PROBLEMS, {"a": "ya", "b": "yb"}, SCORES, DistillSection())
    assert [(item.content, item.response) for item in rows] == [("<Qa>", "ya"), ("<Qb>", "yb")]


def test_the_ablation_keeps_only_originals_that_the_student_solved():
    section = DistillSection(student_wrong_originals=False)
    references = {"a": "ya", "b": "yb", "c": "yc"}
    assert [item.problem_id for item in original_rows(PROBLEMS, references, SCORES, section)] == [
        "a"
    ]


def test_a_counterfactual_row_is_the_pruned_prompt_with_the_same_response():
    kept = Counterfactual(id="a/cf0", problem_id="a", strategy="span", spans=(), question="cut")
    (made,) = counterfactual_rows({"a": PROBLEMS[0]}, {"a": "ya"}, [kept])
    assert (made.content, made.response, made.counterfactual) == ("<cut>", "ya", True)


@pytest.mark.parametrize("batching", ["paired", "mixed"])
def test_every_epoch_sees_every_row_once(batching):
    rows = [row("a"), row("b"), row("c"), row("a", True), row("a", True), row("c", True)]
    section = DistillSection(batching=batching, batch_size=3, epochs=2)
    seen = [at for step in plan_steps(rows, section) for at in step]
    assert sorted(seen) == sorted([*range(6), *range(6)])


def test_paired_batches_keep_an_original_with_its_counterfactuals():
    rows = [row(name) for name in "abcdef"] + [row(name, True) for name in "abcdef"]
    steps = plan_steps(rows, DistillSection(batching="paired", batch_size=4, epochs=3))
    for step in steps:
        assert len(step) <= 4
        names = [rows[at].problem_id for at in step]
        assert all(names.count(name) == 2 for name in names)


def test_the_number_of_steps_can_be_set_beyond_one_epoch():
    rows = [row("a"), row("b"), row("c")]
    steps = plan_steps(rows, DistillSection(batch_size=2, max_steps=7))
    assert len(steps) == 7


def test_the_order_depends_on_the_seed_and_on_nothing_else():
    rows = [row(str(name)) for name in range(50)]
    plans = [plan_steps(rows, DistillSection(batch_size=5, seed=seed)) for seed in (1, 1, 2)]
    assert plans[0] == plans[1]
    assert plans[0] != plans[2]


def test_a_problem_with_more_rows_than_a_batch_stays_in_one_batch():
    rows = [row("a"), *[row("a", True) for _ in range(5)], row("b")]
    steps = plan_steps(rows, DistillSection(batch_size=4, epochs=1))
    assert sorted(map(len, steps)) == [1, 6]


def test_a_plan_over_no_rows_is_refused_instead_of_never_ending():
    with pytest.raises(DataError, match="no row to train on"):
        plan_steps([], DistillSection(max_steps=3))
