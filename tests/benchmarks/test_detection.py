"""The detection benchmark: its arithmetic by hand, what it takes, and its command."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks import _arms, _gsm_ic, _problemathic, _ranking, common, detection
from leaf.errors import UsageError
from leaf.recipe import DataSection
from leaf.records import Distractor, Problem


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LEAF_CACHE", str(tmp_path / "cache"))


def planted(question: str, *texts: str) -> Problem:
    return Problem(
        id="p",
        question=question,
        answer="4",
        solution="4",
        distractors=tuple(
            Distractor(kind="cue", start=question.index(text), end=question.index(text) + len(text))
            for text in texts
        ),
    )


# Over problems.


def found_in(marked: int, known: int, hits: int, area: float | None = 0.5) -> _ranking.Agreement:
    return _ranking.Agreement(
        auc=area,
        units=10,
        planted=known,
        marked=marked,
        hits=hits,
        sentence_hit=1.0,
        sentence_chance=0.25,
        phrase_hit=0.5,
        phrase_chance=0.125,
        last_hit=known > 1,
    )


def test_precision_and_recall_are_over_all_units_and_the_area_is_over_problems() -> None:
    # Precision (1 + 1 + 0) / (3 + 1 + 4), not (1/3 + 1 + 0) / 3; recall 2 / (4 + 1 + 0).
    agreements = [found_in(3, 4, 1, 0.0), found_in(1, 1, 1, 1.0), found_in(4, 0, 0, None)]
    measures = detection.measures_of(agreements, seed=0)
    assert measures["precision"].value == pytest.approx(2 / 8)
    # Where something is planted 4 are marked.
    assert measures["precision_where_planted"].value == pytest.approx(2 / 4)
    assert measures["recall"].value == pytest.approx(2 / 5)
    assert measures["auc"].value == pytest.approx(0.5)


def test_what_is_undefined_has_no_figure() -> None:
    measures = detection.measures_of([found_in(0, 0, 0, None), found_in(0, 0, 0, None)], seed=0)
    assert measures == {}


def test_figures_have_the_names_that_others_rely_on() -> None:
    agreements = {"gradient": [found_in(3, 4, 1), found_in(1, 1, 1), found_in(4, 0, 0, None)]}
    names = {}
    for ground in detection._NAMES:
        one = detection.Ground(
            name=ground, setting={}, agreements=agreements, costs={"gradient": 6.0}
        )
        measures = {"gradient": detection.measures_of(agreements["gradient"], seed=0)}
        names[ground] = detection.figures(one, measures)
    assert {f"playground.gradient.{name}" for name in ("auc", "precision", "recall")} <= names[
        "playground"
    ].keys()
    wanted = ("sentence_hit", "token_auc", "precision", "n", "cost")
    assert {f"gsm_ic.gradient.{name}" for name in wanted} <= names["gsm_ic"].keys()
    assert names["gsm_ic"]["gsm_ic.gradient.n"] == 3
    assert names["gsm_ic"]["gsm_ic.gradient.cost"] == 6.0
    # The last sentence before the question is planted in the first problem alone.
    assert names["gsm_ic"]["gsm_ic.last_sentence.sentence_hit"] == pytest.approx(1 / 3)
    # Blindly, 3 marks in 4 of 10, 1 in 1 of 10 and 4 in none hit 1.2 + 0.1 + 0 of 5 planted units.
    blind = {
        name.removeprefix("playground.chance."): value
        for name, value in names["playground"].items()
        if ".chance." in name
    }
    assert blind == pytest.approx(
        {
            "auc": 0.5,
            "precision": 1.3 / 8,
            "precision_where_planted": 1.3 / 4,
            "recall": 1.3 / 5,
        }
    )
    # Each problem has 4 sentences, one of them planted.
    assert names["gsm_ic"]["gsm_ic.chance.sentence_hit"] == pytest.approx(0.25)


# GSM-IC.


def gsm_ic_files(folder: Path) -> DataSection:
    """Write two originals with three and one variants, and one that GSM8K does not have."""
    kinds = [("Ada has 3  pens. How many?", 3), ("Bo has 4 cups. How many?", 1), ("Lost. Eh?", 1)]
    records = [
        {
            "original_question": original,
            "answer": "3",
            "new_question": original.replace(". ", f". Tom is {number} years old. ", 1),
            "sentence_template": "{role} is {number} years old.",
            "role": "Tom",
            "number": str(number),
        }
        for original, count in kinds
        for number in range(20, 20 + count)
    ]
    known = [
        {"question": "Ada has 3 pens.\nHow many?", "answer": "She has 3.\n#### 3"},
        {"question": "Bo has 4 cups. How many?", "answer": "He has 4.\n#### 4"},
    ]
    for name in ("gsm_ic", "gsm8k"):
        (folder / name).mkdir()
    path = folder / "gsm_ic" / "gsm_ic_test.json"
    path.write_text(json.dumps(records))
    for split, record in zip(("train", "test"), known, strict=True):
        (folder / "gsm8k" / f"{split}.jsonl").write_text(json.dumps(record))
    return DataSection(task="gsm_ic", path=str(path))


def test_problems_get_the_solution_of_their_original_and_the_lost_are_counted(
    tmp_path: Path,
) -> None:
    pairs, lost = _gsm_ic.choose_pairs(gsm_ic_files(tmp_path), tmp_path, 9, seed=0)
    assert lost == 1
    assert len(pairs) == 4
    for problem, reference in pairs:
        number, name = ("3", "She") if "Ada" in problem.question else ("4", "He")
        assert reference == f"{name} has {number}.\nThe final answer is \\boxed{{{number}}}."
        assert problem.solution == reference
        known = problem.distractors[0]
        assert problem.question[known.start : known.end].endswith("years old.")


@pytest.mark.parametrize("seed", range(5))
def test_each_original_comes_once_before_any_comes_twice(tmp_path: Path, seed: int) -> None:
    pairs, _ = _gsm_ic.choose_pairs(gsm_ic_files(tmp_path), tmp_path, 2, seed=seed)
    assert {problem.question[:3] for problem, _ in pairs} == {"Ada", "Bo "}


def test_a_moved_sentence_keeps_every_word_and_is_no_longer_last() -> None:
    question = "Ada has 3 pens. She buys 2. Tom is 80 years old. How many pens has she?"
    problem = planted(question, "Tom is 80 years old.")
    ways = {
        _gsm_ic.move(problem, seed=seed).question: _gsm_ic.move(problem, seed=seed)
        for seed in range(20)
    }
    assert set(ways) == {
        "Tom is 80 years old. Ada has 3 pens. She buys 2. How many pens has she?",
        "Ada has 3 pens. Tom is 80 years old. She buys 2. How many pens has she?",
    }
    for moved in ways.values():
        (known,) = moved.distractors
        assert moved.question[known.start : known.end] == "Tom is 80 years old."
        assert not _ranking.last_hit(moved)
    assert _ranking.last_hit(problem)


def test_the_seed_chooses_among_variants() -> None:
    problems = [replace(planted("a"), id=str(number)) for number in range(20)]
    orders = [
        tuple(one.id for one in _gsm_ic.spread_over(problems, ["x"] * 20, seed=seed))
        for seed in (0, 0, 1)
    ]
    assert orders[0] == orders[1] != orders[2]
    assert sorted(orders[0]) == sorted(problem.id for problem in problems)


def test_what_is_missing_is_said_with_the_way_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_gsm_ic, "MODELS", tmp_path)
    gsm_ic_files(tmp_path)
    (tmp_path / "gsm8k" / "test.jsonl").unlink()
    said = _gsm_ic.what_is_missing(tmp_path)
    assert said is not None
    assert "tools/offline_models.py qwen2.5-coder-0.5b qwen2.5-coder-1.5b" in said
    assert f"no gsm8k/test.jsonl in {tmp_path}" in said
    for role in (_gsm_ic.STUDENT, _gsm_ic.TEACHER):
        (tmp_path / f"{role}.gguf").touch()
    (tmp_path / "gsm8k" / "test.jsonl").touch()
    assert _gsm_ic.what_is_missing(tmp_path) is None


# PROBLEMATHIC.


def problemathic_files(folder: Path) -> None:
    """Write forty pairs, some of which are in the test part, and one of them without a solution."""
    (folder / "problemathic").mkdir()
    for kind in ("simple", "complex"):
        for name, extra in (("adversarial", " weighing 9 pounds"), ("non_adversarial", "")):
            rows = [
                {
                    "id": f"p{n}",
                    "prompt": f"<<Passage>>{who} has {n} {kind} pens{extra}. Ed came."
                    "<<Question>>How many?",
                    "completion": f"<<Explanation>>{n}.<<FinalAnswer>>{n}.0",
                }
                for n, who in enumerate(["Ada", "Bo", "Cy", "Di"] * 5)
            ]
            path = folder / "problemathic" / f"{kind}_{name}_train.jsonl"
            path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def test_real_distractions_are_those_of_the_test_part_with_worked_solutions(
    tmp_path: Path,
) -> None:
    problemathic_files(tmp_path)
    recipe = _problemathic.build_recipe(tmp_path, seed=0)
    pairs, left_out = _problemathic.choose_pairs(recipe, 3)
    every, _ = _problemathic.choose_pairs(recipe, 100)
    assert len(pairs) == 3 < len(every) < 40
    assert left_out == 0
    for problem, reference in every:
        assert reference == problem.solution
        told = [problem.question[one.start : one.end] for one in problem.distractors]
        assert told == ["weighing 9 pounds"]
    other, _ = _problemathic.choose_pairs(_problemathic.build_recipe(tmp_path, seed=1), 100)
    assert [one.id for one, _ in other] != [one.id for one, _ in every]
    assert {one.id for one, _ in other} == {one.id for one, _ in every}


BOTH = ("student", "teacher")


def test_every_detector_is_measured_on_real_distractions(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    problemathic_files(tmp_path)
    models = {role: {"model": f"package:playground/models/{role}"} for role in BOTH}
    monkeypatch.setattr(_gsm_ic, "models", lambda: models)
    monkeypatch.setattr(_gsm_ic, "missing_models", list)
    store = tmp_path / "store"
    detection.main(json_=True, only="problemathic", n_problemathic=3, store=store, data=tmp_path)
    last = json.loads(capsys.readouterr().out.splitlines()[-1])
    figures = last["figures"]
    names = {name.split(".")[1] for name in figures if name.endswith(".cost")}
    assert names == {
        *("ablation_sentence", "ablation_clause", "ablation_phrase"),
        *("ablation_sentence_alone", "ablation_phrase_alone"),
        *("ablation_sentence_hidden", "ablation_phrase_hidden"),
        *("gradient", "teacher", "attention", "lens", "random", "perplexity"),
    }
    for name in names:
        for key in ("phrase_hit", "sentence_hit", "token_auc"):
            assert 0 <= figures[f"problemathic.{name}.{key}"] <= 1
    # A pass of the prompt by each model, and nothing.
    assert 0 < figures["problemathic.perplexity.cost"] < 1
    assert figures["problemathic.lens.cost"] == pytest.approx(
        2 * figures["problemathic.perplexity.cost"]
    )
    assert figures["problemathic.random.cost"] == 0
    # One of three sentences, the one that asks among them, and one of four phrases distracts.
    assert figures["problemathic.chance.sentence_hit"] == pytest.approx(1 / 3)
    assert figures["problemathic.chance.phrase_hit"] == pytest.approx(1 / 4)
    assert last["setting"]["problemathic"]["problems_scored"] == 3


def test_asking_for_real_distractions_without_their_data_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"no problemathic/simple_adversarial_train\.jsonl"):
        detection.main(only="problemathic", store=tmp_path, data=tmp_path)


# The command.


@pytest.mark.long
def test_without_data_the_playground_is_measured_and_gsm_ic_is_left_out_and_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    detection.main(json_=True, n_playground=120, store=tmp_path / "store", data=tmp_path)
    lines = capsys.readouterr().out.splitlines()
    assert any(line.startswith("gsm_ic is left out: no ") for line in lines)
    last = json.loads(lines[-1])
    assert last["name"] == "detection"
    assert "--data" in last["setting"]["gsm_ic"]["left_out"]
    figures = last["figures"]
    assert not any(name.startswith("gsm_ic") for name in figures)
    for name in ("auc", "precision", "recall"):
        assert figures[f"playground.oracle.{name}"] == 1.0
        for detector in _arms.ARMS:
            assert 0 <= figures[f"playground.{detector}.{name}"] <= 1
    setting = last["setting"]["playground"]
    assert setting["problems_made"] == 120
    assert 0 < setting["problems_scored"] < 120
    assert figures["playground.gradient.n"] == (
        setting["problems_scored"] - setting["problems_without_ranking"]
    )


def test_asking_for_gsm_ic_alone_without_its_data_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"gsm_ic/gsm_ic_test\.json"):
        detection.main(only="gsm_ic", store=tmp_path, data=tmp_path)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--n-gsm-ic", "0"], "--n-gsm-ic 0: must be at least 1"),
        (["--n-problemathic", "0"], "--n-problemathic 0: must be at least 1"),
        (["--n-playground", "0"], "size"),
        (["--only", "svamp"], "svamp"),
    ],
)
def test_wrong_words_end_in_one_line_and_exit_code_2(
    words: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        common.start(detection.app, [*words, "--store", str(tmp_path), "--data", str(tmp_path)])
    assert ended.value.code == 2
    errors = capsys.readouterr().err.splitlines()
    assert len(errors) == 1
    assert said in errors[0]
