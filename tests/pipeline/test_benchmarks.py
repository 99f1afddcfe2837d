"""Benchmarks: how often each problem is asked, how, and what is refused before any model runs."""

import json
from pathlib import Path

import pytest

from leaf.errors import RecipeError
from leaf.generate.engine import failed
from leaf.pipeline.answered import Answered
from leaf.pipeline.benchmarks import load_benchmarks, robustness_of
from leaf.recipe import EvaluateSection, GenerateSection, GradeSection
from leaf.records import Outcome, Score
from tests.marks import DATA

GSM_IC = DATA / "gsm_ic" / "gsm_ic_test.json"
GENERATE = GenerateSection(max_new_tokens=64)


@pytest.fixture
def table(tmp_path: Path) -> str:
    path = tmp_path / "own.jsonl"
    path.write_text("".join(json.dumps({"question": f"{n}?", "answer": n}) + "\n" for n in (1, 2)))
    return str(path)


def load(generate: GenerateSection = GENERATE, **benchmarks: dict[str, object]):
    section = EvaluateSection.model_validate({"benchmarks": benchmarks})
    return load_benchmarks(section, generate)


def test_each_problem_is_asked_as_often_as_there_are_samples_under_ids_of_its_own(table: str):
    one = load(own={"task": "table", "path": table, "samples": 3, "temperature": 0.8})["own"]
    ids = ["own-1", "own-1/s1", "own-1/s2", "own-2", "own-2/s1", "own-2/s2"]
    assert [problem.id for problem in one.asked] == ids
    assert [problem.sample for problem in one.asked] == [0, 1, 2] * 2
    scores = [
        Score(problem_id=name, outcome=outcome, extracted=None, reason=None)
        for name, outcome in zip(ids, [Outcome.RIGHT] + [Outcome.WRONG] * 5, strict=True)
    ]
    answers = [failed(name, "") for name in ids]
    found = Answered(benchmark=one, asked=one.asked, graded=(answers, scores)).measures
    assert found["own pass@1"] == pytest.approx({"own-1": 1 / 3, "own-2": 0.0})


def test_a_benchmark_may_have_its_own_temperature_and_length_and_leaves_the_rest(table: str):
    own = {"temperature": 0.2, "max_new_tokens": 40_000}
    one = load(own={"task": "table", "path": table, **own})["own"]
    changed = one.generate(GENERATE)
    assert (changed.temperature, changed.max_new_tokens) == (0.2, 40_000)
    assert changed.token_budget == 80_000
    plain = load(own={"task": "table", "path": table})["own"]
    assert plain.generate(GENERATE) == GENERATE


@pytest.mark.parametrize(
    ("own", "said"),
    [
        ({"samples": 2}, "benchmarks.own.samples: 2 greedy answers would all be the same"),
        ({"against": "othr"}, "own.against: there is no benchmark `othr`; did you mean `other`?"),
        (
            {"against": "other"},
            "problem `own-1` is a variant of no problem, which `other` do",
        ),
    ],
)
def test_what_cannot_be_measured_is_refused_at_once(table: str, own: dict[str, object], said: str):
    data = {"task": "table", "path": table}
    with pytest.raises(RecipeError) as caught:
        load(own={**data, **own}, other=data)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_bad_records_are_counted_and_the_rest_is_there(tmp_path: Path):
    path = tmp_path / "own.jsonl"
    path.write_bytes(b'{"question": "1?", "answer": 1}\n{"question": "\xff"}\n{"question": "2?"}\n')
    one = load(own={"task": "table", "path": str(path)})["own"]
    assert len(one.problems) == 1
    assert one.refused[0].startswith(f"{path}:2: not UTF-8")
    assert one.refused[1].startswith(f"{path}:3: no column `answer`")


@pytest.mark.skipif(not GSM_IC.is_file(), reason="../shared/data/gsm_ic is not there")
def test_variants_are_measured_against_the_benchmark_that_they_name():
    path = str(GSM_IC)
    found = load(
        base={"task": "gsm_ic", "path": path, "split": "base"},
        distracted={"task": "gsm_ic", "path": path, "split": "test", "against": "base"},
    )
    scores = {
        name: [
            Score(problem_id=p.id, outcome=Outcome.RIGHT, extracted=None, reason=None)
            for p in one.problems
        ]
        for name, one in found.items()
    }
    (result,) = robustness_of(found, scores, GradeSection(), resamples=100, seed=0).values()
    assert (result.micro.n, result.micro.value, result.drop.value) == (1000, 1.0, 0.0)
