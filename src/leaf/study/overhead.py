"""What LeaF costs beside plain distillation: time and memory (Table 4, appendix D)."""

from collections.abc import Mapping, Sequence

from matplotlib.figure import Figure

from leaf.report.looks import BY_TITLE
from leaf.report.training import before_training
from leaf.report.training import overhead as overhead_of
from leaf.statistics import Interval
from leaf.store.arms import arm_of, in_order
from leaf.store.work import StageLog
from leaf.study.arms import WHO
from leaf.study.finding import Cell, Finding, Row, Table
from leaf.study.lab import Lab
from leaf.study.output import written
from leaf.study.paper import differs, of_student, printed_table
from leaf.study.seeds import merged


def overhead(lab: Lab) -> Finding:
    """Add up what the stages took until both students were trained."""
    # Without controls there is nothing but what the recipe's own detector needs.
    runs = lab.runs(until="distill", label="both trainings")
    paper = of_student(lab.recipe, "4").get("training", {})
    baseline = lab.recipe.baseline
    reference = lab.recipe.attribute.reference
    whole = merged(
        [whole_of(run.pipeline.logs, paper.get("overhead"), baseline, reference) for run in runs]
    )
    parts = merged([parts_of(run.pipeline.logs) for run in runs])
    stages = merged([_stages(run.pipeline.logs) for run in runs])
    return Finding(
        study="overhead",
        says=_says(whole, baseline, reference, kept=lab.recipe.distill.teacher != "online"),
        tables=(whole, parts, stages),
        paper=(printed_table("4"),),
        differs=differs(lab.recipe, "4"),
        draw=lambda figure: _draw(figure, parts),
        size=(7.0, 2.4),
    )


def whole_of(
    logs: Sequence[StageLog],
    paper: float | None = None,
    baseline: str = "kd",
    reference: str = "gold",
) -> Table:
    """Return how much more LeaF takes than its baseline.

    Args:
        logs: Of a run that trained both students, without controls.
        paper: The paper's overhead of training, for this student.
        baseline: `kd`, or `rft`, which needs the student's answers to the original questions.
        reference: `attribute.reference`: with `teacher`, KD needs the teacher's answers.
    """
    plain = arm_of(baseline).title
    took = overhead_of(logs, (), baseline, reference)
    assert took is not None  # noqa: S101 - both are trained
    rows = [
        Row(
            labels={"compared": "the training alone"},
            cells={
                plain: took["baseline_seconds"],
                "LeaF": took["leaf_seconds"],
                "overhead": took.get("training"),
            },
            paper={} if paper is None else {"overhead": paper},
        ),
        Row(
            labels={"compared": "with all before it"},
            cells={
                plain: took["answers_seconds"] + took["baseline_seconds"],
                "LeaF": took["stage_1_seconds"] + took["leaf_seconds"],
                "overhead": took.get("whole"),
            },
        ),
    ]
    return Table(
        title=f"Time of LeaF against {WHO[baseline]}",
        columns={plain: "seconds", "LeaF": "seconds", "overhead": "share"},
        rows=tuple(rows),
    )


def parts_of(logs: Sequence[StageLog]) -> Table:
    """Return time and peak memory of stage 1 and of both trainings."""
    parts = {"stage 1": list(before_training(logs))}
    trained = [log for log in logs if log.kind == "students"]
    for arm in in_order(log.about.role for log in trained):
        own = [log for log in trained if log.about.role == arm]
        parts[f"training {arm_of(arm).title}"] = own
    return _costs("part", parts)


def _stages(logs: Sequence[StageLog]) -> Table:
    """Return time and peak memory of every stage that took a tenth of a second."""
    return _costs("stage", {log.title: [log] for log in logs if log.seconds >= 0.1})


def _costs(heading: str, parts: Mapping[str, Sequence[StageLog]]) -> Table:
    return Table(
        title=f"What each {heading} took",
        columns={"time": "seconds", "peak memory": "bytes"},
        rows=tuple(Row(labels={heading: name}, cells=_cost(logs)) for name, logs in parts.items()),
    )


def _cost(logs: Sequence[StageLog]) -> dict[str, Cell]:
    peaks = [log.peak_bytes for log in logs if log.peak_bytes is not None]
    return {
        "time": sum(log.seconds for log in logs),
        "peak memory": max(peaks, default=None),
    }


def _says(whole: Table, baseline: str, reference: str, *, kept: bool) -> tuple[str, ...]:
    training, everything = [row.cells for row in whole.rows]
    plain = arm_of(baseline).title
    lines = [
        f"LeaF's training took {written(training['overhead'], 'share')} more time than "
        f"{WHO[baseline]} ({written(training['LeaF'], 'seconds')} against "
        f"{written(training[plain], 'seconds')}); with all before it, "
        f"{written(everything['overhead'], 'share')} more.",
        "Stage 1 is answering the training problems, detection, pruning and verification. Times "
        "are those of the process that computed a result, also where it was found in the store: "
        "compare them only if nothing else ran beside it.",
    ]
    if baseline == "rft":
        lines.append("RFT needs the answers to the training problems as well, and no more.")
        return tuple(lines)
    if reference == "teacher":
        lines.append("Plain distillation needs the teacher's answers to them, which are its y.")
    if kept:
        lines.append(
            "What the teacher says is kept on disk here. LeaF is trained first and computes it for "
            "both, so that it bears this cost of plain distillation too."
        )
    return tuple(lines)


def _draw(figure: Figure, parts: Table) -> None:
    """Draw the baseline's time above LeaF's, what comes before training beside it."""
    axes = figure.subplots()
    times = {row.labels["part"]: _seconds(row.cells["time"]) for row in parts.rows}
    stage_1 = times.pop("stage 1")
    names = sorted((part.removeprefix("training ") for part in times), key="LeaF".__eq__)
    plain, leaf = (times[f"training {name}"] for name in names)
    axes.barh(names, [0.0, stage_1], color="#b0b0b0", label="stage 1")
    colours = [BY_TITLE[name].light for name in names]
    axes.barh(names, [plain, leaf], left=[0.0, stage_1], color=colours, label="training")
    axes.invert_yaxis()
    axes.set_xlabel("seconds")
    axes.grid(axis="y", visible=False)
    axes.legend(frameon=False, fontsize=9)


def _seconds(cell: Cell) -> float:
    assert isinstance(cell, Interval | float | int)  # noqa: S101 - times are never missing
    return cell.value if isinstance(cell, Interval) else cell
