"""Distractors put in, through a run: who takes them, who is asked, how many stay, what is said."""

import json
from collections.abc import Callable
from itertools import islice
from pathlib import Path

import pytest

from leaf.pipeline.run import run_recipe
from leaf.playground import SPLITS, puzzles
from leaf.recipe.reading import load_recipe
from leaf.records import Counterfactual, Outcome
from leaf.store.ledger import read_ledger
from leaf.store.results import Cuts, Results
from leaf.store.store import Store

Run = Callable[..., Results]

SIZE = 100
HALF = SIZE // 2


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Runs the demo's first stages with other settings, over one store."""
    store = Store(tmp_path_factory.mktemp("store"))

    def run(*settings: str, out: Path | None = None, until: str = "verify") -> Results:
        base = [f"data.world.size={SIZE}", "attribute.controls=[]", "distill.max_steps=2"]
        recipe = load_recipe("demo-0.1", [*base, "prune.strategy=[inject]", *settings])
        folder = out or tmp_path_factory.mktemp("run")
        return run_recipe(recipe, out=folder, store=store, until=until)

    return run


def main(results: Results) -> Cuts:
    return next(iter(results.cuts.values()))


def put_in(results: Results) -> list[Counterfactual]:
    return [item for item in main(results).tried if item.strategy == "inject"]


def kept(results: Results) -> list[Counterfactual]:
    return [item for item in main(results).kept if item.strategy == "inject"]


def verdicts(results: Results) -> dict[str, tuple[Outcome | None, Outcome | None]]:
    return {
        one.counterfactual_id: (one.student, one.teacher) for one in main(results).verdicts or ()
    }


def solved(results: Results) -> set[str]:
    assert results.student
    return {score.problem_id for score in results.student[1] if score.right}


def test_only_what_the_student_solved_takes_some_and_what_it_then_fails_is_kept(
    finished: Run,
) -> None:
    results = finished()
    assert {item.problem_id for item in put_in(results)} <= solved(results)
    assert kept(results)
    said = verdicts(results)
    assert all(said[item.id][0] is not Outcome.RIGHT for item in kept(results))
    assert {teacher for _, teacher in said.values()} == {None}
    # Two a problem were tried.
    assert len(put_in(results)) > 1.5 * len({item.problem_id for item in put_in(results)})


def test_where_nothing_is_cut_nothing_is_looked_for_and_the_teacher_says_nothing_more(
    finished: Run, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    results = finished(out=tmp_path)
    assert (results.attributions, results.rankings) == ([], {})
    assert [item for item in main(results).tried if item.strategy != "inject"] == []
    shown = capsys.readouterr().err
    assert "nothing is looked for: prune.strategy only puts in" in shown
    assert "teacher on" not in (tmp_path / "report.html").read_text(encoding="utf-8")


def test_with_verified_cuts_as_a_source_there_are_cuts_and_their_texts_are_put_in(
    finished: Run,
) -> None:
    results = finished("prune.inject.sources=[verified]")
    cuts = [item for item in main(results).kept if item.strategy == "span"]
    assert cuts
    assert {item.donor for item in put_in(results)} <= {item.id for item in cuts}
    texts = {span.text.strip() for item in cuts for span in item.spans}
    assert {item.inserted.strip() for item in put_in(results)} <= texts


@pytest.mark.parametrize(("share", "most"), [("null", HALF), ("0.1", SIZE // 10), ("0", 0)])
def test_no_more_stay_than_the_share_and_first_one_a_problem(
    finished: Run, share: str, most: int
) -> None:
    results = finished(f"prune.share={share}", "verify.injections=all")
    assert len(kept(results)) == most
    assert len({item.problem_id for item in kept(results)}) == most
    key = "prune.inject.share" if share == "null" else "prune.share"
    over = [one for one in main(results).verdicts or () if not one.kept]
    assert f"more than {key} allows" in {one.reason for one in over}


def test_a_share_counts_transplants_and_injections_together(finished: Run) -> None:
    both = "prune.strategy=[transplant,inject]"
    without = finished(both)
    assert len(kept(without)) <= HALF
    results = finished(both, "prune.share=0.2")
    moved = [item for item in main(results).kept if item.strategy in {"transplant", "inject"}]
    assert len(moved) == SIZE // 5
    assert {item.strategy for item in moved} == {"transplant", "inject"}


def test_unasked_nobody_is_asked_and_no_more_are_made_than_stay(finished: Run) -> None:
    results = finished("verify.injections=unasked")
    assert len(put_in(results)) == len(kept(results)) == HALF
    assert set(verdicts(results).values()) == {(None, None)}


def test_all_problems_may_take_some(finished: Run) -> None:
    results = finished("prune.inject.hosts=all", "verify.injections=unasked", "prune.share=1")
    assert not {item.problem_id for item in put_in(results)} <= solved(results)


def test_the_teacher_may_be_asked_about_each(finished: Run) -> None:
    results = finished("verify.ambiguity=always", "verify.injections=all", "prune.share=1")
    said = verdicts(results)
    assert all(said[item.id][1] is not None for item in put_in(results))
    assert all(said[item.id][1] is Outcome.RIGHT for item in kept(results))


def test_the_teacher_is_spared_what_the_student_solves_and_the_same_ones_stay(
    finished: Run,
) -> None:
    both = ["prune.strategy=[transplant,inject]", "prune.units=[clause]", "prune.transplants=4"]
    rules = ["verify.ambiguity=always", "verify.transplants=student_wrong", "verify.effect=0.3"]
    # Problems of its own, and fewer first: what is in the store already is told.
    both.append("data.world.seed=5")
    fewer, every = (
        finished(*both, *rules, f"verify.teacher={which}")
        for which in ("if_student_right", "always")
    )
    put = [item.id for item in main(every).tried if item.strategy in {"transplant", "inject"}]
    assert {item.strategy for item in main(every).kept} == {"span", "transplant", "inject"}
    assert [item.id for item in main(every).kept] == [item.id for item in main(fewer).kept]
    before, after = verdicts(every), verdicts(fewer)
    assert all(before[one][1] is not None for one in put)
    solved = [one for one in put if before[one][0] is Outcome.RIGHT]
    assert solved
    assert [one for one in put if after[one][1] is None] == solved


def test_a_sample_says_how_many_were_refused(finished: Run) -> None:
    results = finished("verify.ambiguity=sample", "verify.ambiguity_sample=9", "verify.effect=0")
    asked = [teacher for _, teacher in verdicts(results).values() if teacher is not None]
    refused = sum(teacher is not Outcome.RIGHT for teacher in asked)
    assert len(asked) == 9
    assert results.notes == [f"ambiguity: the teacher refused {refused} of 9 sampled texts put in"]


def test_without_a_teacher_a_sample_says_what_the_students_answers_told(finished: Run) -> None:
    alone = ["teacher=self", "attribute.detector=ablation", "evaluate.teacher=false"]
    results = finished(*alone, "verify.ambiguity=sample", "verify.effect=0")
    said = main(results).verdicts or ()
    unclear = sum(verdict.reason.startswith("ambiguous") for verdict in said)
    (note,) = results.notes
    assert f"ambiguity: {unclear} of {len(said)} questions" in note
    assert "teacher" not in note


def test_where_the_student_solves_nothing_it_is_said_that_nothing_was_put_in(
    finished: Run,
) -> None:
    misled = ["data.world.size=8", "data.world.cues=1.0", "data.world.agreement=0.0"]
    results = finished(*misled)
    assert not solved(results) and not put_in(results)
    (note,) = results.notes
    assert "that is none" in note and "prune.inject.hosts: all" in note


def test_the_teacher_need_not_be_asked_about_transplants_either(finished: Run) -> None:
    results = finished("prune.strategy=[transplant]", "verify.ambiguity=off")
    moved = {item.id for item in main(results).tried if item.strategy == "transplant"}
    assert moved
    said = verdicts(results)
    assert {said[name][1] for name in moved} == {None}


def test_without_a_teacher_the_student_alone_is_asked(finished: Run) -> None:
    alone = ["teacher=self", "attribute.detector=ablation", "prune.strategy=[transplant,inject]"]
    results = finished(*alone, "verify.ambiguity=always", "evaluate.teacher=false")
    assert {teacher for _, teacher in verdicts(results).values()} == {None}
    assert kept(results)


def test_a_run_trains_on_what_was_put_in_and_its_ledger_shows_it(
    finished: Run, tmp_path: Path
) -> None:
    results = finished("verify.injections=unasked", out=tmp_path, until="distill")
    assert set(results.students) == {"kd", "leaf"}
    entries = read_ledger(tmp_path / "ledger.parquet")
    shown = [item for entry in entries for item in entry.variants]
    assert {item.id for item in shown} == {item.id for item in put_in(results)}
    assert {(item.kind, item.kept, item.student) for item in shown} == {("injection", True, None)}
    assert all(item.donor for item in shown)


def test_what_was_put_into_a_problem_without_a_response_is_counted_and_not_trained_on(
    finished: Run, tmp_path: Path
) -> None:
    data = tmp_path / "data.jsonl"
    world = islice(puzzles(SPLITS["clean"], test=False, seed=3), 20)
    rows = [
        {
            "question": made.question,
            "answer": str(made.answer),
            # Every other problem has none.
            "solution": made.solution * (at % 2),
        }
        for at, made in enumerate(world)
    ]
    data.write_text("\n".join(map(json.dumps, rows)))
    table = ["data.task=table", f"data.path={data}", "data.columns.solution=solution"]
    results = finished(*table, "verify.injections=unasked", "prune.share=1", until="distill")
    dropped = {drop.problem_id for drop in results.drops if drop.stage == "distill"}
    without = {item.id for item in kept(results) if int(item.problem_id.rpartition("-")[2]) % 2}
    assert without and without <= dropped
    assert {item.id for item in kept(results)} - without
    assert not dropped & {item.id for item in kept(results)} - without


def test_data_in_which_nothing_can_be_put_is_one_line(finished: Run, tmp_path: Path) -> None:
    data = tmp_path / "data.jsonl"
    rows = [
        {"question": f"How many pens are 2 + {at} pens?", "answer": str(at + 2)} for at in range(8)
    ]
    data.write_text("\n".join(map(json.dumps, rows)))
    settings = ["data.task=table", f"data.path={data}", "prune.inject.hosts=all"]
    results = finished(*settings, "evaluate.benchmarks={}", "attribute.reference=teacher")
    assert results.notes[-1] == (
        "nothing was put into any of 8 problems: there is only the sentence that asks (8 problems)"
    )
    assert sum("nothing was put" in note for note in results.notes) == 1
    assert [drop.reason for drop in results.drops if drop.stage == "inject"] == [
        "nothing to put in: there is only the sentence that asks"
    ] * 8
