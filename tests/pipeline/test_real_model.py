"""One whole run on a real model, SmolLM2-135M: brought by tools/offline_models.py."""

import json
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F

from leaf.attribute.embedding_gradient import sensitivity
from leaf.models.load import load
from leaf.models.output_head import output_head
from leaf.models.packing import Packer
from leaf.models.prompt_format import PromptFormat
from leaf.pipeline.run import run_recipe
from leaf.recipe import ModelSection
from leaf.recipe.reading import load_recipe
from leaf.store.store import Store
from leaf.tasks import load_problems
from tests.marks import OFFLINE

TEACHER = OFFLINE / "smollm2-135m.gguf"
STUDENT = OFFLINE / "smollm2-135m-short"

pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif(
        not (TEACHER.is_file() and STUDENT.is_dir()),
        reason="SmolLM2 is not here: tools/offline_models.py smollm2-135m smollm2-135m-short",
    ),
]


SUMS = Path(__file__).parents[1] / "data" / "sums"
"""60 one-step sums for training and 40 for a test, some with a distracting sentence."""


@pytest.fixture(scope="module")
def recipe():
    return load_recipe(
        str(SUMS / "recipe.yaml"),
        [
            f"data.path={SUMS / 'train.jsonl'}",
            f"evaluate.benchmarks.sums.path={SUMS / 'test.jsonl'}",
            f"student.model={STUDENT}",
            f"teacher.model={TEACHER}",
            "data.limit=8",
            "generate.max_new_tokens=20",
            "distill.max_steps=2",
            "distill.batch_size=2",
            "distill.checkpoint_every=2",
            "evaluate.teacher=false",
            "evaluate.benchmarks.sums.limit=4",
            "store.shard_size=4",
        ],
    )


@pytest.fixture(scope="module")
def finished(recipe, tmp_path_factory):
    folder = tmp_path_factory.mktemp("real")
    results = run_recipe(
        recipe, out=folder / "run", store=Store(folder / "store"), until="evaluate", command="leaf"
    )
    return folder, results


def test_a_whole_run_trains_both_students_and_compares_them(finished):
    _, results = finished
    assert {score.problem_id for score in results.student[1]} == {
        problem.id for problem in results.problems
    }
    assert any(score.right for score in results.teacher[1])
    assert results.estimates["sums"].keys() == {"before", "kd", "leaf"}
    assert results.comparisons["sums"].n == 4


def test_detection_takes_exactly_the_problems_that_only_the_teacher_solves(finished):
    _, results = finished
    solved = {score.problem_id for score in results.teacher[1] if score.right}
    wrong = [score.problem_id for score in results.student[1] if score.outcome == "wrong"]
    assert {score.problem_id for score in results.teacher[1]} == set(wrong), "all that is asked"
    expected = [problem_id for problem_id in wrong if problem_id in solved]
    assert [item.problem_id for item in results.attributions] == expected
    assert expected, "the shortened student failed nothing: choose another layer to remove"


def test_every_counterfactual_and_its_removed_pieces_give_the_question_back(finished):
    _, results = finished
    questions = {problem.id: problem.question for problem in results.problems}
    for item in results.cuts["gradient"].counterfactuals:
        text = item.question
        for span in item.spans:
            text = text[: span.start] + span.text + text[span.start :]
        assert text == questions[item.problem_id]


def test_the_trained_students_load_with_plain_transformers(finished):
    from transformers import AutoModelForCausalLM, AutoTokenizer

    folder, _ = finished
    for name in ("student", "student-kd"):
        model = AutoModelForCausalLM.from_pretrained(folder / "run" / name)
        tokenizer = AutoTokenizer.from_pretrained(folder / "run" / name)
        assert model.dtype is torch.bfloat16
        assert tokenizer.chat_template
        assert model.generation_config.eos_token_id == tokenizer.eos_token_id


def test_the_same_command_again_computes_nothing(finished, recipe, capfd):
    folder, results = finished
    again = run_recipe(
        recipe, out=folder / "run", store=Store(folder / "store"), until="evaluate", command="leaf"
    )
    assert again.estimates == results.estimates
    assert "loaded" not in capfd.readouterr().err
    report = json.loads((folder / "run" / "report.json").read_text())
    assert all(stage["reused"] for stage in report["cost"]["stages"])


def test_sensitivity_in_bfloat16_agrees_with_float32(recipe):
    section = ModelSection(model=str(TEACHER))
    problems = load_problems(recipe.data)[:3]
    norms = {}
    for dtype in (torch.bfloat16, torch.float32):
        loaded = load(section, dtype=dtype)
        chat = PromptFormat(loaded.tokenizer, name="SmolLM2")
        items = [chat.encode(problem.content, problem.solution) for problem in problems]
        norms[dtype], _ = sensitivity(Packer(loaded.model), output_head(loaded.model), items)
    for row, problem in enumerate(problems):
        tokens = [token for unit in chat.prompt(problem).units for token in unit.tokens]
        narrow, wide = norms[torch.bfloat16][row, tokens], norms[torch.float32][row, tokens]
        assert float(F.cosine_similarity(narrow, wide, dim=0)) > 0.98
