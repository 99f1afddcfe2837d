"""The ledger holds all that stage 1 found out, and its counts are the report's."""

import dataclasses
import json
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import yaml

from leaf.errors import StoreError, UsageError
from leaf.pipeline.run import run_recipe
from leaf.pipeline.stages import Pipeline
from leaf.recipe import PruneSection, Recipe
from leaf.recipe.reading import check_recipe
from leaf.records import (
    Answer,
    Attribution,
    Counterfactual,
    NormalisedScores,
    Outcome,
    Problem,
    Protected,
    Score,
    Span,
    Verdict,
)
from leaf.store.ledger import Entry, read_ledger, write_ledger
from leaf.store.parquet import schema_of
from leaf.store.results import Cuts, Results
from leaf.store.store import Store


@pytest.fixture(scope="module")
def recipe(cue_pair: Path, tmp_path_factory: pytest.TempPathFactory) -> Recipe:
    # Pens have the cue and cups do not, so that a cue in cups is no problem that there is already.
    lines = (cue_pair / "train.jsonl").read_text().splitlines(keepends=True)
    kept = [line for line in lines if ("red" in line) == ("pens" in line)]
    train = tmp_path_factory.mktemp("data") / "train.jsonl"
    train.write_text("".join(kept))
    return check_recipe(
        {
            **yaml.safe_load((cue_pair / "recipe.yaml").read_text()),
            "data": {
                "task": "table",
                "path": str(train),
                "columns": {"solution": "solution"},
            },
            "attribute": {"controls": ["random"]},
            "prune": {
                "strategy": "span+transplant+substitute",
                "units": ["token", "word"],
                "rule": "quantile",
                "threshold": 0.5,
                "transplants": 2,
                "whole": ["word"],
            },
            "verify": {"teacher": "if_student_right"},
        },
        source="test",
    )


@pytest.fixture(scope="module")
def finished(recipe: Recipe, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Results]:
    folder = tmp_path_factory.mktemp("ledger")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LEAF_CACHE", str(folder / "cache"))
        results = run(recipe, folder)
    return folder, results


def run(recipe: Recipe, folder: Path, out: str = "run", until: str = "verify") -> Results:
    store = Store(str(folder / "store"))
    # Scripts name folders by text, too.
    return run_recipe(recipe, out=str(folder / out), store=store, until=until, command="again")


@pytest.fixture(scope="module")
def ledger(finished: tuple[Path, Results]) -> list[Entry]:
    return read_ledger(str(finished[0] / "run" / "ledger.parquet"))


def test_its_counts_are_the_reports(finished: tuple[Path, Results], ledger: list[Entry]) -> None:
    report: dict[str, Any] = json.loads((finished[0] / "run" / "report.json").read_text())
    steps = {step["step"]: step["count"] for step in report["steps"]}
    entered = [entry for entry in ledger if entry.entered]
    own = [(e, v) for e in ledger for v in e.variants if v.detector == "gradient"]
    cut = [(e, v) for e, v in own if v.student and v.strategy != "transplant"]
    made = [(e, v) for e, v in own if v.student and v.strategy == "transplant"]
    assert steps["student_wrong_teacher_right"] == len(entered) == 2  # of four, those with the cue
    assert steps["attributed"] == sum(bool(entry.units) for entry in entered)
    assert steps["with_span"] == len({entry.problem_id for entry, _ in cut})
    assert steps["with_verified"] == len({entry.problem_id for entry, v in cut if v.kept})
    assert steps["spans"] == len({(e.problem_id, s.start, s.end) for e, v in cut for s in v.spans})
    assert steps["counterfactuals"] == len(cut)
    assert steps["verified"] == sum(v.kept for _, v in cut) > 0
    fillers = [v for _, v in cut if v.strategy == "substitute"]
    assert steps["substitutes"] == len(fillers) > 0
    assert steps["substitutes_verified"] == sum(v.kept for v in fillers)
    assert steps["transplants"] == len(made) > 0
    assert steps["transplants_kept"] == sum(v.kept for _, v in made)
    drops = Counter({(d["stage"], d["reason"]): d["count"] for d in report["drops"]})
    found = Counter(("verify" if v.student else "prune", v.reason) for _, v in own if not v.kept)
    assert found == drops
    assert ("verify", "student wrong") in found


def test_a_guard_that_fires_is_counted_and_nothing_it_protects_is_cut(
    recipe: Recipe, finished: tuple[Path, Results], tmp_path: Path
) -> None:
    # One span of every word: the widest threshold marks them all.
    changes = {
        "prune": PruneSection(threshold=1.0, units=["word"]),
        "attribute": recipe.attribute.model_copy(update={"controls": []}),
    }
    pipeline = Pipeline(recipe.model_copy(update=changes), Store(tmp_path / "store"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LEAF_CACHE", str(finished[0] / "cache"))
        pipeline.load_problems()
        # No task names what is protected yet; this is what one for code does.
        pipeline.results.problems = [
            dataclasses.replace(problem, protected=(Protected(what="name", start=0, end=2),))
            for problem in pipeline.results.problems or ()
        ]
        pipeline.answer()
        pipeline.attribute()
        pipeline.prune()
    drops = [drop for drop in pipeline.results.drops if drop.stage == "prune"]
    said = "would cut what the answer is checked by (name)"
    assert [drop.reason for drop in drops] == [said] * 2
    assert pipeline.results.cuts["gradient"].tried == []


def test_the_controls_are_in_it_too(finished: tuple[Path, Results], ledger: list[Entry]) -> None:
    for detector, cuts in finished[1].cuts.items():
        tried = [item for entry in ledger for item in entry.tried(detector)]
        assert len(tried) == len(cuts.tried) > 0
        assert sum(item.kept for item in tried) == len(cuts.kept)


def test_an_entry_says_what_happened(finished: tuple[Path, Results], ledger: list[Entry]) -> None:
    results = finished[1]
    assert results.student and results.teacher and results.problems
    answers = {answer.problem_id: answer.text for answer in results.student[0]}
    problems = {problem.id: problem for problem in results.problems}
    for entry in ledger:
        problem = problems[entry.problem_id]
        assert (entry.question, entry.answer) == (problem.question, problem.answer)
        assert entry.student.text == answers[problem.id]
        assert entry.student.outcome == ("wrong" if entry.entered else "right")
        assert [unit.text for unit in entry.units] == [
            problem.question[unit.start : unit.end] for unit in entry.units
        ]
        if entry.entered:
            gaps = [unit.gap for unit in entry.units if unit.gap is not None]
            assert (min(gaps), max(gaps)) == (0.0, 1.0)
            raw = [unit.student_raw for unit in entry.units]
            scaled = [(value - min(raw)) / (max(raw) - min(raw)) for value in raw]
            assert [unit.student for unit in entry.units] == pytest.approx(scaled)
        for variant in entry.variants:
            if variant.strategy == "span" and variant.student:
                (span,) = variant.spans
                assert (
                    variant.question
                    == problem.question[: span.start] + problem.question[span.end :]
                )
            if variant.kept:
                assert variant.reason == "kept"
                assert variant.teacher and variant.teacher.outcome == "right"
            if variant.strategy != "transplant" and variant.kept:
                assert variant.student and variant.student.outcome == "right"


def test_what_each_detector_ranked_is_there(ledger: list[Entry]) -> None:
    (entry, *_) = [entry for entry in ledger if entry.entered]
    own = entry.rankings[0]
    assert (own.detector, own.unit) == ("gradient", "token")
    assert [(unit.start, unit.end) for unit in own.units] == [
        (unit.start, unit.end) for unit in entry.units
    ]
    # 1 is what would be cut first, so the units' gap turned round.
    assert [unit.score for unit in own.units] == [1.0 - (unit.gap or 0.0) for unit in entry.units]
    assert {ranking.detector for ranking in entry.rankings} == {
        variant.detector for variant in entry.variants
    }
    assert all(0.0 <= unit.score <= 1.0 for ranking in entry.rankings for unit in ranking.units)


def test_hosts_of_transplants_are_told_from_what_entered(ledger: list[Entry]) -> None:
    hosts = [entry for entry in ledger if not entry.entered]
    assert hosts
    for entry in hosts:
        assert {item.strategy for item in entry.variants} == {"transplant"}
        assert (entry.units, entry.reference, entry.student_loss) == ((), "", None)


def test_a_run_that_was_cut_short_writes_the_same_bytes(
    recipe: Recipe, finished: tuple[Path, Results], tmp_path: Path
) -> None:
    folder = finished[0]
    written = (folder / "run" / "ledger.parquet").read_bytes()
    shutil.copytree(folder / "store", tmp_path / "store")
    # As a kill leaves it: the last answers were not finished.
    last = max((tmp_path / "store" / "answers").iterdir(), key=lambda found: found.stat().st_ctime)
    (last / "done.json").unlink()
    (last / "part-00000.parquet").unlink()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LEAF_CACHE", str(folder / "cache"))
        run(recipe, tmp_path, until="prune")
        assert not (tmp_path / "run" / "ledger.parquet").exists()
        run(recipe, tmp_path)
    assert (tmp_path / "run" / "ledger.parquet").read_bytes() == written


def test_another_recipe_in_the_folder_leaves_no_ledger_that_is_not_its_own(
    recipe: Recipe, finished: tuple[Path, Results], tmp_path: Path
) -> None:
    folder = finished[0]
    shutil.copytree(folder / "store", tmp_path / "store")
    shutil.copytree(folder / "run", tmp_path / "run")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LEAF_CACHE", str(folder / "cache"))
        run(recipe, tmp_path, until="answers")
        assert (tmp_path / "run" / "ledger.parquet").exists()
        run(recipe.model_copy(update={"name": "other"}), tmp_path, until="answers")
    assert not (tmp_path / "run" / "ledger.parquet").exists()


def test_one_problem_is_read_alone(finished: tuple[Path, Results], ledger: list[Entry]) -> None:
    path = finished[0] / "run" / "ledger.parquet"
    assert read_ledger(path, ledger[1].problem_id) == [ledger[1]]
    assert read_ledger(path, "nobody") == []


def score(name: str, outcome: Outcome) -> tuple[Answer, Score]:
    answer = Answer(problem_id=name, text="7", prompt_tokens=1, response_tokens=1, truncated=False)
    return answer, Score(problem_id=name, outcome=outcome, extracted="7", reason=None)


def scored(name: str, **changes: Any) -> Attribution:
    values: dict[str, Any] = {
        "problem_id": name,
        "reference": "4",
        "starts": (0, 2),
        "ends": (2, 5),
        "teacher": (0.5, 0.25),
        "student": (1.0, 3.0),
        "teacher_loss": 0.1,
        "student_loss": 0.2,
    }
    return Attribution(**(values | changes))


def made(
    names: list[str],
    attributions: list[Attribution],
    focus: list[NormalisedScores],
    cuts: dict[str, tuple[list[Counterfactual], list[Verdict]]],
) -> list[Entry]:
    student = [score(name, Outcome.WRONG) for name in names]
    teacher = [score(name, Outcome.RIGHT) for name in names]
    results = Results(
        problems=[Problem(id=name, question="a bcd", answer="4", solution="4") for name in names],
        student=([a for a, _ in student], [s for _, s in student]),
        teacher=([a for a, _ in teacher], [s for _, s in teacher]),
        attributions=attributions,
        focus=focus,
        cuts={
            detector: Cuts(counterfactuals=cut, verdicts=verdicts)
            for detector, (cut, verdicts) in cuts.items()
        },
    )
    return list(results.entries())


def test_a_problem_without_scores_is_there_with_its_reason() -> None:
    lost = scored("p", starts=(), ends=(), teacher=(), student=(), skipped="too long")
    (entry,) = made(["p", "q"], [lost], [], {})
    assert (entry.problem_id, entry.skipped, entry.units) == ("p", "too long", ())
    assert (entry.student_loss, entry.teacher_loss) == (None, None)


def test_scores_without_a_ranking_stay_raw() -> None:
    (entry,) = made(["p"], [scored("p", student=(1.0, 1.0))], [], {})
    assert [(unit.student_raw, unit.gap) for unit in entry.units] == [(1.0, None), (1.0, None)]
    assert [unit.text for unit in entry.units] == ["a ", "bcd"]


def test_different_spans_are_listed_once_in_text_order() -> None:
    late = Span(start=2, end=5, text="bcd", gap=0.1, units=1)
    first = Span(start=0, end=2, text="a ", gap=0.0, units=1)
    cuts = [
        Counterfactual(
            id=f"p/cf{number}", problem_id="p", strategy="span", spans=spans, question="x"
        )
        for number, spans in enumerate([(late,), (first,), (first, late)])
    ]
    verdicts = [
        Verdict(
            counterfactual_id=cut.id,
            problem_id="p",
            student=Outcome.WRONG,
            teacher=None,
            student_text="7",
            teacher_text=None,
            kept=False,
            reason="student wrong",
        )
        for cut in cuts
    ]
    (entry,) = made(["p"], [scored("p")], [], {"gradient": (cuts, verdicts)})
    assert entry.spans == (first, late)
    assert [variant.teacher for variant in entry.variants] == [None] * 3


def test_more_entries_than_a_row_group_come_back_in_order(tmp_path: Path) -> None:
    names = [f"p{number}" for number in range(600)]
    found = made(names, [scored(name) for name in names], [], {})
    path = tmp_path / "ledger.parquet"
    write_ledger(path, iter(found))
    assert read_ledger(path) == found
    assert read_ledger(path, "p599") == [found[599]]
    assert pq.ParquetFile(path).num_row_groups > 1


def test_an_empty_ledger_has_its_columns(tmp_path: Path) -> None:
    write_ledger(tmp_path / "l.parquet", [])
    assert read_ledger(tmp_path / "l.parquet") == []
    assert pq.read_schema(tmp_path / "l.parquet").names == schema_of(Entry).names


def test_what_is_not_a_ledger_is_said_in_one_line(tmp_path: Path) -> None:
    path = tmp_path / "ledger.parquet"
    with pytest.raises(UsageError, match=r"ledger\.parquet: not there; `leaf run` with its recipe"):
        read_ledger(path)
    path.write_bytes(b"PAR1 and no more")
    with pytest.raises(StoreError, match=r"ledger\.parquet: damaged; `leaf run` with its recipe"):
        read_ledger(path)
    pq.write_table(schema_of(Entry).empty_table(), path)
    with pytest.raises(UsageError, match="has format none, but this version of leaf reads 2 and 3"):
        read_ledger(path)


def test_every_column_is_described_in_the_docs() -> None:
    page = Path(__file__).parents[2] / "docs" / "ledger.md"
    rows = {line.split("`")[1] for line in page.read_text().splitlines() if line.startswith("| `")}
    assert rows == set(columns(schema_of(Entry)))


def columns(fields: Any, prefix: str = "") -> list[str]:
    """Dotted names of a schema's columns; a list's element has the list's name."""
    found = []
    for field in fields:
        kind = field.type
        while hasattr(kind, "value_type"):
            kind = kind.value_type
        found.append(prefix + field.name)
        if hasattr(kind, "fields"):
            found += columns(kind.fields, f"{prefix}{field.name}.")
    return found
