"""Every detector on real tiny models, where the cue is known, and what each costs."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import yaml

from benchmarks import _arms, detection
from leaf.attribute import MeasuredModel
from leaf.errors import LeafError
from leaf.models.load import load
from leaf.models.prompt_format import PromptFormat
from leaf.pipeline.stages import Pipeline
from leaf.recipe import Recipe
from leaf.recipe.reading import check_recipe
from leaf.records import Distractor, Problem
from leaf.store.store import Store


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


def cue_recipe(folder: Path) -> Recipe:
    return check_recipe(
        {
            **yaml.safe_load((folder / "recipe.yaml").read_text()),
        },
        source="test",
    )


@pytest.fixture(scope="module")
def cued(cue_pair: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The pipeline, the problems that entered detection with their cue, and all agreements."""
    store = Store(tmp_path_factory.mktemp("store"))
    pipeline = Pipeline(cue_recipe(cue_pair), store)
    pairs = [
        (replace(problem, distractors=planted(problem.question, "red").distractors), reference)
        for problem, reference in detection.enter_detection(pipeline)
    ]
    pipeline = with_ablation_by_word(pipeline)
    agreements, without_ranking = detection.agree(pipeline.session, pairs, _arms.ARMS)
    return SimpleNamespace(
        pipeline=pipeline,
        pairs=pairs,
        agreements=agreements,
        without_ranking=without_ranking,
    )


def with_ablation_by_word(pipeline: Pipeline) -> Pipeline:
    """Return the pipeline with a unit that fits questions of one sentence beside the asking one."""
    attribute = pipeline.recipe.attribute.with_options(ablation={"unit": "word"})
    recipe = pipeline.recipe.model_copy(update={"attribute": attribute})
    pipeline.session.recipe = recipe
    return pipeline


def test_the_problems_that_only_the_teacher_solves_enter(cued: Any) -> None:
    # By construction the student fails every question with the cue, and the teacher none.
    assert len(cued.pairs) == 4
    assert all(" red " in problem.question for problem, _ in cued.pairs)
    assert {reference for _, reference in cued.pairs} == {"4"}


def test_every_detector_ranks_every_problem_and_controls_mark_as_many_units_as_the_gradient(
    cued: Any,
) -> None:
    assert cued.without_ranking == 0
    assert {name: len(found) for name, found in cued.agreements.items()} == dict.fromkeys(
        _arms.ARMS, 4
    )
    names = ("gradient", "random", "perplexity")
    marked = [[item.marked for item in cued.agreements[name]] for name in names]
    assert marked[0] == marked[1] == marked[2]
    assert min(marked[0]) >= 1


def test_ablation_finds_the_cue_that_misleads_the_student(cued: Any) -> None:
    # By construction: with the cue the student says 7 where the reference says 4.
    assert [item.auc for item in cued.agreements["ablation"]] == [1.0] * 4


def test_costs_are_the_tokens_that_go_through_both_models(cued: Any) -> None:
    costs = _arms.costs(cued.pipeline.session, cued.pairs, _arms.ARMS)
    spent = {name: counted(cued, name) for name in _arms.ARMS}
    for name in ("gradient", "attention", "integrated_gradients", "ablation", "perplexity"):
        assert costs[name] == pytest.approx(spent[name]), name
    # The gradient of both models, then two words each.
    assert costs["gradient"] + 2 < costs["ablation_of_proposals"] < costs["gradient"] + 6
    assert (costs["teacher"], costs["random"]) == (costs["gradient"] / 2, 0)


def counted(cued: Any, name: str) -> float:
    """Run an arm's detector on both models and count, by hooks, what goes through a layer."""
    arm, session = _arms.ARMS[name], cued.pipeline.session
    detector = _arms.varied(session, arm).detector(arm.detector)
    if not detector.roles() or detector.goes_by or name == "ablation_of_proposals":
        return 0.0
    total = 0.0
    for role in detector.roles():
        loaded = load(getattr(session.recipe, role), session.sources[role])
        chat = PromptFormat(loaded.tokenizer, name=role)
        # One conversation at a time: padding is no cost.
        model = MeasuredModel(loaded=loaded, chat=chat, token_budget=1)
        # What stands before all questions is computed with the first of them.
        detector.measure(model, *([part] for part in cued.pairs[0]))
        tokens: list[int] = []
        layer = loaded.model.model.layers[0]
        layer.register_forward_hook(lambda _m, _i, out, t=tokens: t.append(count_of(out)))
        layer.register_full_backward_hook(lambda _m, _i, out, t=tokens: t.append(2 * count_of(out)))
        for problem, reference in cued.pairs:
            tokens.clear()
            detector.measure(model, [problem], [reference])
            whole = len(chat.encode(problem.content, reference).ids)
            total += sum(tokens) / whole / len(cued.pairs)
    return total


def count_of(states: Any) -> int:
    """Tokens in hidden states [B, T, D], or in a tuple that begins with them."""
    first = states[0] if isinstance(states, tuple) else states
    return int(first.shape[0] * first.shape[1])


def test_areas_are_those_of_equation_4_and_of_surprisal_from_the_models_own_scores(
    cued: Any,
) -> None:
    raw = {
        (role, detector): cued.pipeline.session.sensitivities(role, detector, cued.pairs)
        for role, detector in (
            ("student", "gradient"),
            ("teacher", "gradient"),
            ("student", "perplexity"),
        )
    }
    for at, (problem, _) in enumerate(cued.pairs):
        student, teacher, surprisal = (np.array(found[at].scores) for found in raw.values())
        gap = np.ptp(student) * (teacher - teacher.min()) - np.ptp(teacher) * (
            student - student.min()
        )
        starts = raw["student", "gradient"][at].starts
        # The token of the cue begins with the space before it.
        cue = starts.index(problem.question.index(" red"))
        for detector, low_first in (("gradient", gap), ("perplexity", -surprisal)):
            others = np.delete(low_first, cue)
            share = float(np.mean(low_first[cue] < others))
            assert cued.agreements[detector][at].auc == pytest.approx(share)


def test_the_oracle_finds_the_cue_and_nothing_else(cued: Any) -> None:
    measures = detection.measures_of(cued.agreements["oracle"], seed=0)
    assert {name: found.value for name, found in measures.items()} == {
        "auc": 1.0,
        "precision": 1.0,
        "precision_where_planted": 1.0,
        "recall": 1.0,
        "sentence_hit": 1.0,
        "phrase_hit": 1.0,
    }


def test_a_second_measurement_computes_nothing_and_finds_the_same(
    cued: Any, capfd: pytest.CaptureFixture[str]
) -> None:
    capfd.readouterr()
    again, _ = detection.agree(cued.pipeline.session, cued.pairs, _arms.ARMS)
    assert again == cued.agreements
    assert "loaded" not in capfd.readouterr().err


def test_no_problem_is_an_error_that_says_what_to_do(cued: Any) -> None:
    with pytest.raises(LeafError, match="no problem entered detection: take more problems"):
        detection.agree(cued.pipeline.session, [], ("gradient",))
