"""Anybody's evaluations are paired by what was asked; numbers are derived by hand.

tests/data/inspect holds two logs that inspect-ai 0.3.285 wrote (its events taken out), tests/data/
lm_eval samples of lm-eval 0.4.13: the same six questions in pairs (`base`), asked in other words.
"""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any
from zipfile import BadZipFile

import pytest
from scipy.stats import binomtest

from leaf.errors import UsageError
from leaf.report.others.asked import Asked, Evaluated, number
from leaf.report.others.inspect_logs import read_inspect
from leaf.report.others.lm_eval import read_lm_eval
from leaf.report.others.pair import Wish, compare_evaluations, match
from leaf.report.others.read import read_evaluated
from leaf.store.run_folder import VALUES, QuestionValue, write_records

DATA = Path(__file__).parents[1] / "data"
LOGS = [DATA / "inspect" / f"pens-{at}.json" for at in (0, 1)]
SAMPLES = DATA / "lm_eval"


def side(
    path: str, values: dict[str, float], columns: Mapping[str, Mapping[str, str]] | None = None
) -> Evaluated:
    asked = [
        Asked(texts={"input": text}, values={"acc": one}, columns=(columns or {}).get(text, {}))
        for text, one in values.items()
    ]
    return Evaluated(path=path, kind="test", benchmarks={path: asked})


def one_of(found: dict[str, Any]) -> dict[str, Any]:
    (one,) = found["compared"]
    return dict(one)


def test_wins_and_losses_are_of_b_against_a() -> None:
    a = side("a", {"q1": 1.0, "q2": 0.0, "q3": 0.0, "q4": 1.0, "mine": 1.0})
    b = side("b", {"q4": 0.0, "q3": 1.0, "q2": 1.0, "q1": 1.0, "yours": 0.0, "too": 1.0})
    one = one_of(compare_evaluations(a, b, Wish()))
    # Of the four in common B wins q2 and q3 and loses q4.
    assert (one["n"], one["wins"], one["losses"]) == (4, 2, 1)
    assert (one["a"], one["b"], one["difference"]) == (0.5, 0.75, 0.25)
    assert one["p_value"] == binomtest(1, 3).pvalue
    assert (one["only_a"], one["only_b"]) == (1, 2)
    assert one["benchmark"] == "a / b"


def test_questions_of_a_group_count_once() -> None:
    items = {
        "q1": ("x", 0.0, 1.0),
        "q2": ("x", 0.0, 1.0),
        "q3": ("y", 1.0, 0.0),
        "q4": ("z", 0.0, 1.0),
    }
    kinds = {q: {"kind": row[0]} for q, row in items.items()}
    sides = [
        side(name, {q: row[at + 1] for q, row in items.items()}, kinds)
        for at, name in enumerate("ab")
    ]
    one = one_of(compare_evaluations(*sides, Wish(group="kind", by="kind")))
    # B is better on the groups x and z, worse on y; of questions it wins three.
    assert (one["wins"], one["losses"], one["problems"]) == (3, 1, 3)
    assert one["p_value"] == binomtest(1, 3).pvalue
    assert {name: (part["n"], part["wins"]) for name, part in one["by"].items()} == {
        "x": (2, 2),
        "y": (1, 0),
        "z": (1, 1),
    }
    with pytest.raises(UsageError, match="kin: no column of either side; they have kind"):
        compare_evaluations(*sides, Wish(group="kin"))


def test_a_text_that_many_questions_share_pairs_nothing_better() -> None:
    ours = [Asked(texts={"answer": "yes", "q": f"{at}?"}, values={}) for at in range(3)]
    theirs = [Asked(texts={"target": "yes", "input": f"{at}?"}, values={}) for at in (2, 1, 7)]
    how, pairs = match(ours, theirs)
    assert how == "q / input"
    assert [(a.texts["q"], b.texts["input"]) for a, b in pairs] == [("1?", "1?"), ("2?", "2?")]


def test_a_question_that_stands_twice_is_paired_twice() -> None:
    ours = [Asked(texts={"q": "same"}, values={"acc": value}) for value in (1.0, 0.0)]
    _, pairs = match(ours, list(reversed(ours)))
    assert [(a.values["acc"], b.values["acc"]) for a, b in pairs] == [(1.0, 0.0), (0.0, 1.0)]


def test_inspects_epochs_are_averaged_and_letters_are_numbers() -> None:
    found = read_inspect(LOGS[1])
    (items,) = found.benchmarks.values()
    # Wrong in one of two epochs: q0, q2 and q4.
    assert [item.values["match"] for item in items] == [0.5, 1.0, 0.5, 1.0, 0.5, 1.0]
    assert items[0].texts["input"] == "How many pens are there in box 0?"
    assert items[0].columns == {"base": "b0", "id": "q0"}
    assert [number(one, "") for one in ("C", "I", "P", "N", True, 3, "0.5")] == [
        *(1.0, 0.0, 0.5, 0.0),
        *(1.0, 3.0, 0.5),
    ]
    with pytest.raises(UsageError, match="here: must be a number, but is 'fine'"):
        number("fine", "here")


def test_samples_without_a_score_are_left_out_and_counted(tmp_path: Path) -> None:
    log = json.loads(LOGS[0].read_text())
    log["status"] = "error"
    log["samples"][0]["scores"] = {}
    log["samples"][6]["scores"] = {"match": {"value": float("nan")}}
    path = tmp_path / "log.json"
    path.write_text(json.dumps(log))
    found = read_inspect(path)
    (items,) = found.benchmarks.values()
    assert [bool(item.values) for item in items] == [False, *[True] * 5]
    assert found.notes == [
        f"{path}: its status is error, not success",
        f"{path}: 2 samples without a score are left out",
    ]


def test_a_scorer_that_says_several_things_has_several_measures(tmp_path: Path) -> None:
    log = json.loads(LOGS[0].read_text())
    for sample in log["samples"]:
        sample["scores"] = {"judge": {"value": {"clear": "C", "short": 0.25}}}
        sample["input"] = [
            {"role": "user", "content": "Hello?"},
            {"role": "user", "content": [{"type": "text", "text": f"Box {sample['id']}?"}]},
        ]
    (tmp_path / "log.json").write_text(json.dumps(log))
    (items,) = read_inspect(tmp_path / "log.json").benchmarks.values()
    assert items[0].values == {"judge.clear": 1.0, "judge.short": 0.25}
    assert items[1].texts["input"] == "Box q1?"


def test_a_log_of_inspect_is_read_by_inspect_where_it_is_no_json(tmp_path: Path) -> None:
    path = tmp_path / "log.eval"
    path.write_bytes(b"PK")
    try:
        import inspect_ai  # noqa: F401
    except ImportError:
        with pytest.raises(UsageError, match=r"install leaf-distill\[inspect\]"):
            read_inspect(path)
    else:
        pytest.skip("inspect-ai is installed")


def test_every_filter_of_lm_eval_is_a_measure() -> None:
    found = read_lm_eval(SAMPLES, None)
    (items,) = found.benchmarks.values()
    assert list(found.benchmarks) == ["pens"]
    assert set(items[0].values) == {"exact_match,strict-match", "exact_match,flexible"}
    lines = [json.loads(line) for line in next(SAMPLES.iterdir()).read_text().splitlines()]
    assert {item.texts["prompt"] for item in items} == {
        " ".join(line["arguments"]["gen_args_0"]["arg_0"].split()) for line in lines
    }


def test_lm_eval_and_inspect_meet_by_the_question() -> None:
    one = one_of(
        compare_evaluations(
            read_evaluated(str(SAMPLES)), read_evaluated(str(LOGS[0])), Wish(group="base")
        )
    )
    assert (one["paired_by"], one["n"], one["problems"]) == ("question / input", 6, 3)
    assert one["measure"] == "exact_match,strict-match / match"
    lines = [json.loads(line) for line in next(SAMPLES.iterdir()).read_text().splitlines()]
    strict = [line["exact_match"] for line in lines if line["filter"] == "strict-match"]
    assert (one["a"], one["b"]) == (sum(strict) / 6, 1.0)


def test_a_measure_may_be_named_on_either_side() -> None:
    sides = read_evaluated(str(SAMPLES)), read_evaluated(str(LOGS[1]))
    one = one_of(compare_evaluations(*sides, Wish(measure="exact_match,flexible:includes")))
    assert one["measure"] == "exact_match,flexible / includes"
    with pytest.raises(UsageError, match="A has no `acc`, but exact_match,strict-match, exact"):
        compare_evaluations(*sides, Wish(measure="acc:match"))


def test_the_newest_samples_of_a_task_count_and_several_models_are_refused(tmp_path: Path) -> None:
    (old,) = SAMPLES.iterdir()
    folder = tmp_path / "out" / "model__a"
    folder.mkdir(parents=True)
    first = json.loads(old.read_text().splitlines()[0])
    for day, value in (("01", 0.0), ("02", 1.0)):
        line = json.dumps({**first, "exact_match": value})
        (folder / f"samples_a_b_2026-01-{day}T10-00-00.5.jsonl").write_text(line + "\n")
    found = read_lm_eval(tmp_path / "out", None)
    assert found.benchmarks["a_b"][0].values == {"exact_match,strict-match": 1.0}
    assert found.notes == [f"{tmp_path}/out: 1 older files of the same tasks are passed over"]
    (tmp_path / "out" / "model__b").mkdir()
    (tmp_path / "out" / "model__b" / "samples_a.jsonl").write_text(json.dumps(first))
    with pytest.raises(UsageError, match="holds samples of several models; name one, such as"):
        read_lm_eval(tmp_path / "out", None)


def values(path: Path, arm: str, right: list[float]) -> None:
    path.mkdir()
    records = [
        QuestionValue(
            benchmark="pens EM",
            arm=arm,
            problem_id=f"p{at}",
            question=f"d{at}",
            base="",
            value=value,
            measure="EM",
            text=f"How many pens are  there in box {at}?",
        )
        for at, value in enumerate(right)
    ]
    write_records(path / VALUES, records, QuestionValue)


def test_our_own_meets_others_by_the_question_and_our_own_by_its_digest(tmp_path: Path) -> None:
    values(tmp_path / "a", "leaf", [1.0, 0.0, 1.0])
    values(tmp_path / "b", "model", [1.0, 1.0, 1.0])
    ours = read_evaluated(str(tmp_path / "a"))
    own = one_of(compare_evaluations(ours, read_evaluated(str(tmp_path / "b")), Wish()))
    assert (own["benchmark"], own["measure"], own["paired_by"]) == ("pens", "EM", "digest")
    assert (own["n"], own["wins"], own["losses"]) == (3, 1, 0)
    other = one_of(compare_evaluations(ours, read_evaluated(str(LOGS[0])), Wish()))
    assert (other["paired_by"], other["n"]) == ("question / input", 3)
    with pytest.raises(UsageError, match=r"has leaf, but no arm `kd`; name one: .*a:ARM"):
        read_evaluated(f"{tmp_path}/a:kd")


def test_samples_of_an_older_lm_eval_which_names_no_metrics_have_their_numbers(
    tmp_path: Path,
) -> None:
    line = {"doc_id": 7, "doc": {"question": "2+2?"}, "target": 4, "acc": 1, "exact_match": 0.0}
    (tmp_path / "samples_pens.jsonl").write_text(json.dumps(line))
    (asked,) = read_evaluated(str(tmp_path)).benchmarks["pens"]
    assert asked.values == {"acc": 1.0, "exact_match": 0.0}


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ('{"a', "samples_x.jsonl:1: not JSON: Unterminated .*; remove the line, or run lm_eval"),
        ("[" * 100_000, "samples_x.jsonl:1: not JSON: .*; remove the line, or run lm_eval"),
        ('{"resps": []}', "samples_x.jsonl:1: no sample of lm-eval"),
        ('{"doc": {}, "metrics": ["acc"], "acc": "ok"}', "acc: must be a number, but is 'ok'"),
        ('{"doc": {}, "metrics": 5}', "x.jsonl:1: `metrics` must be a list of names, but is 5"),
    ],
)
def test_a_line_that_is_no_sample_is_named(tmp_path: Path, content: str, said: str) -> None:
    (tmp_path / "samples_x.jsonl").write_text(content)
    with pytest.raises(UsageError, match=said):
        read_evaluated(str(tmp_path))


@pytest.mark.parametrize(
    ("samples", "said"),
    [
        (5, "log.json: `samples` must be a list, but is 5"),
        (["x"], "log.json: sample 1: must be a mapping, but is 'x'"),
        ([{"input": "q"}, {"input": ["hi"]}], "sample 2: a message of `input` must be a mapping"),
        ([{"input": 3}], "sample 1: `input` must be a list, but is 3"),
        ([{"input": "q", "scores": [1]}], r"sample 1: `scores` must be a mapping, but is \[1\]"),
        ([{"input": "q", "metadata": "m"}], "sample 1: `metadata` must be a mapping"),
        ([{"input": "q", "scores": {"m": {"value": [1]}}}], "sample 1: m: must be a number"),
    ],
)
def test_a_damaged_sample_of_inspect_is_named(tmp_path: Path, samples: Any, said: str) -> None:
    path = tmp_path / "log.json"
    path.write_text(json.dumps({"eval": {"task": "t"}, "status": "success", "samples": samples}))
    with pytest.raises(UsageError, match=said):
        read_inspect(path)


def test_a_damaged_log_that_inspect_reads_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_: str) -> None:
        raise BadZipFile("File is not a zip file\nmore")

    log = ModuleType("inspect_ai.log")
    monkeypatch.setattr(log, "read_eval_log", broken, raising=False)
    monkeypatch.setitem(sys.modules, "inspect_ai", ModuleType("inspect_ai"))
    monkeypatch.setitem(sys.modules, "inspect_ai.log", log)
    path = tmp_path / "log.eval"
    path.write_bytes(b"PK")
    with pytest.raises(UsageError) as caught:
        read_inspect(path)
    assert str(caught.value) == f"{path}: inspect-ai cannot read it: File is not a zip file"


def test_a_file_in_the_folder_that_is_no_log_is_passed_over(tmp_path: Path) -> None:
    (tmp_path / "log.json").write_text(LOGS[0].read_text())
    (tmp_path / "other.json").write_text('{"hello": 1}')
    found = read_inspect(tmp_path)
    assert found.count == 6
    assert found.notes == [f"{tmp_path}: 1 files that are no logs of Inspect are passed over"]


def test_questions_in_common_without_scores_are_told_with_the_notes() -> None:
    scored = side("a", {"q1": 1.0, "q2": 0.0})
    bare = [Asked(texts={"input": text}, values={}) for text in ("q1", "q2", "q3")]
    none = Evaluated(path="b", kind="test", benchmarks={"t": bare}, notes=["b: stopped"])
    with pytest.raises(UsageError) as caught:
        compare_evaluations(scored, none, Wish())
    assert str(caught.value).splitlines() == [
        "note: b: stopped",
        "2 questions in common, but B (b) has no scores of them",
    ]
    empty = Evaluated(path="c", kind="test", benchmarks={"t": []})
    with pytest.raises(UsageError, match=r"^c: holds no questions$"):
        compare_evaluations(scored, empty, Wish())
    ours = [Asked(texts={"q": q}, values={"acc": 1.0} if q == "1" else {}) for q in "12"]
    theirs = [Asked(texts={"q": q}, values={"acc": 1.0} if q == "2" else {}) for q in "12"]
    sides = [
        Evaluated(path=name, kind="test", benchmarks={"t": items})
        for name, items in (("a", ours), ("b", theirs))
    ]
    with pytest.raises(UsageError, match="2 questions in common, but none is scored on both"):
        compare_evaluations(*sides, Wish())


def test_a_common_question_without_a_score_is_counted() -> None:
    a = side("a", {"q1": 1.0, "q2": 0.0, "q3": 1.0})
    items = [
        Asked(texts={"input": text}, values={"acc": 1.0} if text != "q3" else {})
        for text in ("q1", "q2", "q3")
    ]
    b = Evaluated(path="b", kind="test", benchmarks={"b": items})
    one = one_of(compare_evaluations(a, b, Wish()))
    assert (one["n"], one["unscored"], one["only_a"], one["only_b"]) == (2, 1, 0, 0)
    assert [number(one, "") for one in (float("nan"), "nan", "inf")] == [None, None, None]


def test_questions_without_a_group_stand_by_themselves() -> None:
    kinds: dict[str, dict[str, str]] = {
        "q1": {"kind": "x"},
        "q2": {"kind": "x"},
        "q3": {},
        "q4": {},
    }
    sides = [
        side(name, dict.fromkeys(kinds, value), kinds) for name, value in (("a", 0.0), ("b", 1.0))
    ]
    one = one_of(compare_evaluations(*sides, Wish(group="kind")))
    # x, q3 and q4: three groups, of which B is better on each.
    assert (one["problems"], one["ungrouped"], one["p_value"]) == (3, 2, binomtest(0, 3).pvalue)


def test_a_question_column_is_paired_by_alone_and_must_be_there(tmp_path: Path) -> None:
    for name, kind in (("a", "key"), ("b", "key"), ("c", "other")):
        lines = [
            {
                "doc": {kind: at, "question": f"{name} {at}?"},
                "arguments": [["the same"]],
                "metrics": ["acc"],
                "acc": 1,
            }
            for at in range(3)
        ]
        (tmp_path / name).mkdir()
        (tmp_path / name / "samples_t.jsonl").write_text("\n".join(map(json.dumps, lines)))
    wish = Wish(question="key")
    a, b, c = (read_evaluated(str(tmp_path / name), question="key") for name in "abc")
    one = one_of(compare_evaluations(a, b, wish))
    assert (one["paired_by"], one["n"]) == ("key", 3)
    with pytest.raises(UsageError, match="--question key: no such column; there are: other, ques"):
        compare_evaluations(c, c, wish)
