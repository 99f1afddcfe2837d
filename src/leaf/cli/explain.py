"""The command `leaf explain`."""

import json
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from leaf.cli.options import AsJson, out_console, say_line
from leaf.errors import UsageError, nearest
from leaf.pipeline.one_prompt import OwnPrompt, explain_prompt
from leaf.report import write_explanation
from leaf.report.one_problem import explanation
from leaf.report.one_problem_terminal import print_explanation, print_list
from leaf.store.ledger import Entry, read_ledger
from leaf.store.run_folder import recipe_of

SHOWN = "explain RUN [PROBLEM] or explain --student M --teacher M --question Q --reference R"


def explain(  # noqa: D417 - `AsJson` says what it is
    run_folder: Annotated[Path | None, Parameter(name="RUN")] = None,
    problem: str | None = None,
    /,
    *,
    html: Path | None = None,
    student: str | None = None,
    teacher: str | None = None,
    question: str | None = None,
    reference: str | None = None,
    answer: str | None = None,
    dtype: str = "auto",
    max_new_tokens: int = 512,
    json_: AsJson = False,
) -> None:
    """Show one prompt: who leans on which word, what was tried on it, what both models answered.

    With a run folder alone all its problems are listed, one a line. Without one, both models, a
    question and a reference explain a prompt of your own.

    Args:
        run_folder: What `leaf run` wrote; its ledger.parquet is read.
        problem: Id of one problem; without it all are listed.
        html: Also write a page, self-contained.
        student: For a prompt of your own, without a run: the model that may be distracted.
        teacher: The model that it is held against.
        question: Your prompt.
        reference: A right response to it, whose loss is differentiated.
        answer: Its final answer; default: the one that the reference marks.
        dtype: auto, bfloat16, float16 or float32, for a prompt of your own.
        max_new_tokens: Longest answer in tokens, for a prompt of your own.
    """
    own = {"student": student, "teacher": teacher, "question": question, "reference": reference}
    if run_folder is None:
        missing = [f"--{name}" for name, value in own.items() if value is None]
        if missing:
            raise UsageError(f"{SHOWN}: missing {missing[0] if len(missing) < 4 else 'RUN'}")
        prompt = OwnPrompt(
            student=student or "",
            teacher=teacher or "",
            question=question or "",
            reference=reference or "",
            answer=answer,
            dtype=dtype,
            max_new_tokens=max_new_tokens,
        )
        entry, recipe = explain_prompt(prompt)
        source = "a prompt of your own"
    else:
        given = [f"--{name}" for name, value in own.items() if value is not None]
        if given:
            raise UsageError(f"{SHOWN}: {given[0]} is for a prompt of your own, without RUN")
        ledger = run_folder / "ledger.parquet"
        entries = read_ledger(ledger, problem)
        recipe = recipe_of(run_folder)
        if problem is None:
            _list(entries, recipe.attribute.detector, run_folder, as_json=json_)
            return
        if not entries:
            known = [found.problem_id for found in read_ledger(ledger)]
            raise UsageError(
                f"{ledger}: no problem {problem} (student wrong, teacher right, or a transplant's "
                f"host){nearest(problem, known) or ';'} `leaf explain {run_folder}` lists all"
            )
        (entry,) = entries
        source = str(ledger)
    found = explanation(entry, recipe, source)
    if json_:
        print(json.dumps(found, indent=1))
    else:
        print_explanation(found, out_console)
    if html is not None:
        written = write_explanation(found, html)
        if not json_:
            say_line(f"page:     {written}")


def _list(entries: list[Entry], detector: str, run_folder: Path, *, as_json: bool) -> None:
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
    print_list(entries, detector, out_console)
    say_line(f"Next: `leaf explain {run_folder} PROBLEM`, with --html FILE for a page.")
