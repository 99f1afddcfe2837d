"""Questions are asked until their majority is settled; equal answers share a vote."""

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from leaf.cli.main import main
from leaf.errors import RecipeError
from leaf.grade import open_graders
from leaf.models.files import Source
from leaf.pipeline.answered import Answered, Benchmark
from leaf.pipeline.benchmarks import evaluate_model, robustness_of
from leaf.pipeline.voting import ask
from leaf.recipe import Recipe
from leaf.recipe.reading import check_recipe
from leaf.records import Answer, Outcome, Problem, Score
from leaf.store.results import Graded
from leaf.store.store import Store
from leaf.store.work import About

SAID = {
    # Four alike are enough (1 - 2^-5 = 0.97), also where they are written in other ways.
    "p1": ["8", "8.0", "\\frac{16}{2}", "8"],
    # A wrong one, then as many as outweigh it.
    "p2": ["3", "9", "9", "9", "9", "9", "9"],
    # Never settled: all samples are asked.
    "p3": ["1", "2", "1", "2", "1", "2", "1", "2"],
}


class Script:
    """Stands for a session whose model says what is written down."""

    def __init__(self, recipe: Recipe) -> None:
        self.recipe = recipe
        self.store = Store("nowhere")
        self.rounds: list[list[str]] = []
        self.titles: list[str] = []

    def answers(
        self, model: object, source: object, asked: Sequence[Problem], about: About, generate: Any
    ) -> Graded:
        self.rounds.append([problem.id for problem in asked])
        self.titles.append(about.asked)
        answers = [
            Answer(
                problem_id=one.id,
                text=f"It is \\boxed{{{SAID[one.id.partition('/')[0]][one.sample]}}}.",
                prompt_tokens=1,
                response_tokens=1,
                truncated=False,
            )
            for one in asked
        ]
        with open_graders(self.recipe.grade) as graders:
            return answers, graders.grade(asked, answers)


def recipe_of(model: Path, data: Path, **own: Any) -> Recipe:
    section = {"model": str(model), "dtype": "float32"}
    benchmark = {"task": "table", "path": str(data), "temperature": 1.0, **own}
    return check_recipe(
        {
            "name": "evaluate",
            "student": section,
            "teacher": section,
            "data": {"task": "table", "path": str(data)},
            "generate": {"max_new_tokens": 8},
            "grade": {"time_limit": 20.0},
            "evaluate": {"benchmarks": {"own": benchmark}},
        },
        source="test",
    )


def asked_of(recipe: Recipe) -> tuple[Script, Answered]:
    problems = [
        Problem(id=id, question="?", answer=gold, solution="")
        for id, gold in (("p1", "8"), ("p2", "9"), ("p3", "1"))
    ]
    section = recipe.evaluate.benchmarks["own"]
    benchmark = Benchmark(name="own", section=section, problems=problems, refused=[])
    script = Script(recipe)
    source = Source(name="m", fingerprint="m")
    found = ask(script, benchmark, recipe.student, source, About(asked="own"))  # type: ignore[arg-type]
    return script, found


def test_a_question_is_asked_no_more_once_its_majority_is_settled(tmp_path: Path) -> None:
    recipe = recipe_of(tmp_path, tmp_path, samples=8, majority={"stop": "dirichlet"})
    script, found = asked_of(recipe)
    # All are asked for what could settle them; the first is settled then, the others are not.
    assert len(script.rounds[0]) == 3 * 4
    assert not [id for asked in script.rounds[1:] for id in asked if id.startswith("p1")]
    assert script.titles[:2] == ["own", "own, round 2"]
    assert [len(pairs) for _, pairs in found.by_problem] == [4, 7, 8]
    assert found.measures == {
        "own maj@1": {"p1": 1.0, "p2": 0.0, "p3": 1.0},
        # Of the tie the first answer wins.
        "own maj@8": {"p1": 1.0, "p2": 1.0, "p3": 1.0},
    }
    assert found.consistency is not None
    assert (found.consistency.asked, found.consistency.whole) == (19, 24)
    assert found.ballots[0].votes == (0, 0, 0, 0)


def test_a_window_of_equal_answers_stops_and_one_that_is_not_goes_on(tmp_path: Path) -> None:
    own = {"samples": 8, "majority": {"stop": "window", "window": 3, "at": [8]}}
    script, found = asked_of(recipe_of(tmp_path, tmp_path, **own))
    assert [len(pairs) for _, pairs in found.by_problem] == [3, 6, 8]
    assert [len(asked) for asked in script.rounds] == [9, 6, 2]
    assert list(found.measures) == ["own maj@8"]


def test_without_a_stop_every_sample_is_asked_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(SAID, "p1", SAID["p1"][:2])
    own = {"samples": 2, "majority": {}, "pass_at": [2]}
    script, found = asked_of(recipe_of(tmp_path, tmp_path, **own))
    assert [len(asked) for asked in script.rounds] == [6]
    assert list(found.measures) == ["own pass@2", "own maj@1", "own maj@2"]


@pytest.mark.parametrize(
    ("own", "said"),
    [
        ({"majority": {}}, "majority: one answer is no vote; set samples, such as 10"),
        ({"samples": 2, "majority": {"at": [3]}}, "majority.at 3 needs as many samples"),
        (
            {"samples": 4, "pass_at": [2], "majority": {"stop": "window"}},
            "pass_at needs every sample, which majority.stop leaves out",
        ),
        (
            {"samples": 4, "majority": {"stop": "windw"}},
            "must be 'dirichlet' or 'window'",
        ),
        ({"samples": 4, "majority": {"certainty": 0.4}}, "certainty` must be greater than 0.5"),
    ],
)
def test_a_vote_that_cannot_be_is_refused_in_one_line(
    tmp_path: Path, own: dict[str, Any], said: str
) -> None:
    with pytest.raises(RecipeError) as caught:
        recipe_of(tmp_path, tmp_path, **own)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_command_says_what_was_saved_and_resumes(
    cue_pair: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["evaluate", "--model", str(cue_pair / "student"), "--out", str(tmp_path / "s")]
    words += ["--benchmark", f"table={cue_pair}/test.jsonl", "--samples", "6"]
    words += ["--temperature", "0.01", "--majority", "1,6", "--stop", "dirichlet"]
    words += ["--dtype", "float32", "--max-new-tokens", "8"]
    with pytest.raises(SystemExit) as done:
        main(words)
    said = capsys.readouterr().out
    assert not done.value.code
    # As good as greedy: four answers alike settle each of the four questions.
    assert "16 of 24" in said
    assert "33.3%" in said
    with pytest.raises(SystemExit):
        main([*words, "--json"])
    again = capsys.readouterr()
    assert "loaded " not in again.err
    content = json.loads(again.out)
    assert content["consistency"]["table"]["stopped"] == 4
    assert content["scores"]["table maj@6"]["right"] == 2
    lines = (tmp_path / "s" / "answers" / "table.jsonl").read_text().splitlines()
    assert [json.loads(line)["vote"] for line in lines] == [0] * 16


def test_a_vote_weighs_the_probability_per_token_that_the_model_gives_it(
    cue_pair: Path, tmp_path: Path
) -> None:
    own = {"samples": 2, "majority": {"weights": "mean_logprob"}, "temperature": 0.01}
    recipe = recipe_of(cue_pair / "student", cue_pair / "test.jsonl", **own)
    evaluate_model(recipe, tmp_path)
    lines = (tmp_path / "answers" / "own.jsonl").read_text().splitlines()
    answers = [json.loads(line) for line in lines]
    asked = [
        json.loads(line)["question"] for line in (cue_pair / "test.jsonl").read_text().splitlines()
    ]
    tokenizer = AutoTokenizer.from_pretrained(cue_pair / "student")
    model = AutoModelForCausalLM.from_pretrained(cue_pair / "student").eval()
    for question, answer in zip(asked, answers[::2], strict=True):
        chat = [{"role": "user", "content": question}]
        prompt = tokenizer.apply_chat_template(chat, tokenize=False, add_generation_prompt=True)
        before = tokenizer(prompt, return_tensors="pt").input_ids
        after = tokenizer(answer["text"] + tokenizer.eos_token, return_tensors="pt").input_ids
        with torch.no_grad():
            logits = model(torch.cat([before, after], 1)).logits[0, before.shape[1] - 1 : -1]
        logp = torch.log_softmax(logits, -1)[torch.arange(after.shape[1]), after[0]]
        assert answer["weight"] == pytest.approx(math.exp(logp.mean()), rel=1e-4)


def test_a_variant_agrees_where_it_gets_the_answer_of_its_base_problem(tmp_path: Path) -> None:
    base = [Problem(id=f"b{n}", question="?", answer="5", solution="") for n in (1, 2, 3)]
    variants = [
        Problem(id=f"v{n}{at}", question="?!", answer="5", solution="", base=f"b{n}")
        for n in (1, 2, 3)
        for at in (1, 2)
    ]
    recipe = recipe_of(tmp_path, tmp_path)
    section = recipe.evaluate.benchmarks["own"]
    benchmarks = {
        "base": Benchmark(name="base", section=section, problems=base, refused=[]),
        "own": Benchmark(
            name="own",
            section=section.model_copy(update={"against": "base"}),
            problems=variants,
            refused=[],
        ),
    }
    said = {"b1": "5", "b2": "7", "b3": None}
    # Of b1 both, of b2 (wrong, as written otherwise) one, of b3, in which nothing was read, none.
    said |= {"v11": "5", "v12": "5.0", "v21": "7.00", "v22": "5", "v31": None, "v32": "5"}
    scores = {
        name: [
            Score(
                problem_id=problem.id,
                outcome=Outcome.RIGHT if (said[problem.id] or "")[:1] == "5" else Outcome.WRONG,
                extracted=said[problem.id],
                reason=None,
            )
            for problem in one.problems
        ]
        for name, one in benchmarks.items()
    }
    found = robustness_of(benchmarks, scores, recipe.grade, resamples=500, seed=0)["own"].agreement
    assert found is not None
    assert (found.value, found.n) == (pytest.approx((1 + 1 / 2 + 0) / 3), 3)
    assert found.low is not None
    assert found.low < found.value < (found.high or 0)
