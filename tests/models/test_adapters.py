"""An adapter put onto its base gives the student that it was; on another base it is refused."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from peft import PeftModel
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM

from leaf.cli.main import app
from leaf.distill.export import Card, export
from leaf.distill.lora import add_adapters
from leaf.errors import ModelError
from leaf.generate import find_for, open_engine
from leaf.models.files import find
from leaf.models.load import Loaded, load
from leaf.recipe import DistillSection, GenerateSection, ModelSection

IDS = torch.tensor([[5, 9, 22, 7, 31, 40, 3, 18, 2]])
CARD = Card(student="hub/s", teacher="hub/t", task="sums", originals=1, counterfactuals=0, steps=1)


def loaded(model: Path, adapter: Path | None = None) -> Loaded:
    section = ModelSection(model=str(model), adapter=str(adapter) if adapter else None)
    return load(section, find(section), dtype=torch.float32)


def logits(model: torch.nn.Module) -> torch.Tensor:
    with torch.no_grad():
        return model(input_ids=IDS).logits


@pytest.fixture
def kept(cue_pair: Path, tmp_path: Path) -> Path:
    """A folder with a student, merged, and its adapter."""
    student = loaded(cue_pair / "student")
    section = DistillSection(tuning="lora", lora={"rank": 2, "alpha": 6.0}, save_dtype="float32")
    add_adapters(student.model, section.lora, seed=0)
    with torch.random.fork_rng():
        torch.manual_seed(1)
        for name, parameter in student.model.named_parameters():
            if "lora_" in name:  # numbers that bfloat16 has, so that nothing is rounded
                parameter.data = torch.randn_like(parameter).mul(0.05).bfloat16().float()
    export(
        tmp_path / "model",
        student.model,
        student.tokenizer,
        own=torch.float32,
        section=section,
        card=CARD,
        end_of_turn=1,
        adapter=tmp_path / "adapter",
    )
    return tmp_path


def test_the_base_with_the_adapter_is_the_merged_student(kept: Path, cue_pair: Path) -> None:
    merged, base = loaded(kept / "model"), loaded(cue_pair / "student")
    found = loaded(cue_pair / "student", kept / "adapter")
    assert logits(found.model).equal(logits(merged.model))
    assert (logits(found.model) - logits(base.model)).abs().max() > 0.05
    assert not any(parameter.requires_grad for parameter in found.model.parameters())


def test_peft_alone_puts_it_on_as_well(kept: Path, cue_pair: Path) -> None:
    base = AutoModelForCausalLM.from_pretrained(cue_pair / "student", dtype=torch.float32)
    found = PeftModel.from_pretrained(base, kept / "adapter").eval()
    expected = logits(loaded(kept / "model").model)
    torch.testing.assert_close(logits(found), expected, rtol=1e-4, atol=1e-4)


def test_it_is_two_files_in_bfloat16_that_name_their_base(kept: Path) -> None:
    assert sorted(path.name for path in (kept / "adapter").iterdir()) == [
        "adapter_config.json",
        "adapter_model.safetensors",
    ]
    weights = load_file(kept / "adapter" / "adapter_model.safetensors")
    assert {value.dtype for value in weights.values()} == {torch.bfloat16}
    config = json.loads((kept / "adapter" / "adapter_config.json").read_text())
    assert (config["base_model_name_or_path"], config["r"]) == ("hub/s", 2)


def test_an_adapter_has_answers_of_its_own(kept: Path, cue_pair: Path) -> None:
    base = find(ModelSection(model=str(cue_pair / "student")))
    section = ModelSection(model=str(cue_pair / "student"), adapter=str(kept / "adapter"))
    assert find(section).fingerprint.startswith(f"{base.fingerprint}+sha256:")
    vllm = GenerateSection(engine="vllm")
    with pytest.raises(ModelError, match="engine vllm answers without adapters; use engine hf"):
        find_for(section, vllm)
    refused = pytest.raises(ModelError, match="engine vllm answers without adapters")
    with refused, open_engine(section, find(section), vllm):
        pass


def test_another_model_of_the_same_shape_is_refused_by_its_numbers(
    kept: Path, cue_pair: Path
) -> None:
    base = loaded(cue_pair / "student")
    for parameter in base.model.parameters():
        parameter.data = parameter.data.roll(1, 0)
    base.model.save_pretrained(kept / "other")
    base.tokenizer.save_pretrained(kept / "other")
    with pytest.raises(ModelError) as caught:
        loaded(kept / "other", kept / "adapter")
    assert str(caught.value) == (
        f"{kept / 'adapter'}: an adapter of another model than {kept / 'other'} (of hub/s): its "
        "weights are others"
    )


def test_quantised_weights_of_the_base_are_still_its_own(kept: Path, cue_pair: Path) -> None:
    base = loaded(cue_pair / "student")
    for parameter in base.model.parameters():
        step = parameter.abs().max() / 64 if parameter.dim() > 1 else 1e-9
        parameter.data = (parameter / step).round() * step
    base.model.save_pretrained(kept / "coarse")
    base.tokenizer.save_pretrained(kept / "coarse")
    loaded(kept / "coarse", kept / "adapter")


def spoil(folder: Path, change) -> None:
    path = folder / "adapter_model.safetensors"
    save_file(change(load_file(path)), path, metadata={"format": "pt"})


def test_layers_that_the_model_has_not_or_has_in_another_shape_are_named(
    kept: Path, cue_pair: Path
) -> None:
    wider, deeper = (Path(shutil.copytree(kept / "adapter", kept / name)) for name in "ab")
    spoil(wider, lambda all_: {key: value.repeat(3, 3) for key, value in all_.items()})
    spoil(deeper, lambda all_: {k.replace("layers.0", "layers.9"): v for k, v in all_.items()})
    for folder, what in ((wider, "is made for a layer"), (deeper, r"no layer model\.layers\.9")):
        with pytest.raises(ModelError, match=f"an adapter of another model than .*{what}"):
            loaded(cue_pair / "student", folder)


def test_a_folder_without_an_adapter_or_with_a_pickled_one_is_refused(
    kept: Path, cue_pair: Path
) -> None:
    (kept / "adapter" / "adapter_model.safetensors").rename(kept / "adapter" / "adapter_model.bin")
    with pytest.raises(ModelError, match=r"adapter_model\.safetensors is not there; pickled"):
        loaded(cue_pair / "student", kept / "adapter")
    with pytest.raises(ModelError, match=r"adapter_config\.json is not there"):
        loaded(cue_pair / "student", kept / "nothing")


def test_damaged_files_are_one_line(kept: Path, cue_pair: Path) -> None:
    (kept / "adapter" / "adapter_config.json").write_text("{")
    with pytest.raises(ModelError, match="not an adapter") as caught:
        loaded(cue_pair / "student", kept / "adapter")
    assert "\n" not in str(caught.value)


def test_leaf_evaluate_answers_with_an_adapter_as_with_the_merged_student(
    kept: Path, cue_pair: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LEAF_CACHE", str(kept / "cache"))
    task = ["--benchmark", f"table={cue_pair / 'test.jsonl'}", "--max-new-tokens", "8"]
    both = [*task, "--limit", "4", "--dtype", "float32"]
    base = ["--model", str(cue_pair / "student"), "--adapter", str(kept / "adapter")]
    for name, words in (("a", base), ("m", ["--model", str(kept / "model")])):
        app(["evaluate", *words, *both, "--out", str(kept / name)], result_action="return_value")
    found, expected = ((kept / name / "answers" / "table.jsonl").read_text() for name in "am")
    assert found == expected
