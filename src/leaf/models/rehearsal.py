"""One rehearsal per model, before long work: which of our paths give what transformers gives.

On a tiny copy of the model (`leaf.models.tiny`) in float32 each path is held against the plain
forward of one row at a time, to 1e-4: losses, gradients of embeddings and of weights, next tokens;
rows reach past each window and past where rotation is stretched. On the model itself, in its own
dtype, the paths that passed run a pair of short rows. What fails is not taken.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from transformers import DynamicCache
from transformers.cache_utils import DynamicLayer

from leaf.errors import ModelError
from leaf.models.lent import lent
from leaf.models.load import context_of
from leaf.models.output_head import Head, output_head
from leaf.models.packing import attends_by_rows
from leaf.models.paths import USES, Paths
from leaf.models.plain import (
    cache_gap,
    causal_gap,
    continued,
    own_logits,
    own_of,
    path_gap,
    relative,
    rows_of,
    train_once,
    weight_gap,
)
from leaf.models.quiet import quiet
from leaf.models.tiny import POSITIONS, tiny_model
from leaf.models.verdicts import copy_key, kept, own_key

_EXACT = 1e-4
"""Most that a path may differ on the tiny copy, relative to the norm of what is compared."""

_CLOSE = 100
"""Times that, up to which a path is tried again on a copy with other weights."""

_ROUGH, _COARSE = 1e-3, 0.3
"""The same on the model itself, in float32 and in 16 bits: there two right ways differ by up to 4%
in a hidden state (SmolLM2 135M in bfloat16), and by several times that in a gradient."""

_LENGTHS, _FAR, _PAIR = (45, 13, 21), (80, 13, 21), (24, 9)
"""Tokens of rows: on the copy (the first reaches past every window and most borders), on one whose
border is its last position, and on the model itself."""

NONE = Paths(packs=False, shares=False, pads=False, answers_padded=False, learns_packed=False)
"""Each row alone."""

_PROVED = ("packs", "shares", "pads", "answers_padded", "learns_packed")


def rehearse(model: Any, fingerprint: str | None = None) -> Paths:
    """Return which paths are right for a model in memory; it is afterwards as it was.

    Args:
        model: A causal language model, whole on one device.
        fingerprint: Names its content, by which the verdict is kept; None: it is not kept.
    """
    with lent(model), quiet():

        def find() -> Paths:
            return _on_itself(model, rehearse_copy(model.config, type(model)))

        if fingerprint is None:
            return find()
        return kept(own_key(fingerprint, model.dtype, model.device), find)


def rehearse_copy(config: Any, kind: Any = None) -> Paths:
    """Return which paths are right for a tiny copy of a model, made by its configuration alone.

    Args:
        config: Of the model.
        kind: Its class; None: as transformers chooses it.
    """
    named = f"{kind.__module__}.{kind.__qualname__}" if kind else None
    with quiet():
        return kept(copy_key(config, named), lambda: _of_copy(config, kind))


def border_of(config: Any) -> tuple[int | None, str]:
    """Return after how many tokens a model turns all positions otherwise, and by which rule."""
    config = config.get_text_config()
    found: list[tuple[int, str]] = []
    for rope in _ropes(getattr(config, "rope_parameters", None)):
        rule = rope.get("rope_type")
        border = getattr(config, "max_position_embeddings", None)
        if rule == "longrope":
            border = rope.get("original_max_position_embeddings", border)
        if rule in {"longrope", "dynamic"} and border:
            found.append((int(border), rule))
    return min(found, default=(None, ""))


def _ropes(parameters: Any) -> Iterator[dict[str, Any]]:
    """Yield the settings of rotation: one for all layers, or one for each kind of layer."""
    if isinstance(parameters, dict):
        yield parameters
        for each in parameters.values():
            yield from _ropes(each)


def _of_copy(config: Any, kind: Any) -> Paths:
    found, is_close = _on_copy(config, kind, seed=0)
    # Some weights make rounding grow past the tolerance; a path that is wrong is so with all.
    return _on_copy(config, kind, seed=1)[0] if is_close else found


def _on_copy(config: Any, kind: Any, seed: int) -> tuple[Paths, bool]:
    """Return what a copy with weights of its own shows, and whether rounding may have a part."""
    border, rule = border_of(config)
    try:
        copy = tiny_model(config, kind=kind, seed=seed)
        rows = rows_of(copy.config, _FAR if rule == "dynamic" else _LENGTHS)
        own = [own_of(copy, item) for item in rows]
        gap = causal_gap(copy, rows[2])
    except Exception as error:
        why = dict.fromkeys(_PROVED, f"no tiny copy runs: {_first(error)}")
        return replace(NONE, why=why), False
    if gap > _EXACT:
        reason = f"it is not causal: what follows changes what stands before it by {gap:.1%}"
        return replace(NONE, refused=dict.fromkeys(USES, reason)), False
    trial = Trial(copy, rows, own, border_of(copy.config)[0])
    found = replace(trial.verdict(), bounded=_is_bounded(copy))
    if found.border is not None:
        changes = f"{rule} rotation turns all positions otherwise from there on"
        found = replace(found, border=border, why={**found.why, "border": changes})
    return found, trial.is_close


def _is_bounded(copy: Any) -> bool:
    """Whether a row past the last position dies."""
    (row,) = rows_of(copy.config, [POSITIONS + 1])
    try:
        with torch.no_grad():
            own_logits(copy, row.ids)
    except (IndexError, RuntimeError, ValueError):
        return True
    return False


class Trial:
    """The paths of one model, each tried on rows and held against what each row is alone."""

    def __init__(
        self,
        model: Any,
        rows: Sequence[Any],
        own: Sequence[Any],
        border: int | None,
        tolerance: float = _EXACT,
        more: int = 6,
    ) -> None:
        """Get ready to try a model.

        Args:
            model: Frozen, without dropout.
            rows: The first is the longest.
            own: What each is alone.
            border: Where its rotation changes, if it does.
            tolerance: Most that a path may differ.
            more: Tokens that are added to a row from our cache.
        """
        self.model = model
        self.rows = rows
        self.own = own
        self.border = border
        self.tolerance = tolerance
        self.more = more
        self.paths = NONE
        self.why: dict[str, str] = {}
        self.refused: dict[str, str] = {}
        self.is_close = False
        """Whether a path is off by so little that rounding could be why."""
        self._short = [at for at, row in enumerate(rows) if len(row.ids) <= (border or math.inf)]

    def verdict(self) -> Paths:
        """Try all paths, the plain ones first; weights learn, so it must be a copy."""
        try:
            head = output_head(self.model)
        except Exception as error:  # a head of several layers, of another width
            said = _first(error)
            reason = said.partition(": ")[2] if isinstance(error, ModelError) else said
            self.refused.update(dict.fromkeys(("sensitivity", "ablation", "training"), reason))
            self.why["shares"] = reason
        else:
            self._try_rows(head)
            self._try_learning(head)
            self.paths = replace(self.paths, shares=self.shares(head))
        self._try_answers()
        return self.found()

    def found(self) -> Paths:
        """Return what was found so far."""
        return replace(self.paths, why=self.why, refused=self.refused)

    def _try_rows(self, head: Head) -> None:
        """Try rows alone, padded and packed: losses, and gradients of embeddings."""
        reason = self.off(head, NONE)
        if reason:
            self.refused.update(dict.fromkeys(("sensitivity", "training", "ablation"), reason))
            return
        padded = replace(NONE, pads=True)
        reason = self.off(head, padded)
        if reason and self.border is not None:
            padded = replace(padded, border=self.border)
            reason = self.off(head, padded)
        if reason:
            self.why["pads"] = reason
            padded = NONE
        self.paths = padded
        side_by_side = replace(padded, packs=True)
        reason = self.off(head, side_by_side) or self.off(head, side_by_side, free=True)
        if reason:
            self.why["packs"] = reason
        else:
            self.paths = side_by_side

    def off(self, head: Head, paths: Paths, *, free: bool = False) -> str:
        """Return why a path cannot be taken, "" where it can."""
        chosen = self._short if paths.packs and paths.border else range(len(self.rows))
        rows, own = [self.rows[at] for at in chosen], [self.own[at] for at in chosen]
        return self._fails(lambda: path_gap(self.model, head, paths, rows, own, free=free))

    def _fails(self, gap: Callable[[], float]) -> str:
        try:
            found = gap()
        except Exception as error:
            return _first(error)
        if found <= self.tolerance:
            return ""
        self.is_close |= found <= _CLOSE * self.tolerance
        return f"off by {found:.2%}"

    def _try_learning(self, head: Head) -> None:
        """Try gradients of weights, and a batch in training mode."""
        if "training" in self.refused:
            return
        rows = [self.rows[at] for at in self._short]
        for packs in (True, False) if self.paths.packs else (False,):
            tried = replace(self.paths, packs=packs)
            reason = self._fails(partial(weight_gap, self.model, head, tried, rows))
            if packs and not reason:
                reason = self._fails(partial(train_once, self.model, tried, rows))
            if not reason:
                self.paths = replace(self.paths, learns_packed=packs)
                return
            self.why["learns_packed"] = reason
        self.refused["training"] = f"gradients of its weights: {reason}"

    def shares(self, head: Head) -> bool:
        """Try a cache of ours that is cut and forked."""
        reason = "its rotation changes past a length" if self.border is not None else ""
        reason = reason or self._fails(lambda: self._cache_gap(head))
        if reason:
            self.why["shares"] = reason
        return not reason

    def _cache_gap(self, head: Head) -> float:
        layers = DynamicCache(config=self.model.config.get_text_config()).layers
        odd = {type(layer).__name__ for layer in layers} - {DynamicLayer.__name__}
        if odd:
            raise TypeError(f"its cache has {', '.join(sorted(odd))}")
        return cache_gap(self.model, head, self.rows[:2], self.own[:2], more=self.more)

    def _try_answers(self) -> None:
        """Try the library's own loop on prompts padded on their left."""
        rows = [self.rows[at] for at in self._short][-2:]
        try:
            alone = [continued(self.model, [row])[0] for row in rows]
        except Exception as error:
            self.why["answers_padded"] = f"transformers cannot generate: {_first(error)}"
            if not self.paths.shares:
                self.refused["generation"] = self.why["answers_padded"]
            return
        reason = self._fails(lambda: max(map(relative, continued(self.model, rows), alone)))
        self.paths = replace(self.paths, answers_padded=not reason)
        if reason:
            self.why["answers_padded"] = reason


def _on_itself(model: Any, paths: Paths) -> Paths:
    """Try the fastest path that a copy passed on the model itself, by a pair of short rows.

    Where it fails, the next slower one.
    """
    if "sensitivity" in paths.refused:
        return paths
    context = context_of(model.config)
    rows = rows_of(model.config, [min(length, context) for length in _PAIR])
    try:
        own = [own_of(model, row) for row in rows]
    except Exception as error:
        return replace(paths, refused=dict.fromkeys(USES, f"it does not run: {_first(error)}"))
    tolerance = _ROUGH if model.dtype.itemsize >= 4 else _COARSE
    trial = Trial(model, rows, own, None, tolerance, more=0)
    head = output_head(model)
    changes: dict[str, Any] = {}
    for name in ("packs", "pads"):
        by_rows = name == "packs" and not attends_by_rows(model, model.dtype)
        if not getattr(paths, name) or by_rows:
            continue
        one = replace(NONE, packs=name == "packs", pads=name == "pads")
        reason = trial.off(head, one, free=one.packs)
        if not reason:
            break
        changes[name] = False
        trial.why[name] = reason
    else:
        reason = trial.off(head, NONE)
        if reason:
            trial.refused.update(dict.fromkeys(("sensitivity", "ablation", "training"), reason))
    if paths.shares and not trial.shares(head):
        changes["shares"] = False
    why = {name: f"with its own weights: {text}" for name, text in trial.why.items()}
    refused = {use: f"with its own weights: {text}" for use, text in trial.refused.items()}
    return replace(paths, **changes, why={**paths.why, **why}, refused={**paths.refused, **refused})


def _first(error: BaseException) -> str:
    """Return the first line of an exception."""
    lines = str(error).strip().splitlines() or [""]
    return lines[0].rstrip(" :")[:120] or type(error).__name__
