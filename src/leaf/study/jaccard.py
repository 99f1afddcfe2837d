r"""How like the reference the student's answers are, before and after pruning (Fig. 13).

Jaccard similarity of two texts, |A & B| / |A | B|, with A and B the sets of their words: runs of
letters, digits and underscores (`\w+`) in lower case. The paper does not say how it cuts words.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from matplotlib.figure import Figure

from leaf.errors import StudyError
from leaf.recipe import EvaluateSection
from leaf.records import Outcome
from leaf.statistics import compare_values, estimate
from leaf.study.finding import Cell, Finding, Row, Table
from leaf.study.lab import Lab, Run
from leaf.study.merge import merged
from leaf.study.output import written
from leaf.study.paper import differs
from leaf.study.seeds import of_comparison, of_estimate

_WORD = re.compile(r"\w+")


@dataclass(frozen=True, kw_only=True, slots=True)
class Pair:
    """One problem's answers against its reference; similarities lie in [0, 1]."""

    before: float
    """Of the answer to the whole question."""
    after: float
    """Mean over the answers to the pruned questions."""
    base: str
    """As `Problem.base`."""


def jaccard(first: str, second: str) -> float | None:
    """Return |A & B| / |A | B| of two texts' sets of words; None where neither has a word."""
    ours, theirs = set(_WORD.findall(first.lower())), set(_WORD.findall(second.lower()))
    either = ours | theirs
    return len(ours & theirs) / len(either) if either else None


def similarity(lab: Lab) -> Finding:
    """Compare the student's answers with the reference, before and after pruning."""
    changes = {"prune.strategy": _removing(lab.recipe.prune.strategy), "attribute.controls": []}
    runs = [lab.run(changes, until="verify", seed=seed, label="pruning") for seed in lab.seeds]
    found = [_pairs(run) for run in runs]
    if not any(pairs for groups, _ in found for pairs in groups.values()):
        raise StudyError("no question was pruned, so there is no answer to compare")
    table = merged([similarities(groups, lab.recipe.evaluate) for groups, _ in found])
    wordless = sum(count for _, count in found)
    reference = (
        "data's solution" if lab.recipe.attribute.reference == "gold" else "teacher's answer"
    )
    helped, *_, everything = [row.cells for row in table.rows]
    says = (
        f"Where pruning helped, the similarity of the student's answers to the {reference} changed "
        f"by {written(helped['change'], 'number')}; over all pruned problems by "
        f"{written(everything['change'], 'number')}.",
        "Those that pruning helped are chosen by their answer, which alone makes it more like the "
        "reference: the paper shows these. Nothing is chosen in the row of all.",
        r"Words are runs of letters, digits and underscores (\w+), in lower case; a problem with "
        "several pruned questions counts once, by the mean over them.",
        *((f"{wordless} problems are left out: neither text has a word.",) if wordless else ()),
    )
    return Finding(
        study="jaccard",
        says=says,
        tables=(table,),
        differs=differs(lab.recipe, "8", swept=("prune.strategy",), trains=False),
        draw=lambda figure: _draw(figure, found[0][0]),
        size=(8.0, 3.2),
    )


def _removing(strategy: str) -> str:
    """Return the strategies that only remove; `span` where there is none."""
    names = [name for name in strategy.split("+") if name in {"span", "collective"}]
    return "+".join(names) or "span"


_GROUPS = {
    "helped": "verified: both models right",
    "not helped": "pruned in vain: the student never right",
    "all": "all pruned problems",
}


def _pairs(run: Run) -> tuple[dict[str, dict[str, Pair]], int]:
    """Return group to problem to similarities, and how many problems have no word at all."""
    results, detection = run.results, run.pipeline.detection
    assert results.student is not None  # noqa: S101 - `until` says so
    said = {answer.problem_id: answer.text for answer in results.student[0]}
    references = {item.problem_id: item.reference for item in results.attributions or ()}
    cuts = results.cuts[run.recipe.attribute.detector]
    verdicts: dict[str, list[tuple[str, bool, Outcome]]] = {}
    for verdict in cuts.verdicts or ():
        # Where the response is cut, the answer goes on from it and has not the whole reference.
        if verdict.problem_id in detection.problems:
            verdicts.setdefault(verdict.problem_id, []).append(
                (verdict.student_text, verdict.kept, verdict.student)
            )
    groups: dict[str, dict[str, Pair]] = {name: {} for name in _GROUPS}
    wordless = 0
    for one, answers in verdicts.items():
        kept = [text for text, was_kept, _ in answers if was_kept]
        never = all(outcome is not Outcome.RIGHT for *_, outcome in answers)
        texts = {"all": [text for text, *_ in answers], "helped": kept}
        texts["not helped"] = texts["all"] if never else []
        for group, found in texts.items():
            before, after = _similar(said[one], found, references[one])
            if before is not None and after is not None:
                base = detection.problems[one].base
                groups[group][one] = Pair(before=before, after=after, base=base)
        wordless += one not in groups["all"]
    return groups, wordless


def _similar(
    before: str, after: Sequence[str], reference: str
) -> tuple[float | None, float | None]:
    others = [jaccard(text, reference) for text in after]
    found = [other for other in others if other is not None]
    return jaccard(before, reference), fmean(found) if found else None


def similarities(groups: Mapping[str, Mapping[str, Pair]], section: EvaluateSection) -> Table:
    """Return mean similarities before and after, and the paired change, of each group."""
    options = section.model_dump(include={"resamples", "seed"})
    rows = []
    for group, title in _GROUPS.items():
        pairs = groups[group]
        before = {one: pair.before for one, pair in pairs.items()}
        after = {one: pair.after for one, pair in pairs.items()}
        cells: dict[str, Cell] = {"problems": len(pairs)}
        if pairs:
            base_of = {one: pair.base for one, pair in pairs.items()}
            changed = compare_values(after, before, base_of=base_of, **options)
            cells |= {
                "before": of_estimate(estimate(before, ungradable=0, **options)),
                "after": of_estimate(estimate(after, ungradable=0, **options)),
                "change": of_comparison(changed),
                "more like it": changed.wins,
                "less like it": changed.losses,
            }
        rows.append(Row(labels={"pruning": title}, cells=cells))
    return Table(
        title="Jaccard similarity of the student's answers to the reference",
        columns={
            "problems": "count",
            "before": "number",
            "after": "number",
            "change": "number",
            "more like it": "count",
            "less like it": "count",
        },
        rows=tuple(rows),
    )


def _draw(figure: Figure, groups: Mapping[str, Mapping[str, Pair]]) -> None:
    """Draw the share of problems up to each similarity, before and after, group by group."""
    shown = [group for group in _GROUPS if groups[group]]
    for axes, group in zip(
        figure.subplots(1, len(shown), sharey=True, squeeze=False)[0], shown, strict=True
    ):
        pairs = groups[group].values()
        looks = {"before": ("#b0b0b0", "--"), "after": ("#0072b2", "-")}
        for name, (color, line) in looks.items():
            values = [getattr(pair, name) for pair in pairs]
            axes.ecdf(values, label=name, color=color, linestyle=line, linewidth=1.8)
        axes.set_title(f"{group} ({len(pairs)})", fontsize=10)
        axes.set_xlim(-0.02, 1.02)
        axes.set_xlabel("similarity")
    first = figure.axes[0]
    first.set_ylabel("share of problems")
    first.legend(frameon=False, fontsize=9)
