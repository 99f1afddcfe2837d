"""The benchmark of real models: figures by hand from kept answers, and a run that is kept."""

import gzip
import json
import math
import re
from collections.abc import Mapping
from pathlib import Path

import pytest
from scipy import stats

from benchmarks import _keep, _kept, _real, real
from benchmarks._kept import packed
from leaf.errors import DataError, LeafError, ModelError, UsageError
from leaf.pipeline.run import run_recipe
from leaf.recipe.reading import load_recipe
from leaf.records import Answer
from leaf.statistics import compare_values
from leaf.store.run_folder import VALUES, QuestionValue, read_records
from leaf.store.store import Store

Marks = Mapping[str, str]
"""Test to one letter a question: r is right, w is wrong, c is right and cut at the limit."""


def lay(root: Path, place: str, marks: Marks, *, seconds: float | None = 60.0) -> Path:
    """Lay a student there whose answers are right and wrong as the letters say."""
    folder = root / place
    pair = place.split("/", maxsplit=1)[0]
    (folder / "answers").mkdir(parents=True)
    (root / pair / "questions").mkdir(exist_ok=True)
    for test, letters in marks.items():
        end = "-d" if test.endswith("_distracted") else ""
        kind = test.partition("_")[0]
        asked = [
            {"id": f"{kind}{n}{end}", "question": "2+2?", "answer": "4", "grader": "numbers"}
            | ({"base": f"{kind}{n}"} if end else {})
            | ({"source": ("plain", "irrelevant_number")[n % 2]} if kind == "svamp" else {})
            for n in range(len(letters))
        ]
        said = [
            {
                "id": asked[n]["id"],
                "text": f"The final answer is \\boxed{{{5 if letter == 'w' else 4}}}.",
                "tokens": 10 + n,
                "cut": letter == "c",
                "outcome": "wrong" if letter == "w" else "right",
            }
            for n, letter in enumerate(letters)
        ]
        (root / pair / "questions" / f"{test}.jsonl.gz").write_bytes(packed(asked))
        (folder / "answers" / f"{test}.jsonl.gz").write_bytes(packed(said))
    about: dict[str, object] = {"tests": {test: len(each) for test, each in marks.items()}}
    if seconds is not None:
        about["training"] = {"seconds": seconds}
    (folder / "manifest.json").write_text(json.dumps(about))
    return folder


def both(clean: str, distracted: str) -> Marks:
    return {"simple": clean, "simple_distracted": distracted}


def figures(root: Path, capsys: pytest.CaptureFixture[str]) -> dict[str, float]:
    real.main(results=root, json_=True)
    line = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert line["name"] == "real"
    found: dict[str, float] = line["figures"]
    return found


# Figures.


def test_differences_are_means_over_questions_and_seeds(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lay(tmp_path, "pair1/A/seed-1/kd", both("rrrr", "wwwr"))
    lay(tmp_path, "pair1/A/seed-1/leaf", both("rrrw", "rrwr"))
    lay(tmp_path, "pair1/A/seed-2/kd", both("rrrr", "rwww"))
    lay(tmp_path, "pair1/A/seed-2/leaf", both("rrrr", "rrrw"))
    found = figures(tmp_path, capsys)
    # Distracted: KD 1 and 1 of 4, LeaF 3 and 3; clean: KD 4 and 4, LeaF 3 and 4.
    assert found["pair1.distracted.kd"] == pytest.approx(2 / 8)
    assert found["pair1.distracted.leaf"] == pytest.approx(6 / 8)
    assert found["pair1.distracted.leaf_minus_kd"] == pytest.approx(4 / 8)
    assert found["pair1.clean.leaf_minus_kd"] == pytest.approx(-1 / 8)
    # Lost from clean to distracted: KD 8 - 2, LeaF 7 - 6, of 8.
    assert found["pair1.drop.kd"] == pytest.approx(6 / 8)
    assert found["pair1.drop.leaf"] == pytest.approx(1 / 8)
    assert (found["n"], found["seeds"]) == (4, 2)
    assert found["pair1.distracted.kd.tokens"] == pytest.approx(11.5)


def test_setting_b_and_other_settings_have_names_of_their_own(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for setting in ("A", "B", "A-passes"):
        lay(tmp_path, f"pair1/{setting}/seed-1/kd", both("rr", "ww"))
        lay(tmp_path, f"pair1/{setting}/seed-1/leaf", both("rr", "rw"))
    found = figures(tmp_path, capsys)
    for stem in ("pair1", "pair1.mixed", "pair1.A-passes"):
        assert found[f"{stem}.distracted.leaf_minus_kd"] == pytest.approx(0.5)


def test_a_trial_stands_against_what_it_changes_and_makes_nothing_lack(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lay(tmp_path, "pair1/A/seed-1/rft", both("rr", "ww"))
    lay(tmp_path, "pair1/A/seed-1/self", both("rw", "rw"))
    lay(tmp_path, "pair1/A/seed-1/self-half", {"simple": "rr"})
    real.main(results=tmp_path, json_=True)
    line = json.loads(capsys.readouterr().out.splitlines()[-1])
    found = line["figures"]
    assert found["pair1.simple.self-half_minus_self"] == 0.5
    assert found["pair1.simple.self-half_minus_rft"] == 0
    assert found["pair1.simple.self_minus_rft"] == -0.5
    assert "pair1.simple.rft_minus_self" not in found
    assert found["seeds"] == 1
    assert not [name for name in line["setting"]["missing"] if "half" in name]


def test_kinds_are_pooled_by_questions_and_other_tests_stand_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rest = {"complex": "rr", "complex_distracted": "ww", "svamp": "c"}
    lay(tmp_path, "pair1/A/seed-1/rft", {**both("rrrr", "rrrr"), **rest})
    found = figures(tmp_path, capsys)
    assert found["pair1.distracted.rft"] == pytest.approx(4 / 6)
    assert found["pair1.complex_distracted.rft"] == 0
    assert (found["pair1.svamp.rft"], found["pair1.svamp.rft.cut"]) == (1, 1)
    assert found["n"] == 6


def test_parts_that_the_data_name_have_figures_of_their_own(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lay(tmp_path, "pair1/A/seed-1/kd", {"svamp": "rwrww"})
    lay(tmp_path, "pair1/A/seed-1/leaf", {"svamp": "rrwww"})
    found = figures(tmp_path, capsys)
    assert found["pair1.svamp.leaf_minus_kd"] == 0
    assert found["pair1.svamp.plain.leaf_minus_kd"] == pytest.approx(-1 / 3)
    assert found["pair1.svamp.irrelevant_number.leaf_minus_kd"] == pytest.approx(1 / 2)
    assert found["pair1.svamp.plain.leaf.tokens"] == pytest.approx(12)


def lay_numbers(root: Path) -> None:
    """Lay RFT and LeaF-self, and 30 questions with two numbers and two with three."""
    marks = {"simple": "r" * 30 + "wr", "simple_distracted": "w" * 32}
    lay(root, "pair1/A/seed-1/rft", marks)
    lay(root, "pair1/A/seed-1/self", {**marks, "simple": "w" * 15 + "r" * 15 + "rr"})
    for test in marks:
        path = root / "pair1" / "questions" / f"{test}.jsonl.gz"
        asked = [json.loads(line) for line in gzip.decompress(path.read_bytes()).splitlines()]
        for n, one in enumerate(asked):
            one["question"] = "Ann has 3 pens and 4.5 cups." if n < 30 else "Add 7, 8 and 9."
        path.write_bytes(packed(asked))


def test_clean_questions_have_figures_by_how_many_numbers_they_have(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lay_numbers(tmp_path)
    found = figures(tmp_path, capsys)
    assert found["pair1.simple.two_numbers.self_minus_rft"] == pytest.approx(-1 / 2)
    assert "pair1.simple.three_numbers.rft" not in found  # two questions say nothing
    assert "pair1.simple_distracted.two_numbers.rft" not in found


def test_the_picture_has_no_rows_by_numbers(tmp_path: Path) -> None:
    lay_numbers(tmp_path)
    real.main(results=tmp_path, picture=tmp_path / "pictures")
    drawn = (tmp_path / "pictures" / "pair1-A.svg").read_text()
    assert "simple distracted (32)" in drawn
    assert "two numbers" not in drawn


def test_the_table_of_each_setting_is_drawn_with_every_test_and_arm(tmp_path: Path) -> None:
    for arm in ("kd", "leaf"):
        lay(tmp_path, f"pair1/A/seed-1/{arm}", {**both("rrr", "rwr"), "svamp": "cr"})
    lay(tmp_path, "pair2/A/seed-1/rft", both("rr", "rw"))
    real.main(results=tmp_path, picture=tmp_path / "pictures")
    first, second = sorted((tmp_path / "pictures").iterdir())
    assert (first.name, second.name) == ("pair1-A.svg", "pair2-A.svg")
    drawn = first.read_text()
    for text in ("simple distracted (3)", "svamp (2)", "svamp, plain (1)", ">KD<", ">LeaF<"):
        assert text in drawn
    assert ">KD<" not in second.read_text()
    real.main(results=tmp_path, picture=tmp_path / "again")
    assert (tmp_path / "again" / first.name).read_text() == drawn


def test_questions_with_passages_are_paired_by_id_and_measured_by_what_holds_a_gold(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said = {"hotpotqa": ["In Rome.", "Answer: Rome"], "hotpotqa_distracted": ["Oslo", "Rome"]}
    for arm, texts in (("rft", said), ("self", {**said, "hotpotqa_distracted": ["Rome", "Rome"]})):
        folder = lay(tmp_path, f"pair2/A/seed-1/{arm}", dict.fromkeys(said, "ww"))
        for test, answers in texts.items():
            asked = [
                {"id": f"q{n}", "question": "Where?", "answer": "Rome", "grader": "qa"}
                for n in range(2)
            ]
            lines = [
                {"id": f"q{n}", "text": text, "tokens": 3, "cut": False, "outcome": "right"}
                for n, text in enumerate(answers)
            ]
            path = tmp_path / "pair2" / "questions" / f"{test}.jsonl.gz"
            path.write_bytes(packed(asked))
            (folder / "answers" / f"{test}.jsonl.gz").write_bytes(packed(lines))
    found = figures(tmp_path, capsys)
    assert found["pair2.distracted.self_minus_rft"] == pytest.approx(0.5)
    assert (found["pair2.clean.rft"], found["pair2.clean.rft.EM"]) == (1, 0.5)
    # "In Rome" and "Rome": P 1/2, R 1, F1 2/3; and 1.
    assert found["pair2.clean.rft.F1"] == pytest.approx(5 / 6)
    assert found["pair2.drop.rft"] == pytest.approx(0.5)


def test_the_same_answers_in_two_seeds_say_no_more_than_in_one(tmp_path: Path) -> None:
    kd, leaf = both("r" * 12, "rwwwwrwwwwww"), both("r" * 12, "rrrwwrwrrrww")
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    for root, seeds in ((tmp_path / "one", [1]), (tmp_path / "two", [1, 2])):
        for seed in seeds:
            lay(root, f"pair1/A/seed-{seed}/kd", kd)
            lay(root, f"pair1/A/seed-{seed}/leaf", leaf)
    ends = []
    for root in (tmp_path / "one", tmp_path / "two"):
        (group,) = real.grouped(_kept.read_students(root))[0].values()
        arms = group.arms["leaf"], group.arms["kd"]
        value = _real.difference(group, *arms, ("simple_distracted",), "")
        assert value and value.low is not None and value.high is not None
        ends.append((value.value, value.low, value.high))
    assert ends[0] == pytest.approx(ends[1], abs=0.01)
    # With one seed it is what a report says of the same values.
    mine, theirs = (
        {str(n): float(letter == "r") for n, letter in enumerate(marks["simple_distracted"])}
        for marks in (leaf, kd)
    )
    said = compare_values(mine, theirs, resamples=9999, seed=0)
    assert ends[0] == pytest.approx((said.value, said.low, said.high))


def test_an_interval_is_widened_by_what_seeds_differ() -> None:
    # Two seeds 0.0 and 0.2: standard error 0.1, so 0.196 beside 0.1 below and 0.3 above.
    found = _real.widened(0.1, 0.0, 0.4, [0.0, 0.2])
    assert stats.sem([0.0, 0.2]) == pytest.approx(0.1)
    assert found.low == pytest.approx(0.1 - math.hypot(0.1, 0.196))
    assert found.high == pytest.approx(0.1 + math.hypot(0.3, 0.196))
    assert _real.widened(0.1, 0.0, 0.4, [0.1]).low == pytest.approx(0.0)
    assert _real.widened(0.1, None, None, [0.0, 0.2]).low is None


def test_what_is_not_there_is_said_and_has_no_figure(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lay(tmp_path, "pair1/A/seed-1/kd", both("rr", "ww"))
    lay(tmp_path, "pair1/A/seed-1/before", {"simple": "rr"}, seconds=None)
    real.main(results=tmp_path, json_=True)
    out = capsys.readouterr().out
    assert "not there yet: pair1/A: leaf, augment, rft, self" in out
    assert "not there yet: pair1/B: kd, leaf, paper" in out
    assert "not there yet: pair1/A: before to simple_distracted" in out
    found = json.loads(out.splitlines()[-1])["figures"]
    assert "pair1.distracted.leaf_minus_kd" not in found
    assert "pair1.distracted.before" not in found
    assert found["pair1.simple.before"] == 1


def test_grades_are_made_anew(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = lay(tmp_path, "pair1/A/seed-1/kd", both("rr", "rr"))
    path = folder / "answers" / "simple.jsonl.gz"
    text = gzip.decompress(path.read_bytes()).decode()
    path.write_bytes(gzip.compress(text.replace('"right"', '"wrong"', 1).encode()))
    found = figures(tmp_path, capsys)
    assert found["pair1.clean.kd"] == 1
    assert found["verdicts_changed"] == 1


# Bad input, one line each.


def _lose_a_file(folder: Path) -> None:
    (folder / "answers" / "simple.jsonl.gz").unlink()


def _lose_an_answer(folder: Path) -> None:
    path = folder / "answers" / "simple.jsonl.gz"
    lines = gzip.decompress(path.read_bytes()).splitlines(keepends=True)
    path.write_bytes(gzip.compress(b"".join(lines[:-1])))


def _cut_a_file(folder: Path) -> None:
    path = folder / "answers" / "simple.jsonl.gz"
    path.write_bytes(path.read_bytes()[:20])


def _lose_the_questions(folder: Path) -> None:
    (folder.parents[2] / "questions" / "simple.jsonl.gz").unlink()


def _break_the_manifest(folder: Path) -> None:
    (folder / "manifest.json").write_text("{}")


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (_lose_a_file, r"answers/simple\.jsonl\.gz: not there; keep the run again"),
        (_lose_an_answer, r"3 questions, 2 answers: no answer to simple2"),
        (_cut_a_file, r"answers/simple\.jsonl\.gz: damaged \("),
        (_lose_the_questions, r"questions/simple\.jsonl\.gz: not there"),
        (_break_the_manifest, r"manifest\.json: not a student's manifest"),
    ],
)
def test_missing_answers_are_one_line(tmp_path: Path, spoil: object, said: str) -> None:
    spoil(lay(tmp_path, "pair1/A/seed-1/kd", both("rrr", "rrr")))  # type: ignore[operator]
    with pytest.raises(DataError, match=said) as error:
        real.main(results=tmp_path)
    assert "\n" not in str(error.value)


def test_pairs_that_do_not_match_are_one_line(tmp_path: Path) -> None:
    lay(tmp_path, "pair1/A/seed-1/kd", both("rrr", "rr"))
    with pytest.raises(DataError, match="pair1/A: simple_distracted and simple do not match: 1 "):
        real.main(results=tmp_path)


def test_no_such_folder_student_or_place_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="there is no such folder"):
        real.main(results=tmp_path / "none")
    with pytest.raises(UsageError, match="holds no trained student"):
        real.main(again_=lay(tmp_path, "pair1/A/seed-1/before", both("r", "r")))
    with pytest.raises(UsageError, match="--keep needs --as"):
        real.main(keep_=tmp_path)
    with pytest.raises(UsageError, match="--as A: must be PAIR/SETTING/SEED"):
        real.main(keep_=tmp_path, as_="A")
    with pytest.raises(UsageError, match="--limit 0: must be at least 1"):
        real.main(again_=tmp_path, limit=0)
    (tmp_path / "file.svg").touch()
    with pytest.raises(UsageError, match=r"file\.svg: is a file; name a folder"):
        real.main(picture=tmp_path / "file.svg")


# A run that is kept.


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("kept")
    tests = ", ".join(
        f"{split}: {{task: playground, split: {split}, world: {{size: {size}, seed: 1}}}}"
        for split, size in (("clean", 8), ("conflict", 12))
    )
    small = [
        "data.world.size=80",
        "distill.max_steps=2",
        "distill.batch_size=16",
        "distill.tuning=lora",
        "prune.strategy=span",
        "attribute.controls=[]",
        "arms={}",
        "evaluate.teacher=false",
        "evaluate.resamples=100",
        f"evaluate.benchmarks={{{tests}}}",
    ]
    recipe = load_recipe("demo", small)
    run_recipe(recipe, out=folder / "run", store=Store(folder / "store"))
    return folder / "run"


def test_a_kept_run_has_the_adapters_and_the_answers_of_the_run(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    real.main(results=tmp_path, keep_=run, as_="pair1/A/seed-3")
    said = capsys.readouterr().out
    assert re.search(r"pair1/A/seed-3/leaf: 0\.1 MB; clean 8, conflict 12", said)
    students = {student.arm: student for student in _kept.read_students(tmp_path)}
    assert set(students) == {"before", "kd", "leaf"}
    values = read_records(run / VALUES, QuestionValue, "")
    for one in _kept.graded(list(students.values())):
        found = {score.problem_id: float(score.right) for score in one.scores}
        assert found == {
            value.problem_id: value.value
            for value in values
            if (value.benchmark, value.arm) == (one.test, one.student.arm)
        }
    for arm in ("kd", "leaf"):
        folder = students[arm].folder
        assert (folder / "adapter" / "adapter_model.safetensors").is_file()
        lines = (folder / "metrics.jsonl").read_text().splitlines()
        assert {json.loads(line)["arm"] for line in lines} == {arm}
        assert students[arm].seconds
    assert not (students["before"].folder / "adapter").exists()
    texts = [path for path in tmp_path.rglob("*") if path.suffix in (".json", ".yaml")]
    assert texts and not [path for path in texts if str(tmp_path.parent) in path.read_text()]
    again = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    real.main(results=tmp_path, keep_=run, as_="pair1/A/seed-3")
    assert {path: path.read_bytes() for path in again} == again


def test_a_kept_student_gives_the_same_answers_again_and_refuses_another_base(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    real.main(results=tmp_path, keep_=run, as_="pair1/A/seed-1", arms="leaf=paper")
    assert [student.arm for student in _kept.read_students(tmp_path)] == ["paper"]
    folder = tmp_path / "pair1" / "A" / "seed-1" / "paper"
    capsys.readouterr()
    real.main(again_=folder / "adapter", limit=6, json_=True)
    out = capsys.readouterr().out
    assert "6 questions answered again: the texts of 0 differ, the verdicts of 0" in out
    assert json.loads(out.splitlines()[-1])["figures"] == {"asked": 6, "texts": 0, "verdicts": 0}
    with pytest.raises(ModelError, match="an adapter of another model than") as error:
        real.main(again_=folder, model="package:playground/models/teacher")
    assert "\n" not in str(error.value)


def test_another_student_other_questions_and_large_adapters_are_refused(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real.main(results=tmp_path, keep_=run, as_="pair1/A/seed-1", arms="kd")
    with pytest.raises(UsageError, match="kd: holds another student"):
        real.main(results=tmp_path, keep_=run, as_="pair1/A/seed-1", arms="leaf=kd")
    with pytest.raises(UsageError, match="has no arm `rft`; there are: before, kd, leaf"):
        real.main(results=tmp_path, keep_=run, as_="pair1/A/seed-1", arms="rft")
    path = tmp_path / "pair1" / "questions" / "clean.jsonl.gz"
    path.write_bytes(packed([]))
    with pytest.raises(UsageError, match="holds other questions than"):
        real.main(results=tmp_path, keep_=run, as_="pair1/A/seed-1")
    monkeypatch.setattr(_keep, "MOST_BYTES", 1000)
    with pytest.raises(UsageError, match="MB at rank 16; what is kept has at most 0 MB"):
        real.main(results=tmp_path, keep_=run, as_="pair1/A/seed-2")
    with pytest.raises(LeafError, match="name the run's store with --store"):
        monkeypatch.undo()
        real.main(results=tmp_path, keep_=run, as_="pair1/B/seed-2", store=tmp_path)


def test_a_student_gains_the_tests_that_it_had_not(run: Path, tmp_path: Path) -> None:
    folder = lay(tmp_path, "pair1/A/seed-1/before", {"svamp": "rw"}, seconds=None)
    (folder / "recipe.yaml").write_text("evaluate: {benchmarks: {svamp: {task: svamp}}}")
    real.main(results=tmp_path, keep_=run, as_="pair1/A/seed-1", arms="before")
    (student,) = _kept.read_students(tmp_path)
    assert sorted(student.tests) == ["clean", "conflict", "svamp"]
    assert "task: svamp" in (folder / "recipe.yaml").read_text()


def test_a_kept_student_answers_more_tests_without_its_run(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The same questions under another name get the same answers, trained or not."""
    place = tmp_path / "pair1" / "A" / "seed-1"
    real.main(results=tmp_path, keep_=run, as_="pair1/A/seed-1", arms="before,leaf")
    adapter = (place / "leaf/adapter/adapter_model.safetensors").read_bytes()
    test = "{task: playground, split: conflict, world: {size: 12, seed: 1}}"
    named = [f"evaluate.benchmarks.more={test}"]
    store = tmp_path / "store"
    for arm in ("before", "leaf"):
        real.main(more_=place / arm, set_=named, store=store)
        assert f"{place / arm}: more answered" in capsys.readouterr().out
        answers = place / arm / "answers"
        assert (answers / "more.jsonl.gz").read_bytes() == (
            answers / "conflict.jsonl.gz"
        ).read_bytes()
        values, manifest = _keep.said_of(place / arm)
        assert manifest["tests"] == {"clean": 8, "conflict": 12, "more": 12}
        assert list(values["evaluate"]["benchmarks"]) == ["clean", "conflict", "more"]
    assert (place / "leaf/adapter/adapter_model.safetensors").read_bytes() == adapter
    said = "".join(path.read_text() for path in place.rglob("*.[yj]*") if path.suffix != ".gz")
    assert str(tmp_path) not in said
    with pytest.raises(UsageError, match="--more: names no test; add --set"):
        real.main(more_=place / "leaf", store=store)
    with pytest.raises(UsageError, match=r"more\.jsonl\.gz: holds other questions than"):
        other = test.replace("conflict", "agree")
        real.main(more_=place / "leaf", set_=[f"evaluate.benchmarks.more={other}"], store=store)


def test_paths_of_the_machine_are_cut_to_their_last_two_parts() -> None:
    values = {"a": ["/home/me/data/x.jsonl", "Qwen/Q"], "b": {"c": "~/m.gguf", "d": 3}}
    assert _keep.homeless(values) == {
        "a": ["data/x.jsonl", "Qwen/Q"],
        "b": {"c": "~/m.gguf", "d": 3},
    }


def test_lengths_leave_out_what_was_never_given() -> None:
    arm = _real.Arm("kd")
    given = Answer(problem_id="a", text="4", prompt_tokens=1, response_tokens=7, truncated=True)
    failed = Answer(
        problem_id="b", text="", prompt_tokens=1, response_tokens=0, truncated=False, failure="no"
    )
    student = _kept.Student(
        pair="pair1", setting="A", seed=1, arm="kd", folder=Path(), manifest={"tests": {}}
    )
    arm.add(student, "simple", [given, failed], {})
    assert _real.length(arm, ("simple",)) == (7, 1)
    assert _real.length(arm, ("simple", "complex")) is None
