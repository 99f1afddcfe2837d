"""The command `leaf`.

Exit codes: 0 done, 1 the work failed, 2 the words, the recipe or the input files are wrong.
"""

import json
import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import App, Parameter
from rich.markup import escape

from leaf.cli.options import AsJson, Overrides, out_console, refuse_file, run_app, say_line
from leaf.errors import UsageError
from leaf.models import threads
from leaf.progress import print_table, table
from leaf.recipe import Recipe
from leaf.recipe.base import leaves
from leaf.recipe.reading import describe, dump_recipe, load_recipe, recipe_names

if TYPE_CHECKING:  # they import torch
    from leaf.doctor import Finding
    from leaf.store.results import Results

app = App(
    name="leaf",
    help="Find the words that distract a small language model, and distil them away.\n\n"
    "Start with `leaf recipes`, then `leaf doctor RECIPE`, then `leaf run RECIPE`. "
    "With data of your own: `leaf init FILE`.",
    version_flags=["--version"],
)


@app.command
def run(  # noqa: D417 - `Overrides` and `AsJson` say what they are
    recipe: str,
    /,
    *,
    set_: Overrides = None,
    out: Path | None = None,
    store: Path | None = None,
    until: str = "evaluate",
    overwrite: Annotated[bool, Parameter(negative=())] = False,
    json_: AsJson = False,
) -> None:
    """Take a recipe to a distilled student, its scores against plain distillation, and a report.

    Killed work resumes with the same command.

    Example: leaf run gsm8k --set prune.threshold=0.05 --out runs/a

    Args:
        recipe: A shipped recipe (`leaf recipes`) or a YAML file.
        out: Run folder. Default: runs/NAME, the name of the recipe.
        store: Where stage results are kept and shared between runs. Default: store beside `out`.
        until: Stop after this stage: problems, answers, attribute, prune, verify, distill or
            evaluate.
        overwrite: Replace a run of another recipe in `out`.
    """
    from leaf.distill.train_student import together
    from leaf.pipeline.run import check_out, run_recipe
    from leaf.pipeline.stages import STEPS
    from leaf.store.store import Store

    if until not in STEPS:
        raise UsageError(f"--until {until}: must be one of {', '.join(STEPS)}")
    resolved = load_recipe(recipe, set_ or ())
    folder = out or Path("runs") / resolved.name
    refuse_file(folder)
    check_out(resolved, folder, overwrite=overwrite)
    with together() as first:
        if not first:
            return
        results = run_recipe(
            resolved,
            out=folder,
            store=Store(store or folder.parent / "store"),
            until=until,
            command=_repeat(recipe, set_ or [], out, store),
            overwrite=overwrite,
        )
    if json_:
        print((folder / "report.json").read_text(encoding="utf-8"))
        return
    _print_run(results, folder, resolved.baseline)
    if until != "evaluate":
        say_line(f"stopped after {until}; resume with: {_repeat(recipe, set_ or [], out, store)}")


def _print_run(results: "Results", folder: Path, baseline: str) -> None:
    """Print what came of a run, and name what it wrote; `baseline` is what LeaF is held against."""
    from leaf.report import consistency_table, print_lengths, print_results, robustness_table
    from leaf.store.arms import arm_of

    if results.estimates and results.comparisons:
        print_results(
            results.estimates,
            results.comparisons,
            out_console,
            baseline=baseline,
            others=results.others,
        )
        if results.lengths:
            print_lengths(results.lengths, out_console)
        if results.robustness:
            print_table(out_console, robustness_table(results.robustness))
        if results.consistency:
            print_table(out_console, consistency_table(results.consistency))
        beside = ", ".join(
            f"{arm_of(arm).title}: {arm_of(arm).folder}"
            for arm in results.students
            if arm != "leaf"
        )
        say_line(f"student:  {folder / 'student'} ({beside})")
    if (folder / "ledger.parquet").is_file():
        say_line(f"ledger:   {folder / 'ledger.parquet'} (leaf explain {folder} shows one prompt)")
    say_line(f"report:   {folder / 'report.html'}")


@app.command
def recipes(*, json_: AsJson = False) -> None:
    """List the shipped recipes.

    Example: leaf recipes
    """
    found = {name: load_recipe(name).description for name in recipe_names()}
    if json_:
        print(json.dumps(found, indent=1))
        return
    rows = table("recipe", "what it does")
    for name, description in found.items():
        rows.add_row(name, description)
    print_table(out_console, rows)
    out_console.print("Next: `leaf show RECIPE` for every value, `leaf run RECIPE` to run it.")


@app.command
def show(  # noqa: D417
    recipe: str,
    /,
    *,
    set_: Overrides = None,
    yaml: Annotated[bool, Parameter(negative=())] = False,
    json_: AsJson = False,
) -> None:
    """Print a resolved recipe: every value with its meaning.

    Example: leaf show gsm8k --set distill.epochs=1

    Example: leaf show gsm8k --yaml

    Args:
        recipe: A shipped recipe or a YAML file.
        yaml: Print a recipe file, to be edited and run: `leaf show gsm8k --yaml > own.yaml`.
    """
    resolved = load_recipe(recipe, set_ or ())
    if yaml:
        print(dump_recipe(resolved), end="")
        return
    if json_:
        print(json.dumps(resolved.model_dump(by_alias=True), indent=1))
        return
    for key, value, meaning in _lines(resolved):
        text = json.dumps(value, ensure_ascii=False)
        out_console.print(f"{key}: {text}  [dim]# {escape(meaning)}[/dim]", soft_wrap=True)


def _lines(recipe: Recipe) -> Iterator[tuple[str, Any, str]]:
    """Yield key, value and meaning of every line; an arm has one for each key that differs."""
    meanings = {name: field.description or "" for name, field in Recipe.model_fields.items()}
    meanings |= {key: meaning for key, _, meaning in describe(recipe)}
    for key, value, meaning in describe(recipe):
        if key != "arms" or not value:
            yield key, value, meaning
            continue
        for name, changes in value.items():
            for inner, own in leaves(changes):
                yield f"arms.{name}.{inner}", own, meanings.get(inner, "")


@app.command
def doctor(  # noqa: D417
    recipe: str,
    /,
    *,
    set_: Overrides = None,
    total: Annotated[bool, Parameter(negative=())] = False,
    price: float | None = None,
    json_: AsJson = False,
) -> None:
    """Check a recipe before hours are spent: models, templates, vocabularies, memory, disk, data.

    Example: leaf doctor gsm8k --total --price 2.5

    Args:
        recipe: A shipped recipe or a YAML file.
        total: Also run it on a few problems (a minute, many for large models on a CPU) to say what
            all of it will take: time, tokens, memory and disk, of plain distillation and of LeaF.
        price: Price of an hour of this machine: the total, in money as well.
    """
    from leaf.doctor import examine
    from leaf.doctor.total import check_price, check_total

    check_price(price)
    resolved = load_recipe(recipe, set_ or ())
    findings = examine(resolved)
    _print_findings(findings, json_=json_)
    if (total or price is not None) and not any(finding.level == "bad" for finding in findings):
        more = list(check_total(resolved, price))
        _print_findings(more, json_=json_)
        findings += more
    if json_:
        print(json.dumps([finding.as_json() for finding in findings], indent=1))
    bad = sum(finding.level == "bad" for finding in findings)
    if bad:
        things = "thing" if bad == 1 else "things"
        raise UsageError(f"{bad} {things} would stop this run")
    if not json_:
        again = _repeat(recipe, set_ or [], None, None)
        say_line(f"Nothing stands in the way: {again}")


def _print_findings(findings: Sequence["Finding"], *, json_: bool) -> None:
    for finding in () if json_ else findings:
        out_console.print(f"{finding.mark} {escape(finding.text)}", soft_wrap=True, highlight=False)


@app.command
def tasks(*, json_: AsJson = False) -> None:
    """List the tasks: data to train on and benchmarks; and what may be put into their questions.

    Example: leaf tasks
    """
    from leaf.prune.inject import about as about_sources
    from leaf.tasks import about

    found = about()
    if json_:
        print(json.dumps(found, indent=1))
        return
    rows = table("task", "what it is")
    for name, line in found.items():
        rows.add_row(name, escape(line))
    print_table(out_console, rows)
    rows = table("prune.inject.sources", "what it puts into questions")
    for name, line in about_sources().items():
        rows.add_row(name, escape(line))
    print_table(out_console, rows)
    out_console.print("Next: `leaf evaluate --model M --benchmark TASK --out DIR`, or `data.task`.")


# By name, so that what they need is imported only when they are asked for.
app.command(
    "leaf.cli.evaluate:evaluate",
    help="Score one model on benchmarks, with intervals."
    "\n\nExample: leaf evaluate --model runs/a/student --benchmark gsm8k=data/test.jsonl"
    " --out runs/e",
)
app.command(
    "leaf.cli.grade:grade",
    help="Judge an answer as a run would, and say what was read and why it is wrong."
    "\n\nExample: leaf grade --grader math --gold '\\frac{1}{2}' 'The answer is 0.5.'"
    "\n\nExample: leaf grade --cases tests/grade/cases.jsonl --json",
)
app.command(
    "leaf.cli.report:report",
    help="Write the page of a run again from its report.json, finished or not; or compare runs."
    "\n\nExample: leaf report runs/gsm8k"
    "\n\nExample: leaf report runs/a runs/b --out comparison.html",
)
app.command(
    "leaf.cli.compare:compare",
    help="Compare two evaluations question by question, whichever tool made them: our runs, "
    "folders of `leaf evaluate`, samples of lm-eval, logs of Inspect."
    "\n\nExample: leaf compare runs/a runs/b"
    "\n\nExample: leaf compare runs/gsm8k:kd lm_eval_out --group base",
)
app.command(
    "leaf.cli.export:export",
    help="Write what a run trained on as data that other trainers read."
    "\n\nExample: leaf export runs/gsm8k --format trl --out train.jsonl",
)
app.command(
    "leaf.cli.init:init",
    help="Look at data, guess what it is, and write a recipe that runs, with a reason at every "
    "guess."
    "\n\nQuestions and answers in columns, chat records, prompt and completion, passages, multiple "
    "choice. Without a teacher the student teaches itself."
    "\n\nExample: leaf init customers.csv --student ./my-student --out customers.yaml",
)
app.command(
    "leaf.cli.push:push",
    help="Put a trained student onto the Hugging Face hub, with its model card and scores."
    "\n\nExample: leaf push runs/gsm8k --to me/small-gsm8k --dry-run",
)
app.command(
    "leaf.cli.explain:explain",
    help="Show one prompt: what in it looks like a distraction, what was tried, what models "
    "answered."
    "\n\nWith a run folder alone all its problems are listed, one a line. Without one, a model, a "
    "question and a reference explain a prompt of your own."
    "\n\nExample: leaf explain runs/demo playground-train-9 --html prompt.html"
    "\n\nExample: leaf explain --student package:playground/models/student --question 'At first "
    "Gina has 2 shells. The room has 3 chairs. Yesterday, Gina gives 1 shells to Jack. How many "
    "shells does Gina have now?' --reference '2 - 1 = 1'",
)
app.command(
    "leaf.cli.study:app",
    name="study",
    help="Make the paper's figures and tables for a recipe."
    "\n\nExample: leaf study thresholds --recipe demo",
)


def main(words: Sequence[str] | None = None) -> None:
    """Run the command line; every expected failure is one line on standard error.

    Args:
        words: What follows `leaf`; default: the words of this process.
    """
    threads.settle()
    run_app(app, words, name="leaf")


def _repeat(recipe: str, overrides: list[str], out: Path | None, store: Path | None) -> str:
    words = ["leaf", "run", recipe]
    for override in overrides:
        words += ["--set", override]
    if out is not None:
        words += ["--out", str(out)]
    if store is not None:
        words += ["--store", str(store)]
    return shlex.join(words)


if __name__ == "__main__":
    main()
