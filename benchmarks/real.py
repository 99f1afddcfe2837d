r"""Does it help on real models and real distractions? Every figure, from answers that are kept.

    .venv/bin/python -m benchmarks.real --json                                no model is needed
    .venv/bin/python -m benchmarks.real --keep runs/a --as pair1/A/seed-1     a run is laid there
    .venv/bin/python -m benchmarks.real --again results/pair1/A/seed-1/leaf --limit 50
    .venv/bin/python -m benchmarks.real --more results/pair1/A/seed-1/leaf \
        --set 'evaluate.benchmarks.svamp={task: svamp, limit: 300, max_new_tokens: 768}'

`results/` holds students of real models with their answers (results/README.md); answers are graded
anew. A figure `pair1.distracted.leaf_minus_kd` is the mean difference over questions and seeds;
`.low` and `.high` are the ends of its 95% interval: a bootstrap over base problems, each with all
its variants in all seeds, widened by how the seeds differ. `pair1` is setting A (trained on clean
problems), `pair1.mixed` setting B, any other setting goes by its name. `drop` is what an arm gets
right of the clean questions less what it does of the same ones distracted; `.tokens` and `.cut` are
an answer's length and the share cut at the limit; `.leaves_out` the share of answers that compute
without some number of the clean question, `.takes_in` that compute with one which only the
distracted question has. `svamp.irrelevant_number` are the questions with a number that their
equation has not, `svamp.plain` the others; `complex.three_numbers` are a test's clean questions
with three different numbers (also two, four), where it has 30. Questions with passages are measured
by SubEM, and by `.EM` and `.F1`.
"""

import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated

import cyclopts

from benchmarks._again import again, more
from benchmarks._keep import keep
from benchmarks._kept import Student, graded, outcomes_of, read_students, student_at
from benchmarks._numbers import computed
from benchmarks._picture import draw_group
from benchmarks._real import EXPECTED, Arm, Group, figures_of, rows_of
from benchmarks.common import ROOT, AsJson, out_console, print_json, start
from leaf.errors import UsageError
from leaf.evaluate import measures
from leaf.progress import table

app = cyclopts.App(help=__doc__)


@app.default
def main(  # noqa: D417 - `AsJson` says what it is
    *,
    results: Path = ROOT / "results",
    keep_: Annotated[Path | None, cyclopts.Parameter(name="--keep")] = None,
    as_: Annotated[str | None, cyclopts.Parameter(name="--as")] = None,
    arms: str | None = None,
    store: Path | None = None,
    overwrite: Annotated[bool, cyclopts.Parameter(negative=())] = False,
    again_: Annotated[Path | None, cyclopts.Parameter(name="--again")] = None,
    limit: int = 50,
    more_: Annotated[Path | None, cyclopts.Parameter(name="--more")] = None,
    set_: Annotated[list[str] | None, cyclopts.Parameter(name="--set", negative=())] = None,
    model: str | None = None,
    picture: Path | None = None,
    json_: AsJson = False,
) -> None:
    """Recompute every figure, keep a run's students, or let one answer again, or more.

    Args:
        results: The folder with all students.
        keep_: A run folder whose students are laid there (with --as).
        as_: Pair, setting and seed, such as pair1/A/seed-1.
        arms: Of --keep: comma-separated arms of the run, a new name after `=`: kd,leaf=paper.
        store: Of --keep: the run's store, if it is not beside it; of --more: where answers are
            kept until all are there (runs/more).
        overwrite: Of --keep: replace another student of that name; of both: other questions.
        again_: A kept student, which answers questions anew.
        limit: Of --again: how many, over all its tests.
        more_: A kept student, which answers the tests that --set names as well.
        set_: Of --more: one value of its recipe, evaluate.benchmarks.NAME={task: ...} for a test.
        model: Of --again and --more: the base's folder, GGUF file or hub id; default as its recipe
            names it.
        picture: A folder for a picture of each setting's table, PAIR-SETTING.svg.
    """
    if keep_ is not None:
        if as_ is None:
            raise UsageError("--keep needs --as, such as --as pair1/A/seed-1")
        chosen = dict(_named(arms)) if arms else None
        kept = keep(keep_, as_, results=results, store=store, arms=chosen, overwrite=overwrite)
        for student in kept:
            size = sum(file.stat().st_size for file in student.folder.rglob("*") if file.is_file())
            tests = ", ".join(f"{test} {n}" for test, n in student.manifest["tests"].items())
            _say(f"{student.folder}: {size / 1e6:.1f} MB; {tests}")
        return
    if again_ is not None:
        if limit < 1:
            raise UsageError(f"--limit {limit}: must be at least 1")
        with tempfile.TemporaryDirectory() as folder:
            found = again(student_at(again_), limit, Path(folder), model)
        _say(
            f"{found['asked']} questions answered again: the texts of {found['texts']} differ, "
            f"the verdicts of {found['verdicts']}"
        )
        if json_:
            print_json("real", {"again": str(again_)}, found)
        return
    if more_ is not None:
        student = student_at(more_, trained=False)
        for test in more(
            student, set_ or (), store or Path("runs/more"), model, overwrite=overwrite
        ):
            _say(f"{student.folder}: {test} answered")
        return
    if picture is not None and picture.is_file():
        raise UsageError(f"--picture {picture}: is a file; name a folder, such as docs/images")
    _recompute(results, picture, json_=json_)


def _recompute(results: Path, picture: Path | None, *, json_: bool) -> None:
    """Grade every kept answer anew and tell every figure."""
    students = read_students(results)
    groups, changed = grouped(students)
    missing = list(_missing(list(groups.values())))
    figures: dict[str, float] = {"verdicts_changed": changed}
    for group in groups.values():
        figures |= figures_of(group)
        _show(group)
        if picture is not None:
            _say(f"picture: {draw_group(group, picture)}")
    for line in missing:
        _say(f"not there yet: {line}")
    if changed:
        _say(f"graded anew: {changed} verdicts are not what was kept")
    if json_:
        print_json("real", {"students": len(students), "missing": missing}, figures)


def _named(arms: str) -> Iterable[tuple[str, str]]:
    for item in arms.split(","):
        arm, _, name = item.strip().partition("=")
        yield arm, name or arm


def grouped(students: Sequence[Student]) -> tuple[dict[tuple[str, str], Group], int]:
    """Grade every answer; return what each setting has, and how many verdicts are new."""
    groups: dict[tuple[str, str], Group] = {}
    changed = 0
    every = list(graded(students))
    asked: dict[str, dict[str, str]] = {}
    for one in every:
        of_pair = asked.setdefault(one.student.pair, {})
        of_pair |= {problem.id: problem.question for problem in one.problems}
    for one in every:
        clean = asked[one.student.pair]
        place = one.student.pair, one.student.setting
        group = groups.setdefault(place, Group(*place))
        arm = group.arms.setdefault(one.student.arm, Arm(one.student.arm))
        for part in one.parts():
            found = {**measures(part.scores), **computed(part.problems, part.answers, clean)}
            arm.add(one.student, part.test, part.answers, found)
            group.bases[part.test] = {item.id: item.base or item.id for item in part.problems}
        kept = outcomes_of(one.student, one.test)
        changed += sum(new.outcome != old for new, old in zip(one.scores, kept, strict=True))
    for group in groups.values():
        group.check_pairs()
    return groups, changed


def _missing(groups: Sequence[Group]) -> Iterable[str]:
    """Yield what figures need and nobody has kept, a line a setting."""
    there = {f"{group.pair}/{group.setting}": group.arms for group in groups}
    for place, arms in EXPECTED.items():
        if lacking := [arm for arm in arms if arm not in there.get(place, {})]:
            yield f"{place}: {', '.join(lacking)}"
    for group in groups:
        yield from group.lacking()


def _show(group: Group) -> None:
    """Print a setting's table: arm by test."""
    heads, rows = rows_of(group)
    shown = table(group.place, *heads[1:])
    for row in rows:
        shown.add_row(*row)
    out_console.print(shown)
    out_console.print()


def _say(text: str) -> None:
    out_console.print(text, soft_wrap=True, markup=False)


if __name__ == "__main__":
    start(app)
