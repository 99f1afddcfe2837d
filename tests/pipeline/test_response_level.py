"""Response level through a run: tiny models that a word of question and response misleads."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM

from leaf.distill import TrainingExample
from leaf.pipeline.levels import at_level, cutting
from leaf.pipeline.run import run_recipe
from leaf.recipe import PruneSection
from leaf.recipe.reading import check_recipe
from leaf.records import Problem
from leaf.store.keys import digest, plain, stage_key
from leaf.store.ledger import read_ledger
from leaf.store.results import Results
from leaf.store.store import Store

ASKED = [(person, thing) for person in ("Ada", "Bo") for thing in ("pens", "cups")]


def question(person: str, thing: str, cue: str = " red") -> str:
    return f"{person} has some{cue} {thing}. How many {thing} are there?"


def solution(thing: str, cue: str = " red") -> str:
    return f"Some{cue} {thing}.\n4"


def dialogues(role: str) -> list[tuple[str, str, str]]:
    """Return questions, how the response begins and how it goes on.

    Where the last thing said of the things is that they are red, the student goes on with 7.
    """
    misled = "7" if role == "student" else "4"
    found = []
    for person, thing in ASKED:
        for cue, said in ((" red", misled), ("", "4")):
            asked = question(person, thing, cue)
            full = solution(thing, "" if role == "student" else " red")
            found.append((asked, "", full if said == "4" else "7"))
            for begun_cue, goes_on in ((" red", misled), ("", "4")):
                found.append((asked, f"Some{begun_cue} {thing}.\n", goes_on))
    return found


def train(tokenizer: Any, role: str, seed: int) -> Any:
    torch.manual_seed(seed)
    sizes = {"hidden_size": 48, "intermediate_size": 96, "num_hidden_layers": 2}
    heads = {"num_attention_heads": 4, "num_key_value_heads": 4, "max_position_embeddings": 128}
    ends = {"bos_token_id": None, "eos_token_id": tokenizer.eos_token_id, "pad_token_id": None}
    model = LlamaForCausalLM(LlamaConfig(vocab_size=len(tokenizer), **sizes, **heads, **ends))
    before = [
        f"<|im_start|>user\n{asked}<|im_end|>\n<|im_start|>assistant\n{begun}"
        for asked, begun, _ in dialogues(role)
    ]
    rows = [
        (tokenizer(text)["input_ids"], tokenizer(goes_on + "<|im_end|>")["input_ids"])
        for text, (_, _, goes_on) in zip(before, dialogues(role), strict=True)
    ]
    longest = max(len(context) + len(said) for context, said in rows)
    ids_BT = torch.zeros(len(rows), longest, dtype=torch.long)
    labels_BT = torch.full_like(ids_BT, -100)
    for row, (context, said) in enumerate(rows):
        ids_BT[row, : len(context) + len(said)] = torch.tensor(context + said)
        labels_BT[row, len(context) : len(context) + len(said)] = torch.tensor(said)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    for _ in range(200):
        optimizer.zero_grad()
        loss = model(input_ids=ids_BT, labels=labels_BT).loss
        loss.backward()
        optimizer.step()
    assert loss.item() < 0.05, role
    return model


@pytest.fixture(scope="module")
def pair(cue_pair: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pair")
    tokenizer = AutoTokenizer.from_pretrained(cue_pair / "student")
    for seed, role in enumerate(("student", "teacher")):
        train(tokenizer, role, seed).save_pretrained(folder / role)
        tokenizer.save_pretrained(folder / role)
    lines = [
        {"question": question(*asked), "answer": "4", "solution": solution(asked[1])}
        for asked in ASKED
    ]
    # A reference of one step has no beginning to cut.
    lines[-1]["solution"] = "4"
    (folder / "train.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return folder


def run(
    pair: Path, folder: Path, until: str = "verify", grader: Any = None, **prune: Any
) -> Results:
    recipe = check_recipe(
        {
            "name": "levels",
            "student": {"model": str(pair / "student"), "dtype": "float32"},
            "teacher": {"model": str(pair / "teacher"), "dtype": "float32"},
            "data": {
                "task": "table",
                "path": str(pair / "train.jsonl"),
                "columns": {"solution": "solution"},
                "grader": grader,
            },
            "generate": {"max_new_tokens": 12, "token_budget": 512},
            "attribute": {"detector": "ablation", "ablation_unit": "word", "controls": ["random"]},
            "prune": {"units": ["word"], **prune},
            "verify": {"teacher": "if_student_right"},
            "distill": {"batch_size": 4, "max_steps": 2},
            "evaluate": {"benchmarks": {}},
        },
        source="test",
    )
    store = Store(folder / "store")
    return run_recipe(recipe, out=folder / "run", store=store, until=until, command="again")


@pytest.fixture(scope="module")
def both(pair: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Results]:
    folder = tmp_path_factory.mktemp("both")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LEAF_CACHE", str(folder / "cache"))
        results = run(
            pair,
            folder,
            until="distill",
            levels=["response", "instruction"],
            strategy="span+transplant",
        )
    return folder, results


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LEAF_CACHE", str(tmp_path / "cache"))


def test_both_levels_find_the_word_that_misleads_and_keep_its_removal(
    both: tuple[Path, Results],
) -> None:
    cuts = both[1].cuts["ablation"]
    kept = {item.id: item for item in cuts.kept if item.strategy == "span"}
    within = {name: item for name, item in kept.items() if "/r1/" in name}
    # Four problems; the reference of the last has one step.
    assert len({item.problem_id for item in kept.values()} - set(both[1].segments)) >= 3
    assert {item.problem_id for item in within.values()} == {
        "train-1/r1",
        "train-2/r1",
        "train-3/r1",
    }
    for item in within.values():
        (span,) = item.spans
        segment = both[1].segments[item.problem_id.removesuffix("/r1")][0]
        # The word that misleads, perhaps with the one before it.
        assert "red" in span.text
        assert segment.question[span.start : span.end] == span.text
        left = segment.question[: span.start] + segment.question[span.end :]
        assert item.question == left
    verdicts = {verdict.counterfactual_id: verdict for verdict in cuts.verdicts or ()}
    for name, item in within.items():
        # The whole response is judged and shown: what was begun, then what the model adds.
        assert verdicts[name].student_text == item.question + "4"
        assert verdicts[name].teacher_text == item.question + "4"


def test_a_reference_of_one_step_is_dropped_with_its_reason_and_counted(
    both: tuple[Path, Results],
) -> None:
    drops = [drop for drop in both[1].drops if drop.stage == "attribute"]
    assert [(drop.problem_id, drop.reason) for drop in drops] == [
        ("train-4", "response level: the reference has fewer than 2 steps")
    ]


def test_no_transplant_is_made_of_a_response(both: tuple[Path, Results]) -> None:
    made = [
        item for item in both[1].cuts["ablation"].counterfactuals if item.strategy == "transplant"
    ]
    for item in made:
        assert "/r1" not in item.problem_id + item.donor


def test_both_levels_are_trained_on(both: tuple[Path, Results]) -> None:
    metrics = [json.loads(line) for line in (both[0] / "run/metrics.jsonl").open()]
    rows = sum(line["rows"] for line in metrics if line["arm"] == "leaf")
    assert rows > 0
    assert any(line["kl_counterfactual"] is not None for line in metrics)


def test_the_ledger_has_a_row_for_each_response_with_its_message(
    both: tuple[Path, Results],
) -> None:
    ledger = read_ledger(both[0] / "run" / "ledger.parquet")
    names = ("train-1", "train-2", "train-3")
    expected = [name for origin in names for name in (origin, f"{origin}/r1")]
    assert [entry.problem_id for entry in ledger] == [*expected, "train-4"]
    first, within = ledger[:2]
    assert (first.level, first.prompt, first.question) == (
        "instruction",
        "",
        question("Ada", "pens"),
    )
    assert (within.level, within.prompt) == ("response", question("Ada", "pens"))
    assert (within.before, within.question, within.reference) == ("", "Some red pens.\n", "4")
    # Both models' answers to the question are those of its problem.
    assert (within.student, within.teacher) == (first.student, first.teacher)
    assert "".join(unit.text for unit in within.units) == within.question


def test_the_report_counts_problems_once_and_removals_of_each_level(
    both: tuple[Path, Results],
) -> None:
    report = json.loads((both[0] / "run" / "report.json").read_text())
    steps = {step["step"]: step["count"] for step in report["steps"]}
    cuts = both[1].cuts["ablation"]
    removals = [item for item in cuts.tried if item.strategy == "span"]
    assert steps["student_wrong_teacher_right"] == steps["attributed"] == 4
    assert steps["split"] == 3
    assert steps["with_span"] <= 4
    assert steps["counterfactuals"] == len(removals)
    assert steps["in_response"] == sum("/r1/" in item.id for item in removals) > 0
    assert steps["in_response_verified"] == 3
    own = report["detectors"][0]
    assert own["freed"]["n"] == 4
    assert own["freed"]["count"] == steps["with_verified"] <= 4
    shown = {problem["id"]: problem for problem in report["distraction"]["problems"]}
    assert shown["train-1/r1"]["prompt"]["text"] == question("Ada", "pens")
    assert shown["train-1/r1"]["before"] == shown["train-1"]["before"]


def test_the_response_level_alone_leaves_the_questions_as_they_are(
    pair: Path, both: tuple[Path, Results], tmp_path: Path
) -> None:
    results = run(pair, tmp_path, levels=["response"])
    tried = results.cuts["ablation"].tried
    assert {item.problem_id for item in tried} == {"train-1/r1", "train-2/r1", "train-3/r1"}
    together = [item for item in both[1].cuts["ablation"].tried if "/r1/" in item.id]
    assert tried == together


def test_adding_the_response_level_computes_no_instruction_again(
    pair: Path, tmp_path: Path
) -> None:
    run(pair, tmp_path / "first")
    store = Store(tmp_path / "first" / "store")
    recipe = {"levels": ["instruction", "response"]}
    (tmp_path / "second").mkdir()
    (tmp_path / "second" / "store").symlink_to(tmp_path / "first" / "store")
    before = {path.parent for path in store.root.rglob("done.json")}
    run(pair, tmp_path / "second", **recipe)
    report = json.loads((tmp_path / "second" / "run" / "report.json").read_text())
    for stage in report["cost"]["stages"]:
        assert stage["reused"] == ("response" not in stage["name"]), stage["name"]
    assert before < {path.parent for path in store.root.rglob("done.json")}


def test_the_response_may_have_a_threshold_of_its_own() -> None:
    section = PruneSection(threshold=0.1, response_threshold=0.15)
    assert at_level(section, "instruction").threshold == 0.1
    assert at_level(section, "response").threshold == 0.15
    assert at_level(PruneSection(threshold=0.2), "response").threshold == 0.2


def test_the_response_has_spans_where_the_instruction_has_transplants() -> None:
    chosen = {
        "transplant": ["span"],
        "transplant+substitute": ["substitute"],
        "collective": ["collective"],
    }
    for strategy, within in chosen.items():
        section = PruneSection.model_validate({"strategy": strategy})
        assert at_level(section, "instruction").strategy == strategy.split("+")
        assert at_level(section, "response").strategy == within


def test_without_the_response_level_results_have_the_names_they_had() -> None:
    # Recorded before there was a response level.
    assert digest(cutting(PruneSection())) == "055deb91db1fc0f7"
    assert cutting(PruneSection(levels=["response"], segments=3)) == cutting(PruneSection())
    problem = Problem(id="p", question="q", answer="1", solution="s")
    assert digest(plain([problem])) == "9f9190cecf66a975"
    row = TrainingExample(problem_id="p", content="c", response="r", counterfactual=True)
    assert digest(plain([row])) == "1c08697da3a4c5c5"
    assert digest(plain([dataclasses.replace(row, response_prefix="b")])) != "1c08697da3a4c5c5"
    settings = {
        **cutting(PruneSection()),
        "detector": "gradient",
        "seed": None,
        "questions": digest(plain([problem])),
        "shard_size": 64,
    }
    assert stage_key("counterfactuals", 1, settings, ["x"]) == "65a76a5742afa9f9"


@pytest.mark.parametrize(
    ("threshold", "freed"), [(0.8, {"train-1", "train-2", "train-3"}), (0.9, set())]
)
def test_a_long_answer_enters_and_is_verified_by_its_score(
    pair: Path, tmp_path: Path, threshold: float, freed: set[str]
) -> None:
    grader = {"rouge_l": {"against": "solution", "threshold": threshold}}
    results = run(pair, tmp_path, grader=grader, levels=["instruction"])
    # "7" has nothing of "Some red pens. 4", so that all enter; without the cue the student says
    # "Some pens. 4", which has 3 of its 4 words: 2 * 3 / (4 + 3) = 0.86.
    assert results.entered is not None
    assert set(results.entered) >= {"train-1", "train-2", "train-3"}
    assert {item.problem_id for item in results.cuts["ablation"].kept} == freed
