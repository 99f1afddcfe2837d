"""The commands of `leaf study`."""

import inspect
import shlex
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter

from leaf.cli.options import AsJson, Overrides, out_console, refuse_file, say_line
from leaf.errors import StudyError, UsageError
from leaf.recipe import Recipe
from leaf.recipe.reading import dump_recipe, load_recipe
from leaf.study.studies import STUDIES, Study

app = App(name="study")

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
        store: Path | None = None,
        json_: AsJson = False,
    ) -> None:
        if seeds < 1:
            raise UsageError(f"--seeds {seeds}: must be at least 1")
        sweep = _Sweep(
            recipe=recipe,
            overrides=set_ or [],
            seeds=range(first_seed, first_seed + seeds),
            taus=None if taus is None else _shares(taus),
            rules=None if rules is None else _rules(rules),
        )
        _run(studies, sweep, out, store, as_json=json_)

    used = {option for study in studies.values() for option in study.options}
    signature = inspect.signature(study)
    every = signature.parameters.values()
    unused = {"seeds", "first_seed", "taus", "rules"} - used
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
    taus: tuple[float, ...] | None
    rules: tuple[str, ...] | None

    def words(self, name: str) -> list[str]:
        """Return the words that run one study so again."""
        options = STUDIES[name].options
        words = ["leaf", "study", name, "--recipe", self.recipe]
        words += [word for override in self.overrides for word in ("--set", override)]
        if "seeds" in options:
            words += ["--seeds", str(len(self.seeds)), "--first-seed", str(self.seeds.start)]
        for option in ("taus", "rules"):
            values = getattr(self, option)
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
            "seeds": list(self.seeds),
        }


def _run(
    names: Collection[str],
    sweep: _Sweep,
    out: Path | None,
    store: Path | None,
    *,
    as_json: bool,
) -> None:
    from leaf.store.store import Store, write_whole
    from leaf.study.lab import Lab
    from leaf.study.output import print_finding, write_finding

    recipe = load_recipe(sweep.recipe, sweep.overrides)
    folder = out or Path("runs") / "studies" / recipe.name
    refuse_file(folder)
    kept = Store(store or Path("runs") / "store")
    lab = Lab(recipe, kept, sweep.seeds, sweep.taus, sweep.rules)
    folder.mkdir(parents=True, exist_ok=True)
    write_whole(folder / "recipe.yaml", dump_recipe(recipe).encode())
    left_out, written = [], []
    for name in names:
        try:
            finding = STUDIES[name].run(lab)
        except StudyError as error:
            if len(names) == 1:
                raise
            left_out.append(f"{name}: {error}")
            continue
        paths = write_finding(finding, folder, sweep.setting(name, recipe))
        written += paths
        if as_json:
            print(paths[0].read_text(encoding="utf-8"))
        else:
            print_finding(finding, out_console)
    if not as_json:
        for line in left_out:
            say_line(f"left out: {line}")
        for path in written:
            say_line(f"wrote:    {path}")


def _shares(taus: str) -> tuple[float, ...]:
    try:
        shares = tuple(float(word) for word in taus.split(","))
    except ValueError:
        raise UsageError(f"--taus {taus}: must be numbers, as in --taus 0.05,0.10") from None
    if not all(0 <= tau <= 1 for tau in shares):
        raise UsageError(f"--taus {taus}: each must lie in [0, 1]")
    return shares


def _rules(words: str) -> tuple[str, ...]:
    from leaf.prune import RULES

    rules = tuple(dict.fromkeys(words.split(",")))
    wrong = [rule for rule in rules if rule not in RULES]
    if wrong:
        raise UsageError(f"--rules {words}: {wrong[0]!r} is none; must be of {', '.join(RULES)}")
    return rules
