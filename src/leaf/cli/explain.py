"""The command `leaf explain`, on a run and on a prompt of one's own."""

import json
from collections.abc import Callable
from dataclasses import dataclass, fields
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

from cyclopts import Parameter

from leaf.cli.options import AsJson, Overrides, load_plugins, out_console, say_line
from leaf.errors import UsageError, nearest
from leaf.recipe import Recipe
from leaf.recipe.reading import check_recipe, load_recipe
from leaf.report import write_explanation
from leaf.report.one_problem import explanation
from leaf.report.one_problem_terminal import print_explanation, print_list
from leaf.store.ledger import Entry, read_ledger
from leaf.store.run_folder import recipe_of

if TYPE_CHECKING:  # it imports torch, which the ledger of a run is shown without
    from leaf.api.look import Look

SHOWN = "explain RUN [PROBLEM] or explain --student S --question Q --reference R"


_SHOWN_PROBLEMS = 20
"""Lines of a run's list on a terminal; a pipe and --json have all."""


@Parameter(name="*", group="A prompt of your own")
@dataclass(frozen=True, kw_only=True)
class OwnPrompt:
    """What is asked about a prompt that is in no run."""

    student: str | None = None
    """The model that may be distracted: hub id, folder or GGUF file."""
    teacher: str | None = None
    """A better model to compare with; without one the student alone is looked at."""
    question: str | None = None
    """The prompt; the sentence that asks is never taken out whole."""
    reference: str | None = None
    """A right response to it."""
    answer: str | None = None
    """Its final answer. Default: what the reference marks, or a short reference itself."""
    recipe: str | None = None
    """A recipe whose settings are taken where none are given here, its models as well."""
    detector: str | None = None
    """What ranks the units. Default: the recipe's, else ablation."""
    unit: str | None = None
    """Token, word, phrase, clause, sentence or paragraph. Default: the recipe's, else sentence."""
    grader: str | None = None
    """How answers are judged. Default: the recipe's, else guessed from the answer."""
    system: str | None = None
    """System prompt of both models. Default: the recipe's, else the template's own."""
    dtype: str | None = None
    """auto, bfloat16, float16 or float32. Default: the recipe's, else auto."""
    max_new_tokens: int | None = None
    """Longest answer in tokens. Default: the recipe's, else 512."""
    plugin: Annotated[list[str] | None, Parameter(negative=())] = None
    """File with a detector or grader of your own: --plugin my_detector.py (may be given again)."""
    set_: Overrides = None


def explain(  # noqa: D417 - `AsJson` and `OwnPrompt` say what they are
    run_folder: Annotated[Path | None, Parameter(name="RUN")] = None,
    problem: str | None = None,
    /,
    *,
    html: Path | None = None,
    own: OwnPrompt | None = None,
    json_: AsJson = False,
) -> None:
    """Show one prompt; `leaf.cli.main` holds the text of the help.

    Args:
        run_folder: What `leaf run` wrote; its ledger.parquet is read.
        problem: Id of one problem; without it all are listed.
        html: Also write a page, self-contained.
    """
    write: Callable[[Path], Path]
    given = [each.name for each in fields(OwnPrompt) if own and getattr(own, each.name) is not None]
    if run_folder is None:
        if own is None or not given:
            raise UsageError(f"{SHOWN}: missing RUN")
        look = _look(own)
        look.verify()
        shown = look.as_json()
        write = look.to_html
    else:
        if given:
            option = given[0].rstrip("_").replace("_", "-")
            raise UsageError(f"{SHOWN}: --{option} is for a prompt of your own, without RUN")
        if problem is None:
            if html is not None:
                raise UsageError(
                    f"--html {html}: is for one problem; `leaf explain {run_folder}` lists them"
                )
            _list(run_folder, as_json=json_)
            return
        ledger = run_folder / "ledger.parquet"
        recipe = recipe_of(run_folder)
        shown = explanation(_entry(ledger, problem), recipe, str(ledger))
        write = partial(write_explanation, shown)
    if json_:
        print(json.dumps(shown, indent=1))
    else:
        print_explanation(shown, out_console)
    if html is not None:
        written = write(html)
        if not json_:
            say_line(f"page:     {written}")


def _look(own: OwnPrompt) -> "Look":
    """Load the models of a prompt of one's own, once each, and look at it."""
    from leaf.api.look import explain as explain_prompt
    from leaf.api.model import Model
    from leaf.api.settings import gold_of

    load_plugins(own.plugin or ())
    recipe = load_recipe(own.recipe, own.set_ or ()) if own.recipe else None
    student = own.student or (recipe.student.model if recipe else None)
    needed = {"student": student, "question": own.question, "reference": own.reference}
    missing = [f"--{name}" for name, value in needed.items() if value is None]
    if missing:
        raise UsageError(f"{SHOWN}: missing {' and '.join(missing)}")

    # Before the models: they take long to load, and in the end nobody could judge an answer.
    grader = own.grader or (recipe.data.grader if recipe else None)
    gold_of(own.reference or "", own.answer, grader)
    settings = _settings(own) if own.set_ and not recipe else recipe

    def load(role: str) -> Model | None:
        section = getattr(recipe, role, None)
        if recipe and recipe.alone and role == "teacher":
            section = None  # `teacher: self`: nobody else is asked, unless one is named here
        name = getattr(own, role) or (section and section.model)
        its_own = section if section and name == section.model else None
        return name and Model.load(
            name,
            dtype=own.dtype or (section.dtype if section else "auto"),
            revision=its_own.revision if its_own else None,
            adapter=its_own.adapter if its_own else None,
            system=own.system or (section.system if section else None),
            template=its_own.template if its_own else None,
            device_map=its_own.device_map if its_own else None,
        )

    return explain_prompt(
        cast(Model, load("student")),
        load("teacher"),
        own.question or "",
        own.reference or "",
        detector=own.detector,
        unit=own.unit,
        answer=own.answer,
        grader=own.grader,
        recipe=settings,
        max_new_tokens=own.max_new_tokens,
    )


def _settings(own: OwnPrompt) -> Recipe:
    """Return what `--set` says where there is no recipe, which is nothing of models and data."""
    for word in own.set_ or ():
        if word.partition(".")[0] in ("student", "teacher", "data"):
            raise UsageError(
                f"--set {word}: counts for nothing without --recipe; name models by --student and "
                "--teacher"
            )
    detector, unit = own.detector or "ablation", own.unit or "sentence"
    values = {
        "name": "explain",
        "data": {"task": "table"},
        "student": {"model": "none"},
        "teacher": {"model": "none"},
        "attribute": {"detector": detector, "controls": []},
        "prune": {"units": [unit], "strategy": "span"},
        "evaluate": {"benchmarks": {}},
    }
    return check_recipe(values, source="leaf explain", overrides=own.set_ or ())


def _entry(ledger: Path, problem: str) -> Entry:
    """Read the entry of one problem.

    Raises:
        UsageError: the ledger has none of this id; names the nearest.
    """
    entries = read_ledger(ledger, problem)
    if not entries:
        known = [entry.problem_id for entry in read_ledger(ledger)]
        raise UsageError(
            f"{ledger}: has no problem {problem}; it holds those that entered detection, and those "
            "that something was put into"
            f"{nearest(problem, known) or ';'} `leaf explain {ledger.parent}` lists them"
        )
    return entries[0]


def _list(run_folder: Path, *, as_json: bool) -> None:
    """Show every problem of a run, one a line."""
    detector = recipe_of(run_folder).attribute.detector
    entries = read_ledger(run_folder / "ledger.parquet")
    if as_json:
        lines = [
            {
                "problem": entry.problem_id,
                "level": entry.level,
                "entered": entry.entered,
                "tried": len(entry.tried(detector)),
                "kept": sum(item.kept for item in entry.tried(detector)),
                "question": entry.question,
            }
            for entry in entries
        ]
        print(json.dumps(lines, indent=1))
        return
    print_list(entries, detector, out_console, _SHOWN_PROBLEMS)
    say_line(f"Next: `leaf explain {run_folder} PROBLEM`, with --html FILE for a page.")
