"""A model in memory, as everything in `leaf.api` takes it."""

import itertools
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import torch

from leaf.api.undisturbed import undisturbed
from leaf.errors import ModelError, UsageError, check_type, nearest
from leaf.models.files import Source, find
from leaf.models.load import Loaded, dtype_name, load, size_text
from leaf.models.paths import paths_of
from leaf.models.prompt_format import PromptFormat
from leaf.models.spread import device_of, is_spread
from leaf.progress import say
from leaf.recipe import ModelSection
from leaf.recipe.reading import check_section

DTYPES = ("auto", "bfloat16", "float16", "float32")

_NUMBERS = itertools.count()
"""Tell apart the models of this process: what is in memory has no content to name it by."""


class Model:
    """A causal language model in memory with its tokenizer and, if you like, a system prompt.

    `leaf.Model(model, tokenizer)` takes objects that you have: transformers' models, with PEFT
    adapters or without, in training mode or not, on any one device or spread over several by
    accelerate (`device_map`). Whatever LeaF does with them, they are afterwards as they were.
    `leaf.Model.load(name)` loads one.

    Args:
        model: A `PreTrainedModel` for causal language modelling, or a `PeftModel` around one.
        tokenizer: Its fast tokenizer (or a processor that has one).
        system: System prompt put before every question; None: the template's own, if it has one.
        template: Arguments of the chat template, such as `{"enable_thinking": False}`.
        name: What messages call it; None: what its configuration says.

    Attributes:
        model: The transformers model.
        tokenizer: Its tokenizer.
        system: The system prompt, or None.
        template: The arguments of its chat template.
        name: For messages.
        metrics: The loss curve of a model that `leaf.distill` made, a dict a step; else empty.

    Raises:
        ModelError: LeaF cannot work with this model or tokenizer; says why.

    Example:
        >>> import leaf
        >>> leaf.Model.load("package:playground/models/student", dtype="float32")
        Model('package:playground/models/student', 129,728 parameters, float32, cpu)
    """

    def __init__(
        self,
        model: Any,
        tokenizer: Any,
        *,
        system: str | None = None,
        template: Mapping[str, Any] | None = None,
        name: str | None = None,
    ) -> None:
        if isinstance(model, str | Path):
            raise UsageError(f"model: is a name; load it: leaf.Model.load({str(model)!r:.60})")
        if system is not None:
            check_type("system", system, str, "a text")
        if template is not None:
            check_type("template", template, Mapping, "a dict of arguments of the chat template")
        self.model = model
        self.tokenizer = getattr(tokenizer, "tokenizer", tokenizer)
        self.system = system
        self.template = dict(template or {})
        self.metrics: list[dict[str, Any]] = []
        inner = _causal(model)
        self.name = name or str(getattr(inner.config, "_name_or_path", "")) or type(inner).__name__
        if not getattr(self.tokenizer, "is_fast", False):
            raise ModelError(f"{self.name}: has no fast tokenizer, so characters cannot be located")
        self._number = next(_NUMBERS)
        self._loaded = Loaded(
            source=Source(name=self.name, fingerprint=f"memory:{self._number}"),
            model=inner,
            tokenizer=self.tokenizer,
            device=_place_of(inner, self.name),
            dtype=inner.dtype,
        )
        # A template without a place for a message, or for a system prompt, shows now.
        PromptFormat(self.tokenizer, name=self.name, system=system, template=self.template)

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Become a copy, also a pickled one: with a number of its own, for it may be changed."""
        self.__dict__.update(state, _number=next(_NUMBERS))

    @classmethod
    @undisturbed()
    def load(
        cls,
        name: str | Path,
        *,
        dtype: str = "auto",
        revision: str | None = None,
        system: str | None = None,
        template: Mapping[str, Any] | None = None,
        adapter: str | None = None,
        device_map: str | Mapping[str, int | str] | None = None,
    ) -> "Model":
        """Load a model onto the best device here, or spread, frozen and without dropout.

        Args:
            name: Hub id, local folder or GGUF file (converted once, in `$LEAF_CACHE`).
            dtype: auto, bfloat16, float16 or float32; auto: bfloat16 where the hardware
                multiplies it.
            revision: Branch, tag or commit of a hub id.
            system: System prompt put before every question.
            template: Arguments of the chat template, such as `{"enable_thinking": False}`.
            adapter: Folder of a LoRA adapter that is put onto it, as PEFT and our runs save it.
            device_map: Spreads a model that is too big for one device: auto, balanced,
                balanced_low_0, sequential, or module to cpu, disk or the number of a GPU. Such a
                model answers, is scored and teaches; it cannot be trained.

        Raises:
            ModelError: no such model or adapter, or one without safetensors weights.
            RecipeError: an argument out of the rules.
            UsageError: an unknown dtype, or a `device_map` that does not fit.
        """
        way_out = "; wrap it: leaf.Model(model, tokenizer)" if hasattr(name, "parameters") else ""
        check_type("name", name, (str, Path), f"a hub id, folder or GGUF file{way_out}")
        check_type("dtype", dtype, str, f"a name; known: {', '.join(DTYPES)}")
        if dtype not in DTYPES:
            known = nearest(dtype, DTYPES) or f"; known: {', '.join(DTYPES)}"
            raise UsageError(f"dtype: unknown `{dtype}`{known}")
        template = {} if template is None else template
        values = {
            "model": str(name),
            "dtype": dtype,
            "revision": revision,
            "system": system,
            "template": dict(template) if isinstance(template, Mapping) else template,
            "adapter": adapter,
            "device_map": {str(part): place for part, place in device_map.items()}
            if isinstance(device_map, Mapping)
            else device_map,
        }
        section = check_section(ModelSection, values, source="leaf.Model.load")
        loaded = load(section, find(section))
        paths = paths_of(loaded.model)
        if paths.slow:
            say(f"{name}: {paths.line}")
        return cls(loaded.model, loaded.tokenizer, system=system, template=template, name=str(name))

    @property
    def device(self) -> torch.device:
        """Where the parameters lie now."""
        return cast(torch.device, self._loaded.model.device)

    @property
    def dtype(self) -> torch.dtype:
        """What the parameters are now."""
        return cast(torch.dtype, self._loaded.model.dtype)

    def __repr__(self) -> str:
        size = size_text(sum(each.numel() for each in self.model.parameters()))
        dtype = dtype_name(self.dtype)
        return f"Model({self.name!r}, {size} parameters, {dtype}, {self.device})"


def section_of(model: Model) -> ModelSection:
    """Return what a recipe says of a model; its dtype has no weight, for it is there already."""
    return ModelSection(model=model.name, system=model.system, template=model.template)


def source_of(model: Model) -> Source:
    """Return a model as stages take it: in memory, used as it is now and given back so."""
    inner = model._loaded.model
    name = model.name
    source = Source(name=name, fingerprint=f"memory:{model._number}")
    held = Loaded(
        source=source,
        model=inner,
        tokenizer=model.tokenizer,
        device=_place_of(inner, name),
        dtype=inner.dtype,
    )
    return replace(source, held=held)


def _causal(model: Any) -> Any:
    """Return the transformers model inside a wrapper of PEFT or `torch.compile`."""
    inner: Any = getattr(model, "_orig_mod", model)
    if hasattr(inner, "get_base_model"):
        if inner.active_peft_config.is_prompt_learning:
            raise ModelError(
                f"{type(model).__name__}: adapters that learn a prompt cannot be used; "
                "LoRA and its kin, which change layers, can"
            )
        # Its layers hold the adapters; the wrapper adds nothing to them.
        inner = inner.get_base_model()
    what = type(inner).__name__
    if not hasattr(inner, "get_output_embeddings"):
        raise ModelError(f"{what}: is no transformers model for causal language modelling")
    if inner.config.is_encoder_decoder or inner.get_output_embeddings() is None:
        raise ModelError(f"{what}: is no causal language model: it has no head for the next token")
    return inner


def _place_of(model: Any, name: str) -> torch.device:
    """Return the device that all parameters lie on; of a spread model, where its tokens go."""
    if is_spread(model):
        return device_of(model, name)
    devices: set[torch.device] = {each.device for each in model.parameters()}
    if len(devices) != 1 or "meta" in {each.type for each in devices}:
        where = ", ".join(sorted(map(str, devices)))
        raise ModelError(f"{name}: its parameters must lie on one device, but lie on {where}")
    return devices.pop()
