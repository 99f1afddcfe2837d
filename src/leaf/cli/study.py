"""The commands of `leaf study`."""

import inspect
import shlex
from collections.abc import Callable, Collection
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter

from leaf.cli.options import AsJson, Overrides, out_console, refuse_file, say_line
from leaf.errors import StudyError, UsageError
from leaf.recipe import Recipe
from leaf.recipe.reading import dump_recipe, load_recipe
from leaf.study.lab import Choices, Lab
from leaf.study.studies import STUDIES, Study

app = App(name="study")

_CHOICES = tuple(field.name for field in fields(Choices))

_SEEDS = (
    "How often it is done, each time with other random choices (order of training, draws of data, "
    "controls, transplants); intervals are over seeds from 2 on, else over questions."
)
_TAUS = (
    "Thresholds to try, as in --taus 0.05,0.10; each in [0, 1]. Default: 0.01 to 0.30 for "
    "`thresholds`, which trains nothing; 0.05, 0.10 and 0.15 for `threshold-accuracy`, which "
    "trains a student and its KD for each."
)
_RULES = (
    "Rules to try, as in --rules value; of value (Eq. 5) and quantile. Default: both. Only "
    "`thresholds` looks at them."
)
_DOSES = (
    "Values of prune.share to try, as in --shares 0.25,0.5, beside the recipe's own; each in [0, "
    "1]. Default: 0.25, 0.33, 0.5 and 1. Each trains a student."
)
_WEIGHTS = (
    "Values of distill.lambda to try, as in --weights rows,0.7, beside the recipe's own; from 0 to "
    "1, rows or add. Default: rows, add and 0.5. Each trains a student."
)
_CLEAN = (
    "Benchmarks in which nothing distracts, as in --clean gsm8k. Default: those that the "
    "distracted ones are `against`, and of the demo world the split clean."
)
_DISTRACTED = (
    "Benchmarks in which something distracts, as in --distracted gsm_ic. Default: those that are "
    "`against` another one and no paraphrase, and of the demo world conflict, numeric and both."
)


def _command(studies: dict[str, Study]) -> Callable[..., None]:
    """Return the command that runs some studies, one after another, with the options they use."""

    def study(
        *,
        recipe: str,
        out: Path | None = None,
        seeds: Annotated[int, Parameter(help=_SEEDS)] = 1,
        first_seed: Annotated[int, Parameter(help="0 is the recipe as it is.")] = 0,
        set_: Overrides = None,
        taus: Annotated[str | None, Parameter(help=_TAUS)] = None,
        rules: Annotated[str | None, Parameter(help=_RULES)] = None,
        shares: Annotated[str | None, Parameter(help=_DOSES)] = None,
        weights: Annotated[str | None, Parameter(help=_WEIGHTS)] = None,
        clean: Annotated[str | None, Parameter(help=_CLEAN)] = None,
        distracted: Annotated[str | None, Parameter(help=_DISTRACTED)] = None,
        store: Path | None = None,
        json_: AsJson = False,
    ) -> None:
        if seeds < 1:
            raise UsageError(f"--seeds {seeds}: must be at least 1")
        if first_seed < 0:
            raise UsageError(f"--first-seed {first_seed}: must be at least 0")
        sweep = _Sweep(
            recipe=recipe,
            overrides=set_ or [],
            seeds=range(first_seed, first_seed + seeds),
            choices=Choices(
                taus=None if taus is None else _shares("taus", taus),
                rules=None if rules is None else _rules(rules),
                shares=None if shares is None else _shares("shares", shares),
                weights=None if weights is None else _weights(weights),
                clean=None if clean is None else tuple(clean.split(",")),
                distracted=None if distracted is None else tuple(distracted.split(",")),
            ),
        )
        _run(studies, sweep, out, store, as_json=json_)

    used = {option for study in studies.values() for option in study.options}
    signature = inspect.signature(study)
    every = signature.parameters.values()
    unused = {"seeds", "first_seed", *_CHOICES} - used
    kept = [parameter for parameter in every if parameter.name not in unused]
    study.__signature__ = signature.replace(parameters=kept)  # type: ignore[attr-defined]
    return study


_ABOUT = """

Example: leaf study {name} --recipe {example}

Stages that settings share are computed once, and killed work resumes with the same command.

Args:
    recipe: A shipped recipe (`leaf recipes`) or a YAML file.
    out: Folder for a JSON, a table (Markdown) and a picture (PNG and SVG; of `case` SVG alone) of
        each study. Default: runs/studies/NAME, the name of the recipe.
    store: Where stage results are kept and shared. Default: runs/store, which `leaf run` has too.
"""


def _add(name: str, about: str, studies: dict[str, Study], example: str) -> None:
    command = _command(studies)
    command.__doc__ = about + _ABOUT.format(name=name, example=example)
    app.command(command, name=name)


for _name, _study in STUDIES.items():
    _add(_name, _study.about, {_name: _study}, _study.example)
_add("all", "Every study that the recipe has something for, one after another.", STUDIES, "demo")


@dataclass(frozen=True, kw_only=True, slots=True)
class _Sweep:
    """Over what a study goes."""

    recipe: str
    overrides: list[str]
    seeds: range
    choices: Choices

    def words(self, name: str) -> list[str]:
        """Return the words that run one study so again."""
        options = STUDIES[name].options
        words = ["leaf", "study", name, "--recipe", self.recipe]
        words += [word for override in self.overrides for word in ("--set", override)]
        if "seeds" in options:
            words += ["--seeds", str(len(self.seeds))]
        if "first_seed" in options:
            words += ["--first-seed", str(self.seeds.start)]
        for option in _CHOICES:
            values = getattr(self.choices, option)
            if option in options and values is not None:
                words += [f"--{option}", ",".join(map(str, values))]
        return words

    def setting(self, name: str, recipe: Recipe) -> dict[str, object]:
        """Return what stands beside the numbers of one study."""
        return {
            "command": shlex.join(self.words(name)),
            "recipe": recipe.name,
            "student": recipe.student.model,
            "teacher": recipe.teacher.model,
            "data": recipe.data.path or recipe.data.task,
            "seeds": list(self.seeds if "seeds" in STUDIES[name].options else self.seeds[:1]),
        }


def _run(
    names: Collection[str],
    sweep: _Sweep,
    out: Path | None,
    store: Path | None,
    *,
    as_json: bool,
) -> None:
    from leaf.store.disk import BUSY, locked
    from leaf.store.store import Store

    recipe = load_recipe(sweep.recipe, sweep.overrides)
    folder = out or Path("runs") / "studies" / recipe.name
    refuse_file(folder)
    kept = Store(store or Path("runs") / "store")
    lab = Lab(recipe, kept, sweep.seeds, sweep.choices)
    with locked(folder, BUSY, tidy=True):
        left_out, written = _write(names, lab, sweep, folder, as_json=as_json)
    if not as_json:
        for line in left_out:
            say_line(f"left out: {line}")
        for path in written:
            say_line(f"wrote:    {path}")


def _write(
    names: Collection[str], lab: Lab, sweep: _Sweep, folder: Path, *, as_json: bool
) -> tuple[list[str], list[Path]]:
    """Run studies and write what each found; return what was left out, and the files."""
    from leaf.store.disk import write_whole
    from leaf.study.output import print_finding, write_finding

    left_out: list[str] = []
    written: list[Path] = []
    for name in names:
        try:
            finding = STUDIES[name].run(lab)
        except StudyError as error:
            if len(names) == 1:
                raise
            left_out.append(f"{name}: {error}")
            continue
        if not written:  # and not before: a study that cannot be made leaves nothing
            write_whole(folder / "recipe.yaml", dump_recipe(lab.recipe).encode())
        paths = write_finding(finding, folder, sweep.setting(name, lab.recipe))
        written += paths
        if as_json:
            print(paths[0].read_text(encoding="utf-8"))
        else:
            print_finding(finding, out_console)
    return left_out, written


def _shares(option: str, words: str) -> tuple[float, ...]:
    place = f"--{option} {words}"
    try:
        shares = tuple(float(word) for word in words.split(","))
    except ValueError:
        raise UsageError(f"{place}: must be numbers, as in --{option} 0.05,0.10") from None
    if not all(0 <= share <= 1 for share in shares):
        raise UsageError(f"{place}: each must lie in [0, 1]")
    return shares


def _weights(words: str) -> tuple[float | str, ...]:
    every = words.split(",")
    numbers = [word for word in every if word not in ("rows", "add")]
    try:
        ok = all(0 <= float(word) <= 1 for word in numbers)
    except ValueError:
        ok = False
    if not ok:
        raise UsageError(f"--weights {words}: each must be from 0 to 1, rows or add")
    return tuple(float(word) if word in numbers else word for word in every)


def _rules(words: str) -> tuple[str, ...]:
    from leaf.prune import RULES

    rules = tuple(dict.fromkeys(words.split(",")))
    wrong = [rule for rule in rules if rule not in RULES]
    if wrong:
        raise UsageError(f"--rules {words}: {wrong[0]!r} is none; must be of {', '.join(RULES)}")
    return rules
