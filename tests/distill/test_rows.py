import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from leaf.distill import (
    TrainingExample,
    counterfactual_rows,
    encode_rows,
    original_rows,
    plan_steps,
)
from leaf.errors import DataError
from leaf.models.files import find
from leaf.models.load import load_tokenizer
from leaf.models.prompt_format import PromptFormat
from leaf.recipe import DistillSection, ModelSection
from leaf.records import Counterfactual, Outcome, Problem, Score
from leaf.store.keys import plain


def problem(name: str) -> Problem:
    return Problem(
        id=name, question=f"Q{name}", answer="1", solution=f"S{name}", before="<", after=">"
    )


def score(name: str, outcome: Outcome) -> Score:
    return Score(problem_id=name, outcome=outcome, extracted=None, reason=None)


def row(name: str, counterfactual: bool = False) -> TrainingExample:
    return TrainingExample(problem_id=name, content="", response="", counterfactual=counterfactual)


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


def test_at_response_level_the_cut_beginning_is_context_and_the_rest_is_learned(
    cue_pair: Path,
) -> None:
    within = Problem(
        id="a/r1",
        prompt="How many pens?",
        before="One. ",
        question="Two red.",
        answer="4",
        solution=" Four.",
    )
    kept = Counterfactual(
        id="a/r1/cf0", problem_id="a/r1", strategy="span", spans=(), question="Two."
    )
    (made,) = counterfactual_rows({"a/r1": within}, {"a/r1": " Four."}, [kept], {"a/r1": "a"})
    # Batched with its problem's original; nothing of the message is cut.
    assert (made.problem_id, made.content, made.counterfactual) == ("a", "How many pens?", True)
    assert (made.response_prefix, made.response) == ("One. Two.", " Four.")
    chat = PromptFormat(
        load_tokenizer(find(ModelSection(model=str(cue_pair / "student")))), name="tiny"
    )
    (sample,), _ = encode_rows(chat, [made], 1000)
    item = sample.tokens
    learned = item.ids[item.prompt_length :]
    assert chat.tokenizer.decode(learned) == " Four.<|im_end|>"
    assert chat.tokenizer.decode(item.ids[: item.prompt_length]) == (
        "<|im_start|>user\nHow many pens?<|im_end|>\n<|im_start|>assistant\nOne. Two."
    )


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


def plan_of_tokens(lengths: list[int], **settings: Any) -> list[list[int]]:
    rows = [row(str(name)) for name in range(len(lengths))]
    return plan_steps(rows, DistillSection(**settings), lengths)


# Twelve rows of 5 tokens, three a step: 15 tokens a step.
FIVES = [5] * 12


@pytest.mark.parametrize(
    ("budget", "steps"),
    [
        (15, 1),
        (29, 1),
        (30, 2),
        (44, 2),
        (45, 3),
        (60, 4),  # one pass
        (75, 5),
        (1000, 66),  # 16 passes and a half
    ],
)
@pytest.mark.parametrize("batching", ["paired", "mixed"])
def test_as_many_steps_are_made_as_the_tokens_allow_over_however_many_passes(
    batching: str, budget: int, steps: int
) -> None:
    plan = plan_of_tokens(FIVES, batch_size=3, max_tokens=budget, batching=batching, epochs=1)
    assert len(plan) == steps


@pytest.mark.parametrize("budget", [1, 4, 5, 14])
def test_one_step_is_made_even_where_it_costs_more_than_there_is(budget: int) -> None:
    assert len(plan_of_tokens(FIVES, batch_size=3, max_tokens=budget)) == 1


@pytest.mark.parametrize("seed", range(20))
def test_the_plan_stops_before_the_step_that_would_cost_too_much(seed: int) -> None:
    rng = random.Random(seed)
    lengths = [rng.randint(1, 40) for _ in range(30)]
    free = plan_of_tokens(lengths, batch_size=4, max_steps=100, seed=seed)
    budget = rng.randint(160, 1500)  # more than any step of four rows costs
    plan = plan_of_tokens(lengths, batch_size=4, max_tokens=budget, seed=seed)
    # The steps are the first ones of the plan without a budget, as long as they are affordable.
    assert plan == free[: len(plan)]
    costs = [sum(lengths[at] for at in step) for step in free]
    assert sum(costs[: len(plan)]) <= budget < sum(costs[: len(plan) + 1])


def test_a_small_step_after_one_that_costs_too_much_is_not_made_either() -> None:
    # Steps of 1, 1 and 50 tokens: nothing follows the one of 50, wherever the seed puts it.
    places = set()
    for seed in range(10):
        order = plan_of_tokens([1, 1, 50], batch_size=1, epochs=1, seed=seed)
        place = order.index([2])
        places.add(place)
        plan = plan_of_tokens([1, 1, 50], batch_size=1, max_tokens=10, seed=seed)
        assert plan == order[: max(place, 1)]
    assert places == {0, 1, 2}


@pytest.mark.parametrize(("most_steps", "steps"), [(2, 2), (3, 3), (9, 4)])
def test_steps_and_tokens_both_limit_where_both_are_given(most_steps: int, steps: int) -> None:
    # 60 tokens are four steps.
    plan = plan_of_tokens(FIVES, batch_size=3, max_tokens=60, max_steps=most_steps)
    assert len(plan) == steps


def test_lengths_change_nothing_without_a_limit_of_tokens() -> None:
    rows = [row(str(name)) for name in range(12)]
    section = DistillSection(batch_size=5, epochs=2)
    assert plan_steps(rows, section, FIVES) == plan_steps(rows, section)


def test_what_a_row_is_called_names_no_student():
    row = TrainingExample(problem_id="a", content="c", response="r", counterfactual=True)
    assert plain(replace(row, id="a/cf0", strategy="span")) == plain(row)
    assert plain(row) == {
        "problem_id": "a",
        "content": "c",
        "response": "r",
        "counterfactual": True,
    }
