"""Training rehearsed on a tiny copy: adapters in, out and merged, saved and loaded again.

What dies at the merge, after hours of training, dies here in a second.
"""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers import AutoModelForCausalLM

from leaf.distill.lora import add_adapters
from leaf.errors import LeafError, ModelError
from leaf.models.adapters import merge, put_on, save_adapter
from leaf.models.plain import own_logits, relative
from leaf.models.quiet import quiet
from leaf.models.tiny import tiny_model
from leaf.recipe import DistillSection, LoraSection

_EXACT = 1e-4
"""Most that logits may differ, relative to their norm."""

_CLOSE = 100 * _EXACT
"""Up to which another copy is tried."""

_IDS = tuple(range(9, 29))


def rehearse_training(config: Any, section: DistillSection, *, name: str, kind: Any = None) -> None:
    """Try on a tiny copy all that a training does to its student beside the steps themselves.

    Args:
        config: The student's.
        section: How it is trained.
        name: The student's, for errors.
        kind: Its class; None: as transformers chooses it.

    Raises:
        ModelError: a part fails, or does not give what was trained; names it.
        RecipeError: a name in `lora.targets` is of no layer.
    """
    try:
        _rehearse(config, section, name, kind, seed=0)
    except _OffError as off:
        # Some weights make rounding grow past the tolerance; what is wrong is so with all.
        if off.gap > _CLOSE:
            raise
        _rehearse(config, section, name, kind, seed=1)


def _rehearse(config: Any, section: DistillSection, name: str, kind: Any, seed: int) -> None:
    with quiet(), tempfile.TemporaryDirectory(prefix="leaf-") as room:
        try:
            student = tiny_model(config, kind=kind, seed=seed)
        except Exception:  # the rehearsal of its passes says so: `leaf.models.rehearsal`
            return
        if section.tuning == "lora":
            (adapter := Path(room) / "adapter").mkdir()
            with _part("adapters", section, name):
                add_adapters(student, _small(section), seed=0)
                learnt = _learnt(student)
            with _part("saving adapters and putting them on", section, name):
                save_adapter(student, adapter, base="")
                again = tiny_model(config, kind=kind, seed=seed)
                put_on(again, adapter, name=name)
                _check(_logits(again), learnt, _EXACT)
            with _part("merging adapters", section, name):
                merge(student)
                _check(_logits(student), learnt, _EXACT)
        with _part("saving and loading", section, name):
            wanted, folder = _logits(student), Path(room) / "model"
            student.save_pretrained(folder)
            auto: Any = AutoModelForCausalLM
            loaded, info = auto.from_pretrained(
                folder, use_safetensors=True, trust_remote_code=False, output_loading_info=True
            )
            lost = [*info["missing_keys"], *info["unexpected_keys"]]
            if lost:
                raise ModelError(f"{len(lost)} weights do not come back, such as {min(lost)}")
            _check(_logits(loaded.float().eval()), wanted, _EXACT)


def _small(section: DistillSection) -> LoraSection:
    return section.lora.model_copy(update={"rank": min(section.lora.rank, 4)})


def _learnt(student: Any) -> Tensor:
    """Give adapters that begin as nothing some numbers; return the logits then."""
    generator = torch.Generator().manual_seed(0)
    for key, parameter in student.named_parameters():
        if "lora_" in key:
            parameter.data += 0.05 * torch.randn(parameter.shape, generator=generator)
            # As they are saved, so that what comes back is the same to the last bit.
            parameter.data = parameter.data.bfloat16().float()
    return _logits(student)


def _logits(model: Any) -> Tensor:
    with torch.no_grad():
        return own_logits(model, _IDS)


def _check(found: Tensor, wanted: Tensor, most: float) -> None:
    gap = relative(found, wanted)
    if not gap <= most:
        raise _OffError(f"the model that comes out is off by {gap:.2%}", gap)


class _OffError(ModelError):
    """Logits are not what they were; `gap` says how far."""

    def __init__(self, text: str, gap: float) -> None:
        super().__init__(text)
        self.gap = gap


@contextmanager
def _part(what: str, section: DistillSection, name: str) -> Iterator[None]:
    """Say what a part was about where it fails."""
    try:
        yield
    except ModelError as error:
        text = f"{name}: cannot be trained ({section.tuning}): {what}: {error}"
        raise (
            _OffError(text, error.gap) if isinstance(error, _OffError) else ModelError(text)
        ) from None
    except LeafError:
        raise
    except Exception as error:
        line = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise ModelError(
            f"{name}: cannot be trained ({section.tuning}): {what}: {line[:160]}"
        ) from error
