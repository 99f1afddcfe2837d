"""The section `attribute`: which detectors look where, each with options of its own."""

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, create_model

from leaf.errors import UsageError
from leaf.recipe.base import Count, Section
from leaf.recipe.detectors import (
    detector_names,
    flat_keys,
    is_detector,
    load_plugin,
    options_of,
    plugin_from,
)
from leaf.recipe.names import DetectorName

# Whole, so that a run folder's recipe names the same file wherever it is read.
_Plugin = Annotated[str, AfterValidator(lambda plugin: plugin_from(plugin, Path()))]


class AttributeSection(Section):
    """Stage 1: who looks where. A detector's options are keys below its name."""

    detector: DetectorName = Field("gradient", description="what marks units of a question")
    controls: list[DetectorName] = Field(
        [], description="other detectors whose cuts are verified for comparison, not trained on"
    )
    plugins: list[_Plugin] = Field(
        [],
        description="Python files (my_detector.py) or modules with detectors, graders, losses or"
        " tasks of your own, a file's path counted from the recipe's folder: they are run, so look"
        " at those of others first",
    )
    enter: Literal["wrong", "failed"] = Field(
        "wrong",
        description="which problems enter where the teacher is right. wrong: the student's answer"
        " was graded wrong; failed: also one without a readable final answer, and one cut at the"
        " token limit where the teacher ended in time",
    )
    reference: Literal["gold", "teacher", "self"] = Field(
        "gold",
        description="response y: the data set's solution, the teacher's right answer, or the"
        " student's own right answer (to the question or to its verified cut)",
    )
    fallback: Literal["gold"] | None = Field(
        None,
        description="y of training rows where the reference is a model's and it has no right answer"
        " to a problem. gold: the data's solution; null: the problem is left out",
    )
    samples: Count = Field(
        1,
        description="reference self: so many answers to each question, the first greedy, of which"
        " the right one with most of its working is y",
    )
    token_budget: Count = Field(
        8192,
        description="most tokens, padding included, in one batch; a CPU takes at most 1024 (but for"
        " ablation), which is faster",
    )

    def options(self, name: str) -> Section:
        """Return a detector's options; all at their defaults where the recipe names none."""
        found = getattr(self, name, None) if name in type(self).model_fields else None
        if isinstance(found, Section):
            return found
        options = options_of(name)
        if options.has_required():
            raise UsageError(f"`attribute.{name}` is required: detector `{name}` has no defaults")
        return options()

    def with_options(self, **options: Mapping[str, Any]) -> "AttributeSection":
        """Return the section with other options: `with_options(ablation={"unit": "word"})`."""
        values = self.model_dump()
        for name, changes in options.items():
            if not changes:
                continue
            values[name] = {**(values.get(name) or {}), **changes}
        section: AttributeSection = read_attribute(values)
        return section

    @classmethod
    def inner_section(cls, key: str) -> type[Section] | None:
        """Return the options of a detector of this name."""
        return options_of(key) if is_detector(key) else None

    @classmethod
    def known_keys(cls) -> list[str]:
        """Return all keys that there are, those of detectors with options last."""
        named = [name for name in detector_names() if options_of(name).model_fields]
        return [*AttributeSection.model_fields, *named]

    @classmethod
    def having(cls, *names: str) -> "type[AttributeSection]":
        """Return the section with the options of these detectors, where they have any."""
        kinds = ((name, options_of(name)) for name in dict.fromkeys(names))
        return _having(tuple((name, kind) for name, kind in kinds if kind.model_fields))

    def __reduce__(self) -> Any:
        """Pickle it by its values: a section with options is a class that no module holds."""
        return read_attribute, (self.model_dump(),)


@lru_cache
def _having(kinds: tuple[tuple[str, type[Section]], ...]) -> type[AttributeSection]:
    if not kinds:
        return AttributeSection
    fields: dict[str, Any] = {
        name: (kind, Field(default_factory=kind, description=f"detector {name}"))
        for name, kind in kinds
    }
    return create_model(
        "AttributeSection", __base__=AttributeSection, __doc__=AttributeSection.__doc__, **fields
    )


def read_attribute(values: Any) -> Any:
    """Check the section `attribute`: plugins are read, and detectors' options are checked by them.

    Keys of version 0.1.0, where options stood beside each other, are read as well.
    """
    if not isinstance(values, Mapping):
        return values
    read_plugins(values)
    values = _as_today(values)
    named = [values.get("detector", "gradient"), *_listed(values.get("controls")), *values]
    names = [name for name in named if isinstance(name, str) and is_detector(name)]
    # Given, so that what lacks is told by its whole key.
    values |= {name: {} for name in names if name not in values and options_of(name).has_required()}
    return AttributeSection.having(*names).model_validate(values)


def read_plugins(values: Any) -> None:
    """Read the plugins that the section `attribute` names, whatever else is in it."""
    for plugin in _listed(values.get("plugins")) if isinstance(values, Mapping) else ():
        load_plugin(plugin)


_MOVED = {
    "l1": ("norm", "gradient_l1", "gradient_norms.py"),
    "input_x_gradient": ("norm", "input_x_gradient", "gradient_norms.py"),
    "integrated_gradients": ("detector", "integrated_gradients", "integrated_gradients.py"),
}
"""Values of version 0.1.0: their key, the detector that each is now, its file in `examples/`."""

_LEFT = {"norm": "l2", "steps": 16}
"""Keys of version 0.1.0 that are gone, and the value that changes nothing."""


def _as_today(values: Mapping[str, Any]) -> dict[str, Any]:
    """Turn what version 0.1.0 wrote into what is written today.

    Raises:
        ValueError: what it names is an example now.
    """
    given = [values.get("norm"), values.get("detector"), *_listed(values.get("controls"))]
    for value, (key, name, file) in _MOVED.items():
        if value in given and not is_detector(value):
            raise ValueError(
                f"`attribute.{key}: {value}` is a detector of its own now: copy examples/{file}, "
                f"and write attribute: {{plugins: [{file}], detector: {name}}}"
            )
    today = dict(values)
    if not today.keys() - AttributeSection.model_fields:
        return today
    flat = flat_keys()
    for key in flat.keys() & today.keys():
        name, option = flat[key]
        options = today.get(name) or {}
        if not isinstance(options, Mapping) or option in options:
            raise ValueError(f"`attribute.{key}` is `attribute.{name}.{option}`: give one of them")
        today[name] = {**options, option: today.pop(key)}
    return {key: value for key, value in today.items() if _LEFT.get(key, ...) != value}


def _listed(values: Any) -> list[str]:
    """Return the texts of a list; what else there is will be refused where it is checked."""
    return [value for value in values if isinstance(value, str)] if isinstance(values, list) else []
