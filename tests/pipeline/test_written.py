"""An evaluation in the forms of other tools: what they require is there, and says the same."""

import hashlib
import json
import re
from pathlib import Path
from typing import Any

import pytest

from leaf.pipeline.answered import Answered, Benchmark
from leaf.pipeline.written import Writer
from leaf.recipe.reading import check_recipe
from leaf.records import Answer, Measure, Outcome, Problem, Score
from leaf.report.others.lm_eval import read_lm_eval

MODEL = "org/small-model"
PROBLEMS = [
    Problem(id="p1", question="How many?", answer="3", solution="", before="Think. ", base="b"),
    Problem(id="p2", question="Who?", answer="Ann", golds=("Anna",), solution=""),
]


def writer(out: Path, samples: int = 1) -> tuple[Writer, Benchmark]:
    own: dict[str, Any] = {"task": "table", "path": "t.jsonl", "samples": samples}
    if samples > 1:
        own["temperature"] = 0.8
    section = {"model": MODEL}
    values = {
        "name": "evaluate",
        "student": section,
        "teacher": section,
        "data": {"task": "table", "path": "t.jsonl"},
        "evaluate": {"benchmarks": {"own set": own}, "resamples": 100},
    }
    recipe = check_recipe(values, source="test")
    benchmark = Benchmark(
        name="own set",
        section=recipe.evaluate.benchmarks["own set"],
        problems=PROBLEMS,
        refused=[],
    )
    return Writer(recipe=recipe, out=out), benchmark


def graded(benchmark: Benchmark, right: list[bool], measures: tuple[str, ...] = ()) -> Answered:
    asked = benchmark.asked
    answers = [
        Answer(
            problem_id=problem.id,
            text=f"It is {at}.\u2028",
            prompt_tokens=5,
            response_tokens=3,
            truncated=False,
        )
        for at, problem in enumerate(asked)
    ]
    scores = [
        Score(
            problem_id=problem.id,
            outcome=Outcome.RIGHT if good else Outcome.WRONG,
            extracted="3" if good else None,
            reason=None,
            measures=tuple(Measure(name=name, value=0.5) for name in measures),
        )
        for problem, good in zip(asked, right, strict=True)
    ]
    return Answered(benchmark=benchmark, asked=asked, graded=(answers, scores))


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().split("\n") if line]


def test_samples_have_lm_evals_columns_and_are_read_as_such(tmp_path: Path) -> None:
    own, benchmark = writer(tmp_path)
    own.lm_eval(graded(benchmark, [True, False]))
    (path,) = (tmp_path / "lm-eval").iterdir()
    assert re.fullmatch(r"samples_own_set_\d{4}-\d\d-\d\dT\d\d-\d\d-\d\d\.jsonl", path.name)
    first, second = lines(path)
    theirs = next((Path(__file__).parents[1] / "data" / "lm_eval").iterdir())
    assert set(lines(theirs)[0]) <= set(first)
    assert first["doc"] == {"id": "p1", "question": "How many?", "answer": "3", "base": "b"}
    assert first["arguments"]["gen_args_0"]["arg_0"] == "Think. How many?"
    assert (first["resps"], first["filtered_resps"]) == ([["It is 0.\u2028"]], ["3"])
    assert (first["exact_match"], second["exact_match"]) == (1.0, 0.0)
    assert second["doc"]["golds"] == "Anna"
    (found,) = read_lm_eval(path, None).benchmarks.values()
    assert [item.values for item in found] == [{"exact_match": 1.0}, {"exact_match": 0.0}]
    # Again, later: the file of before does not stay beside it.
    later, _ = writer(tmp_path)
    later.__dict__["when"] = own.when + 60
    later.lm_eval(graded(benchmark, [True, True]))
    (again,) = (tmp_path / "lm-eval").iterdir()
    assert again != path


def test_several_answers_are_one_sample_with_pass_at_k(tmp_path: Path) -> None:
    own, benchmark = writer(tmp_path, samples=2)
    own.lm_eval(graded(benchmark, [True, False, False, False]))
    (path,) = (tmp_path / "lm-eval").iterdir()
    first, second = lines(path)
    assert [len(one["resps"][0]) for one in (first, second)] == [2, 2]
    # One of two answers is right: pass@1 is 1/2.
    assert (first["pass@1"], second["pass@1"], first["metrics"]) == (0.5, 0.0, ["pass@1"])


@pytest.mark.parametrize("measures", [(), ("EM", "F1")])
def test_records_say_what_every_eval_ever_requires(
    tmp_path: Path, measures: tuple[str, ...]
) -> None:
    own, benchmark = writer(tmp_path)
    own.every_eval_ever(graded(benchmark, [True, False], measures))
    root = tmp_path / "every-eval-ever"
    (path,) = (one for one in root.rglob("*.json"))
    # Version 4, variant 1, in the folders of that data base.
    assert re.fullmatch(
        r"data/own_set/org/small-model/[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-"
        r"[0-9a-f]{12}\.json",
        str(path.relative_to(root)),
    )
    record = json.loads(path.read_text())
    assert set(record) >= {
        "schema_version",
        "evaluation_id",
        "retrieved_timestamp",
        "source_metadata",
        "model_info",
        "eval_library",
        "evaluation_results",
    }
    labels = [f"own set {name}" for name in measures] or ["own set"]
    assert [one["evaluation_name"] for one in record["evaluation_results"]] == labels
    assert [one["score_details"]["score"] for one in record["evaluation_results"]] == [0.5] * len(
        labels
    )
    assert record["model_info"]["id"] == MODEL
    # That schema has texts alone in such places.
    data = record["evaluation_results"][0]["source_data"]["additional_details"]
    assert data == {"path": "t.jsonl", "split": ""}
    assert record["model_info"]["inference_engine"] == {"name": "hf"}
    details = record["detailed_evaluation_results"]
    samples = root / details["file_path"]
    assert hashlib.sha256(samples.read_bytes()).hexdigest() == details["checksum"]
    found = lines(samples)
    assert len(found) == details["total_rows"] == 2 * len(labels)
    assert {one["evaluation_id"] for one in found} == {record["evaluation_id"]}
    assert found[1]["input"] == {"raw": "Who?", "reference": ["Ann", "Anna"]}
    assert found[0]["token_usage"] == {"input_tokens": 5, "output_tokens": 3, "total_tokens": 8}
    # The same evaluation again is the same record.
    own.every_eval_ever(graded(benchmark, [True, False], measures))
    assert len(list(root.rglob("*.json"))) == 1
