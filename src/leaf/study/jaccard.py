r"""How like the reference the student's answers are, before and after pruning (Fig. 13).

Jaccard similarity of two texts, |A & B| / |A | B|, with A and B the sets of their words: runs of
letters, digits and underscores (`\w+`) in lower case. The paper does not say how it cuts words.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from statistics import fmean

from matplotlib.figure import Figure

from leaf.errors import StudyError
from leaf.recipe import EvaluateSection
from leaf.records import Outcome
from leaf.statistics import compare_values, estimate
from leaf.study.finding import Cell, Finding, Row, Table
from leaf.study.lab import Lab, Run
from leaf.study.output import written
from leaf.study.paper import differs
from leaf.study.plot import draw_cumulative
from leaf.study.scores import drawn
from leaf.study.seeds import merged

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


Groups = Mapping[str, Mapping[str, Pair]]
"""A group of `_GROUPS` to problem to its similarities."""


def jaccard(first: str, second: str) -> float | None:
    """Return |A & B| / |A | B| of two texts' sets of words; None where neither has a word."""
    words, others = (set(_WORD.findall(text.lower())) for text in (first, second))
    return len(words & others) / len(words | others) if words | others else None


def similarity(lab: Lab) -> Finding:
    """Compare the student's answers with the reference, before and after pruning."""
    changes = {"prune.strategy": lab.recipe.prune.without("transplant", "substitute", "inject")}
    seeds = [_pairs(run) for run in lab.runs(changes, until="verify", label="pruning")]
    if not any(pairs for groups, _ in seeds for pairs in groups.values()):
        raise StudyError("no question was pruned, so there is no answer to compare")
    table = merged([similarities(groups, lab.recipe.evaluate) for groups, _ in seeds])
    wordless = sum(count for _, count in seeds)
    taught = lab.recipe.attribute.reference == "teacher"
    reference = "teacher's answer" if taught else "data's solution"
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
        draw=lambda figure: _draw(figure, seeds[0][0]),
        size=(8.0, 3.2),
    )


_GROUPS = {
    "helped": "verified",
    "not helped": "pruned in vain: the student never right",
    "all": "all pruned problems",
}


def _pairs(run: Run) -> tuple[Groups, int]:
    """Return the similarities by group, and how many problems have no word at all."""
    groups: dict[str, dict[str, Pair]] = {name: {} for name in _GROUPS}
    wordless = 0
    for entry in run.entries:
        tried = entry.tried(run.detector)
        # Where the response is cut, the answer goes on from it and has not the whole reference.
        if not (tried and entry.student) or entry.level != "instruction":
            continue
        never = all(item.student and item.student.outcome is not Outcome.RIGHT for item in tried)
        of_group = {
            "all": tried,
            "helped": [item for item in tried if item.kept],
            "not helped": tried if never else [],
        }
        before = jaccard(entry.student.text, entry.reference)
        base = run.pipeline.detection.problems[entry.problem_id].base
        for group, items in of_group.items():
            texts = [item.student.text for item in items if item.student]
            similar = [jaccard(text, entry.reference) for text in texts]
            after = [value for value in similar if value is not None]
            if before is not None and after:
                pair = Pair(before=before, after=fmean(after), base=base)
                groups[group][entry.problem_id] = pair
        wordless += entry.problem_id not in groups["all"]
    return groups, wordless


def similarities(groups: Groups, section: EvaluateSection) -> Table:
    """Return mean similarities before and after, and the paired change, of each group."""
    rows = []
    for group, title in _GROUPS.items():
        pairs = groups[group]
        before = {key: pair.before for key, pair in pairs.items()}
        after = {key: pair.after for key, pair in pairs.items()}
        cells: dict[str, Cell] = {"problems": len(pairs)}
        if pairs:
            base_of = {key: pair.base for key, pair in pairs.items()}
            change = compare_values(after, before, base_of=base_of, **drawn(section))
            cells |= {
                "before": estimate(before, ungradable=0, **drawn(section)),
                "after": estimate(after, ungradable=0, **drawn(section)),
                "change": change,
                "more like it": change.wins,
                "less like it": change.losses,
            }
        rows.append(Row(labels={"pruning": title}, cells=cells))
    columns = {"problems": "count", "before": "number", "after": "number", "change": "number"}
    return Table(
        title="Jaccard similarity of the student's answers to the reference",
        columns={**columns, "more like it": "count", "less like it": "count"},
        rows=tuple(rows),
    )


def _draw(figure: Figure, groups: Groups) -> None:
    """Draw the share of problems up to each similarity, before and after, group by group."""
    shown = {group: list(pairs.values()) for group, pairs in groups.items() if pairs}
    every = figure.subplots(1, len(shown), sharey=True, squeeze=False)[0]
    for axes, (group, pairs) in zip(every, shown.items(), strict=True):
        values = {name: [getattr(pair, name) for pair in pairs] for name in ("before", "after")}
        draw_cumulative(axes, values, x="similarity")
        axes.set_title(f"{group} ({len(pairs)})", fontsize=10)
        axes.set_xlim(-0.02, 1.02)
    every[0].set_ylabel("share of problems")
