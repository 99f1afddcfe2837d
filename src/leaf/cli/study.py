"""The commands of `leaf study`."""

import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from cyclopts import App

from leaf.cli.options import AsJson, Overrides, out_console, say_line
from leaf.errors import StudyError, UsageError
from leaf.recipe.reading import dump_recipe, load_recipe
from leaf.study.studies import STUDIES

app = App(name="study")


def _command(names: Sequence[str]) -> Callable[..., None]:
    """Return the command that runs these studies, one after another."""

    def study(
        *,
        recipe: str,
        out: Path | None = None,
        seeds: int = 1,
        first_seed: int = 0,
        set_: Overrides = None,
        taus: str | None = None,
        rules: str | None = None,
        store: Path | None = None,
        json_: AsJson = False,
    ) -> None:
        sweep = _Sweep(
            seeds=range(first_seed, first_seed + seeds),
            taus=None if taus is None else _shares(taus),
            rules=None if rules is None else _rules(rules),
        )
        _run(names, recipe, out, set_ or [], sweep, store, as_json=json_)

    return study


_ARGUMENTS = """

Stages that settings share are computed once, and killed work goes on where it was with the same
command.

Args:
    recipe: A shipped recipe (`leaf recipes`) or a YAML file.
    out: Folder for a JSON, a table (Markdown) and a picture (PNG and SVG; of `case` SVG alone) of
        each study. Default: runs/studies/NAME, the name of the recipe.
    seeds: How often it is done, each time with other random choices (order of training, draws of
        data, controls, transplants); intervals are over seeds from 2 on, else over questions.
    first_seed: The first one; 0 is the recipe as it is.
    taus: Thresholds of the studies of thresholds, as in --taus 0.05,0.10; each in [0, 1].
        Default: 0.01 to 0.30 for `thresholds`, which trains nothing; 0.05, 0.10 and 0.15 for
        `threshold-accuracy`, which trains a student and its KD for each.
    rules: Rules of the study `thresholds`, as in --rules value; of value (Eq. 5) and quantile.
        Default: both.
    store: Where stage results are kept and shared. Default: runs/store, which `leaf run` has too.

Example: leaf study {name} --recipe demo
"""


def _add(name: str, about: str, names: Sequence[str]) -> None:
    command = _command(names)
    command.__doc__ = about + _ARGUMENTS.format(name=name)
    app.command(command, name=name)


for _name, _study in STUDIES.items():
    _add(_name, _study.about, [_name])
_add("all", "Every study that the recipe has something for, one after another.", list(STUDIES))


@dataclass(frozen=True, kw_only=True, slots=True)
class _Sweep:
    """Over what a study goes."""

    seeds: range
    taus: tuple[float, ...] | None
    rules: tuple[str, ...] | None

    @property
    def words(self) -> list[str]:
        """Return it as words of the command line."""
        words = ["--seeds", str(len(self.seeds)), "--first-seed", str(self.seeds.start)]
        words += [] if self.taus is None else ["--taus", ",".join(map(str, self.taus))]
        return words + ([] if self.rules is None else ["--rules", ",".join(self.rules)])


def _run(
    names: Sequence[str],
    recipe: str,
    out: Path | None,
    overrides: list[str],
    sweep: _Sweep,
    store: Path | None,
    *,
    as_json: bool,
) -> None:
    from leaf.store.store import Store, write_whole
    from leaf.study.lab import Lab
    from leaf.study.output import print_finding, write_finding

    if len(sweep.seeds) < 1:
        raise UsageError("--seeds 0: must be at least 1")
    resolved = load_recipe(recipe, overrides)
    folder = out or Path("runs") / "studies" / resolved.name
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"--out {folder}: is a file; name a folder")
    kept = Store(store or Path("runs") / "store")
    lab = Lab(resolved, kept, sweep.seeds, sweep.taus, sweep.rules)
    folder.mkdir(parents=True, exist_ok=True)
    write_whole(folder / "recipe.yaml", dump_recipe(resolved).encode())
    left_out, written = [], []
    for name in names:
        try:
            found = STUDIES[name].run(lab)
        except StudyError as error:
            if len(names) == 1:
                raise
            left_out.append(f"{name}: {error}")
            continue
        words = ["leaf", "study", name, "--recipe", recipe]
        words += [word for override in overrides for word in ("--set", override)]
        words += sweep.words
        setting = {
            "command": shlex.join(words),
            "recipe": resolved.name,
            "student": resolved.student.model,
            "teacher": resolved.teacher.model,
            "data": resolved.data.path or resolved.data.task,
            "seeds": list(sweep.seeds),
        }
        paths = write_finding(found, folder, setting)
        written += paths
        if as_json:
            print(paths[0].read_text(encoding="utf-8"))
        else:
            print_finding(found, out_console)
    if not as_json:
        for line in left_out:
            say_line(f"left out: {line}")
        for path in written:
            say_line(f"wrote:    {path}")


def _shares(taus: str) -> tuple[float, ...]:
    try:
        found = tuple(float(word) for word in taus.split(","))
    except ValueError:
        raise UsageError(f"--taus {taus}: must be numbers, as in --taus 0.05,0.10") from None
    if not all(0 <= tau <= 1 for tau in found):
        raise UsageError(f"--taus {taus}: each must lie in [0, 1]")
    return found


def _rules(words: str) -> tuple[str, ...]:
    from leaf.prune import RULES

    found = tuple(dict.fromkeys(words.split(",")))
    wrong = [rule for rule in found if rule not in RULES]
    if wrong:
        raise UsageError(f"--rules {words}: {wrong[0]!r} is none; must be of {', '.join(RULES)}")
    return found
