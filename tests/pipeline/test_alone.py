"""A student without a teacher (`teacher: self`), and arms beside LeaF, on the demo world."""

import json
from pathlib import Path

import pytest

from leaf.errors import RecipeError
from leaf.pipeline.run import run_recipe
from leaf.pipeline.stages import Pipeline
from leaf.recipe.reading import arm_recipes, load_recipe
from leaf.records import Outcome
from leaf.store.ledger import read_ledger
from leaf.store.results import Results
from leaf.store.run_folder import ROWS, TrainingRow, read_records
from leaf.store.store import Store

SMALL = [
    "data.world.size=160",
    "distill.max_steps=2",
    "distill.batch_size=16",
    "evaluate.benchmarks={clean: {task: playground, split: clean, world: {size: 12, seed: 1}}}",
    "evaluate.resamples=100",
    "prune.transplants=1",
]
ALONE = ["teacher=self", "attribute.detector=ablation", "attribute.controls=[random]"]


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Results]:
    folder = tmp_path_factory.mktemp("alone")
    recipe = load_recipe("demo", [*SMALL, *ALONE, "attribute.reference=self", "arms={}"])
    return folder, run_recipe(recipe, out=folder / "run", store=Store(folder / "store"))


def test_no_teacher_is_asked_measured_or_evaluated(alone: tuple[Path, Results]) -> None:
    folder, results = alone
    assert results.teacher is None
    assert {v.teacher for cuts in results.cuts.values() for v in cuts.verdicts or ()} == {None}
    assert set((results.estimates or {})["clean"]) == {"before", "rft", "leaf"}
    costs = json.loads((folder / "run" / "report.json").read_text())["cost"]["stages"]
    asked = {
        stage["about"]["role"] for stage in costs if stage["kind"] in ("answers", "sensitivities")
    }
    assert "teacher" not in asked
    # Ablation decides, and its control counts as it does: nobody needs a gradient.
    assert {s["about"]["detector"] for s in costs if s["kind"] == "sensitivities"} == {"ablation"}


def test_a_cut_is_verified_when_the_student_is_right_without_it(
    alone: tuple[Path, Results],
) -> None:
    _, results = alone
    removals = [
        (item, verdict)
        for cuts in results.cuts.values()
        for item, verdict in zip(cuts.tried, cuts.verdicts or (), strict=True)
        if item.strategy == "span"
    ]
    assert len({verdict.kept for _, verdict in removals}) == 2
    assert all(verdict.kept == (verdict.student is Outcome.RIGHT) for _, verdict in removals)


def test_the_baseline_trains_on_own_right_answers_to_whole_questions(
    alone: tuple[Path, Results], tmp_path: Path
) -> None:
    folder, results = alone
    recipe = load_recipe("demo", [*SMALL, *ALONE, "attribute.reference=self", "arms={}"])
    pipeline = Pipeline(recipe, Store(folder / "store"))
    pipeline.run(until="verify", after_stage=lambda: None)
    assert results.student
    own = {
        answer.problem_id: answer.text
        for answer, score in zip(*results.student, strict=True)
        if score.right
    }
    rows = pipeline.training_sets["rft"].rows
    assert {row.problem_id: row.response for row in rows} == own
    assert not any(row.counterfactual for row in rows)
    questions = {problem.id: problem.content for problem in results.problems or ()}
    assert all(row.content == questions[row.problem_id] for row in rows)


def test_a_changed_question_trains_on_what_the_student_said_without_the_piece(
    alone: tuple[Path, Results],
) -> None:
    folder, _ = alone
    recipe = load_recipe(
        "demo", [*SMALL, *ALONE, "attribute.reference=self", "arms={}", "prune.strategy=span"]
    )
    pipeline = Pipeline(recipe, Store(folder / "store"))
    pipeline.run(until="verify", after_stage=lambda: None)
    verdicts = pipeline.results.cuts["ablation"].verdicts or ()
    said = {verdict.counterfactual_id: verdict.student_text for verdict in verdicts}
    changed = [row for row in pipeline.training_sets["leaf"].rows if row.counterfactual]
    assert changed
    assert all(row.response == said[row.id] for row in changed)


def test_of_several_own_answers_the_longest_right_one_is_trained_on(tmp_path: Path) -> None:
    few = [*SMALL, "data.world.size=24", *ALONE, "attribute.reference=self", "arms={}"]
    recipe = load_recipe("demo", [*few, "attribute.samples=3"])
    pipeline = Pipeline(recipe, Store(tmp_path))
    pipeline.run(until="verify", after_stage=lambda: None)
    sampled = {log.about.asked: log.items for log in pipeline.logs if log.kind == "answers"}
    assert sampled["samples"] == 48
    student = pipeline.results.student
    assert student
    greedy = {a.problem_id: a.text for a, s in zip(*student, strict=True) if s.right}
    rows = {row.problem_id: row.response for row in pipeline.training_sets["rft"].rows}
    assert greedy.keys() <= rows.keys()
    assert all(len(rows[name]) >= len(text) for name, text in greedy.items())


def test_what_nobody_solved_trains_on_the_solution_only_if_asked_to(tmp_path: Path) -> None:
    own = [*SMALL, *ALONE, "attribute.reference=self", "arms={}", "prune.strategy=span"]
    rows = {}
    for fallback in ("null", "gold"):
        recipe = load_recipe("demo", [*own, f"attribute.fallback={fallback}"])
        pipeline = Pipeline(recipe, Store(tmp_path))
        pipeline.run(until="verify", after_stage=lambda: None)
        rows[fallback] = {row.id: row.response for row in pipeline.training_sets["leaf"].rows}
        baseline = {row.id: row.response for row in pipeline.training_sets["rft"].rows}
        originals = pipeline.results.rows["rft"]["original"]
        # The baseline has the same originals with the same y.
        assert baseline == {name: rows[fallback][name] for name in baseline}
        assert len(baseline) == originals == pipeline.results.rows["leaf"]["original"]
    problems = {problem.id: problem for problem in pipeline.results.problems or ()}
    assert pipeline.results.student
    scores = pipeline.results.student[1]
    failed = {score.problem_id for score in scores if not score.right}
    assert failed
    added = {name: text for name, text in rows["gold"].items() if name not in rows["null"]}
    assert added == {name: problems[name].solution for name in failed}
    assert rows["null"].items() <= rows["gold"].items()
    expected = {"self": len(problems) - len(failed), "gold": len(failed)}
    assert pipeline.results.responses == {"rft": expected, "leaf": expected}
    assert not [drop for drop in pipeline.results.drops if drop.stage == "distill"]


def test_a_teachers_right_answer_comes_before_the_solution(tmp_path: Path) -> None:
    # The student's twin as teacher, since the demo's own is always right.
    twin = ["teacher.model=package:playground/models/student", "attribute.fallback=gold"]
    few = [*SMALL, "arms={}", "attribute.reference=teacher", "prune.strategy=span"]
    recipe = load_recipe("demo", [*few, *twin])
    results = run_recipe(recipe, out=tmp_path / "run", store=Store(tmp_path / "store"))
    assert results.teacher and results.problems
    pairs = list(zip(*results.teacher, strict=True))
    right = {answer.problem_id: answer.text for answer, score in pairs if score.right}
    y = {problem.id: right.get(problem.id, problem.solution) for problem in results.problems}
    rows = read_records(tmp_path / "run" / ROWS, TrainingRow, "")
    assert {row.id: row.response for row in rows if not row.strategy} == y
    ways = json.loads((tmp_path / "run" / "report.json").read_text())["ways"]
    gold = len(y) - len(right)
    assert gold
    for way in ways:
        assert way["responses"] == {"teacher": len(right), "gold": gold}


def test_the_ledger_and_the_page_say_that_nobody_else_was_asked(
    alone: tuple[Path, Results],
) -> None:
    folder, _ = alone
    entries = read_ledger(folder / "run" / "ledger.parquet")
    assert entries
    assert all(entry.teacher is None and entry.teacher_loss is None for entry in entries)
    page = (folder / "run" / "report.html").read_text()
    assert "LeaF minus RFT" in page
    assert "LeaF minus KD" not in page


def test_an_arm_of_the_recipe_goes_its_own_way_and_is_held_against_both_baselines(
    tmp_path: Path,
) -> None:
    arms = "arms={self: {teacher: self, attribute: {reference: self}}}"
    recipe = load_recipe("demo", [*SMALL, *ALONE[1:], arms])
    results = run_recipe(recipe, out=tmp_path / "run", store=Store(tmp_path / "store"))
    assert list(results.students) == ["kd", "rft", "leaf", "self"]
    assert set(results.others["clean"]) == {("self", "rft"), ("self", "kd")}
    assert results.beside["self"].teacher is None
    assert (tmp_path / "run" / "student-self" / "model.safetensors").is_file()
    page = (tmp_path / "run" / "report.html").read_text()
    assert "LeaF-self minus RFT" in page


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("attribute.detector=gradient", "compares two models"),
        ("attribute.controls=[gradient]", "compares two models"),
        ("attribute.reference=teacher", "`attribute.reference: teacher` needs a teacher"),
        ("distill.teacher=served", "`distill.teacher: served` needs a teacher"),
        ("teacher={model: self, dtype: float32}", "`teacher.dtype` has no use with teacher: self"),
        ("teacher.dtype=float32", "`teacher.dtype` has no use with teacher: self"),
        ("teacher=slef", "`teacher` must be keys, as in `teacher: {model: slef}`, or self"),
    ],
)
def test_what_needs_a_teacher_is_refused_in_one_line(override: str, said: str) -> None:
    with pytest.raises(RecipeError, match=said) as caught:
        load_recipe("demo", [*ALONE, "arms={}", override])
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("arms", "said"),
    [
        ("{kd: {teacher: self}}", "arms.kd: an arm needs a name of its own"),
        ("{'a b': {}}", "arms.a b: an arm needs a name of its own"),
        ("{own: {student: {model: x}}}", "arms.own.student: is the same for all arms"),
        ("{own: {distil: {}}}", "unknown key `distil`; did you mean `distill`"),
    ],
)
def test_a_bad_arm_is_refused_with_its_place(arms: str, said: str) -> None:
    with pytest.raises(RecipeError, match=said):
        load_recipe("demo", [f"arms={arms}"])


def test_a_teacher_named_over_self_is_one_again() -> None:
    recipe = load_recipe("demo", [*ALONE, "arms={}", "teacher.model=org/large"])
    assert not recipe.alone
    assert recipe.teaching.model == "org/large"
    assert not arm_recipes(recipe)
