"""The audit of real, tiny models: the playground's own, its distractors known."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from leaf.errors import StudyError
from leaf.models.files import trained
from leaf.recipe import Recipe
from leaf.recipe.reading import load_recipe
from leaf.records import Answer, Outcome, Problem, Score
from leaf.statistics import Interval
from leaf.store.store import Store
from leaf.study.case import CASES, case
from leaf.study.finding import Cell, Finding, Row, Table
from leaf.study.focus_audit import focus_audit, references_of
from leaf.study.lab import Lab, Run
from leaf.study.mass import share_on
from leaf.study.output import write_finding

SMALL = [
    "data.world.size=80",
    "prune.strategy=span",
    "attribute.controls=[]",
    "distill.max_steps=4",
    "distill.batch_size=8",
    "evaluate.resamples=100",
]


def small(benchmarks: Sequence[str], *more: str) -> Recipe:
    """Return the demo with few problems and six questions of each of some benchmarks."""
    recipe = load_recipe(
        "demo-0.1",
        [*SMALL, *(f"evaluate.benchmarks.{one}.world.size=6" for one in benchmarks), *more],
    )
    left = {one: recipe.evaluate.benchmarks[one] for one in benchmarks}
    evaluate = recipe.evaluate.model_copy(update={"benchmarks": left})
    return recipe.model_copy(update={"evaluate": evaluate})


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LEAF_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield Lab(small(["clean", "both"]), Store(tmp_path_factory.mktemp("store")))


@pytest.fixture(scope="module")
def found(lab: Lab) -> Finding:
    return focus_audit(lab)


@pytest.fixture(scope="module")
def run(lab: Lab, found: Finding) -> Run:
    """The same run, all of it in the store."""
    assert found.tables
    return lab.run({}, until="evaluate", label="again")


def row(table: Table, **labels: str) -> Row:
    (one,) = [one for one in table.rows if labels.items() <= one.labels.items()]
    return one


def value(cell: Cell) -> float:
    assert isinstance(cell, Interval)
    return cell.value


def test_verified_cuts_and_every_benchmark_with_distractors_are_audited(
    found: Finding,
) -> None:
    scopes = list(dict.fromkeys(one.labels["where"] for one in found.tables[0].rows))
    assert scopes == ["training: verified cuts", "both: planted distractors"]
    models = [one.labels["model"] for one in found.tables[0].rows]
    assert models == ["before", "KD", "LeaF", "teacher"] * len(scopes)


def test_accuracy_is_that_of_the_run(found: Finding, run: Run) -> None:
    names = {"before": "before", "kd": "KD", "leaf": "LeaF", "teacher": "teacher"}
    for arm, values in run.results.values["both"].items():
        cells = row(found.tables[0], where="both: planted distractors", model=names[arm]).cells
        assert cells["questions"] == 6
        assert value(cells["right"]) == pytest.approx(sum(values.values()) / 6)


def test_shares_are_of_the_trained_student_s_own_scores(found: Finding, run: Run) -> None:
    results, session = run.results, run.pipeline.session
    cuts = [one for one in results.cuts["gradient"].kept if one.strategy == "span"]
    pairs = {
        item.problem_id: (run.pipeline.detection.problems[item.problem_id], item.reference)
        for item in results.attributions or ()
    }
    ids = list(dict.fromkeys(one.problem_id for one in cuts))
    assert ids
    for arm, name in (("kd", "KD"), ("leaf", "LeaF")):
        source = trained(arm, results.students[arm])
        scores = session.sensitivities(
            "student", "attention", [pairs[one] for one in ids], source=source
        )
        shares = [
            share_on(
                score.starts,
                score.ends,
                score.scores,
                [span for cut in cuts if cut.problem_id == score.problem_id for span in cut.spans],
            )
            for score in scores
        ]
        cells = row(found.tables[0], where="training: verified cuts", model=name).cells
        assert value(cells["of attention"]) == pytest.approx(
            sum(one for one in shares if one is not None) / len(ids)
        )


def test_trained_students_have_scores_of_their_own(found: Finding) -> None:
    shares = [value(one.cells["of gradient"]) for one in found.tables[0].rows[:4]]
    assert len(set(shares)) == 4


def test_the_untrained_student_fails_what_was_verified_and_the_teacher_solves_it(
    found: Finding,
) -> None:
    before, _, _, teacher = found.tables[0].rows[:4]
    assert value(before.cells["right"]) == 0.0
    assert value(teacher.cells["right"]) == 1.0


def test_an_audit_is_written_with_its_picture(found: Finding, tmp_path: Path) -> None:
    names = [path.name for path in write_finding(found, tmp_path, {})]
    assert names == [f"focus-audit.{kind}" for kind in ("json", "md", "png", "svg")]


def test_nothing_to_look_at_is_one_line(lab: Lab) -> None:
    # Without distractors the student fails nothing, and this benchmark has none either.
    alone = Lab(small(["clean"], "data.world.cues=0", "data.world.asides=0"), lab.store)
    with pytest.raises(StudyError, match="names its distractors"):
        focus_audit(alone)
    with pytest.raises(StudyError, match="there is no case"):
        case(alone)


def test_cases_are_those_where_the_student_is_worst_against_the_teacher(
    lab: Lab, run: Run, tmp_path: Path
) -> None:
    shown = case(lab)
    attention, answers = shown.tables
    results = run.results
    kept = {one.problem_id for one in results.cuts["gradient"].kept}
    excess = {
        item.problem_id: item.student_loss - item.teacher_loss
        for item in results.attributions or ()
        if item.problem_id in kept
    }
    expected = sorted(excess, key=lambda one: -excess[one])[:CASES]
    assert [one.labels["problem"] for one in attention.rows] == expected
    who = [one.labels["who"] for one in answers.rows[:4]]
    assert who == ["student", "student, once pruned", "KD student", "LeaF student"]
    assert [one.cells["verdict"] for one in answers.rows[:2]] == ["wrong", "right"]
    paths = write_finding(shown, tmp_path, {})
    picture = next(path for path in paths if path.suffix == ".svg").read_text()
    assert all(one in picture for one in expected)


def test_a_trained_student_is_known_by_what_trained_it(run: Run) -> None:
    folder = run.results.students["leaf"]
    source = trained("leaf", folder)
    assert source.fingerprint == f"student@{folder.name}"
    assert (source.folder / "config.json").is_file()


def test_the_reference_is_the_data_s_solution_else_what_the_teacher_rightly_said() -> None:
    problems = [
        Problem(id=key, question="q", answer="1", solution=solution)
        for key, solution in (("a", "theirs"), ("b", ""), ("c", ""))
    ]
    answers = [
        Answer(problem_id=key, text="1", prompt_tokens=1, response_tokens=1, truncated=False)
        for key in "abc"
    ]
    outcomes = (Outcome.RIGHT, Outcome.RIGHT, Outcome.WRONG)
    scores = [
        Score(problem_id=key, outcome=outcome, extracted=None, reason=None)
        for key, outcome in zip("abc", outcomes, strict=True)
    ]
    found = references_of(problems, (answers, scores))
    assert found == {"a": "theirs", "b": "1", "c": ""}
