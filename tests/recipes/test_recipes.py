from pathlib import Path

import pytest

from leaf.pipeline.benchmarks import load_benchmarks
from leaf.recipe.reading import arm_recipes, dump_recipe, load_recipe, recipe_names
from leaf.tasks import TASKS, load_problems, read_problems
from leaf.tasks.overlap import overlap
from tests.marks import DATA, needs_data

SHIPPED = {
    "demo",
    "gsm8k",
    "paper/llama-1b-code",
    "paper/llama-1b-math",
    "paper/llama-1b-qa",
    "paper/llama-3b-math",
    "paper/qwen-math",
}


def test_the_recipes_that_the_documents_name_are_shipped() -> None:
    assert set(recipe_names()) >= SHIPPED


@pytest.mark.parametrize("name", recipe_names())
def test_a_shipped_recipe_loads_and_survives_writing_and_reading(name: str, tmp_path: Path) -> None:
    recipe = load_recipe(name)
    copy = tmp_path / "copy.yaml"
    copy.write_text(dump_recipe(recipe), encoding="utf-8")

    assert load_recipe(str(copy)) == recipe
    assert recipe.description


@pytest.mark.parametrize("name", recipe_names())
def test_a_shipped_recipe_names_only_tasks_that_exist(name: str) -> None:
    recipe = load_recipe(name)

    assert {part.task for part in (recipe.data, *recipe.evaluate.benchmarks.values())} <= set(TASKS)


@pytest.mark.parametrize("name", sorted(SHIPPED - {"demo"}))
def test_a_shipped_recipe_names_models_by_hub_id(name: str) -> None:
    recipe = load_recipe(name)

    for model in (recipe.student.model, recipe.teacher.model):
        owner, slash, repository = model.partition("/")
        assert owner and slash and repository
        assert "/" not in repository


@pytest.mark.parametrize(
    ("name", "batch_size", "cutoff", "threshold"),
    [
        # Table 10 for batch size and sequence length, section 4.3 and Table 7 for the threshold.
        ("paper/llama-1b-math", 64, 4096, 0.10),
        ("paper/llama-3b-math", 64, 3000, 0.05),
        ("paper/qwen-math", 32, 4096, 0.10),
    ],
)
def test_a_paper_recipe_has_the_papers_settings(
    name: str, batch_size: int, cutoff: int, threshold: float
) -> None:
    recipe = load_recipe(name)
    distill = recipe.distill

    assert (distill.batch_size, distill.cutoff) == (batch_size, cutoff)
    assert (distill.learning_rate, distill.warmup_steps, distill.epochs) == (1e-5, 5, 3)
    assert distill.max_steps is None
    assert (recipe.prune.rule, recipe.prune.threshold) == ("value", threshold)
    # Section 3.1: 16,384 new tokens for math.
    assert recipe.generate.max_new_tokens == 16384


def test_a_recipe_that_extends_another_keeps_what_it_does_not_say() -> None:
    above, below = load_recipe("paper/llama-3b-math"), load_recipe("paper/llama-1b-math")

    assert above.student.model != below.student.model
    assert above.teacher == below.teacher
    assert above.data == below.data
    assert above.distill.model_copy(update={"cutoff": 4096}) == below.distill


def test_a_file_of_ones_own_may_extend_a_shipped_recipe(tmp_path: Path) -> None:
    own = tmp_path / "own.yaml"
    own.write_text("extends: demo\nname: own\ndistill: {max_steps: 3}\n")

    recipe = load_recipe(str(own))

    assert (recipe.name, recipe.distill.max_steps) == ("own", 3)
    assert recipe.data == load_recipe("demo").data


def test_the_demo_trains_and_tests_on_different_problems_of_every_split() -> None:
    recipe = load_recipe("demo")

    train = {problem.question for problem in load_problems(recipe.data)}
    tests = {name: load_problems(part) for name, part in recipe.evaluate.benchmarks.items()}

    assert list(tests) == ["clean", "agree", "conflict", "numeric", "both"]
    assert {name: part.split for name, part in recipe.evaluate.benchmarks.items()} == {
        name: name for name in tests
    }
    for problems in tests.values():
        assert train.isdisjoint(problem.question for problem in problems)


def test_the_demo_needs_nothing_from_elsewhere() -> None:
    recipe = load_recipe("demo")

    assert recipe.student.model.startswith("package:")
    assert recipe.teacher.model.startswith("package:")
    assert {recipe.data.task, *(p.task for p in recipe.evaluate.benchmarks.values())} == {
        "playground"
    }


@needs_data
@pytest.mark.parametrize("name", ["distracted", "distracted-cpu"])
def test_a_student_that_is_to_be_less_distracted_is_tested_on_pairs_that_nobody_trained_on(
    name: str,
) -> None:
    folder = str(DATA / "problemathic")
    whole = load_recipe(name)
    tests = whole.evaluate.benchmarks
    words = [f"evaluate.benchmarks.{each}.path={folder}" for each in tests]
    recipe = load_recipe(name, [f"data.path={folder}", *words])

    benchmarks = load_benchmarks(recipe.evaluate, recipe.generate)  # each variant has its base

    trained, _ = read_problems(recipe.data)
    assert not any(one.base for one in trained)
    assert {one.id.partition("-")[0] for one in trained} == {"simple", "complex"}
    for one in benchmarks.values():
        shared = overlap(one.problems, trained)
        assert not (shared.exact or shared.near)
    assert {each: part.against for each, part in tests.items()} == {
        "simple": None,
        "simple_distracted": "simple",
        "complex": None,
        "complex_distracted": "complex",
    }
    arms = arm_recipes(recipe)
    assert arms["self"].alone
    assert arms["augment"].distill == recipe.distill.model_copy(update={"teacher_sees": "same"})


PASSAGES = {
    "hotpotqa": "hotpotqa/dev_distractor_eval500.jsonl",
    "2wiki": "2wiki/dev_official10_200.jsonl",
    "musique": "musique/dev_official20_200.jsonl",
}


@needs_data
def test_a_student_of_passages_is_tested_on_the_same_questions_with_and_without_others() -> None:
    names = [f"{each}{end}" for each in PASSAGES for end in ("", "_distracted")]
    files = {each: DATA / PASSAGES[each.removesuffix("_distracted")] for each in names}
    words = [f"evaluate.benchmarks.{each}.path={file}" for each, file in files.items()]
    data = DATA / "nq" / "nq_open_10docs_rebuilt_bm25.jsonl.gz"
    recipe = load_recipe("passages-cpu", [f"data.path={data}", "data.limit=50", *words])
    tests = load_benchmarks(recipe.evaluate, recipe.generate)
    assert list(tests) == names
    for name in PASSAGES:
        alone, among = tests[name].problems, tests[f"{name}_distracted"].problems
        assert [one.id for one in alone] == [one.id for one in among]
        assert not any(one.distractors for one in alone)
        assert all(one.distractors for one in among)
        assert [one.answer for one in alone] == [one.answer for one in among]
    trained, _ = read_problems(recipe.data)
    assert not any(one.distractors for one in trained)
    assert all(one.question.count("Document [") == 1 for one in trained)
    assert recipe.alone
    # Two contexts on what is put in, and the same answers to originals.
    section = arm_recipes(recipe)["contexts"].distill
    assert section.cross_entropy_of(changed=False) == 1
    assert section.cross_entropy_of(changed=True) == 0


def test_passages_are_tested_among_as_many_on_either_machine() -> None:
    whole, small = load_recipe("passages"), load_recipe("passages-cpu")
    assert list(whole.evaluate.benchmarks) == list(small.evaluate.benchmarks)
    for recipe in (whole, small):
        for name, section in recipe.evaluate.benchmarks.items():
            assert section.passages is not None
            assert (section.passages > 1) == name.endswith("_distracted")
