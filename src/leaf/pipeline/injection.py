"""Distractors put in: transplants and injections made, asked about, judged, and how many stay."""

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

from leaf.attribute.detectors.ablation import Ablation
from leaf.prune import injections, removable, transplants
from leaf.records import Answer, Counterfactual, Problem, Score, Verdict
from leaf.store.results import Cuts, by_id
from leaf.store.work import About
from leaf.verify import clear, drawn_by, judge_put_in, limit, pruned_problems, screen

_NO_HOST = (
    "nothing was put into any of {} problems: only what the student solves takes some, and that is"
    " none; prune.inject.hosts: all lets every problem"
)

if TYPE_CHECKING:  # it imports this module
    from leaf.pipeline.detection import Detection


def put_in(detection: "Detection", cuts: Cuts) -> list[str]:
    """Put distractors into problems, as `prune.strategy` says, and add them to what was cut.

    Args:
        detection: Stage 1, verified as far as cuts go.
        cuts: Those of the recipe's own detector; they gain what is put in, and its verdicts.

    Returns:
        What people should be told: where nothing can be put in, and what a sample was refused.
    """
    section = detection.session.recipe.prune
    removals = [
        item
        for item in cuts.kept
        if item.strategy == "span" and item.problem_id in detection.problems
    ]
    made: list[Counterfactual] = []
    verdicts: list[Verdict] = []
    notes: list[str] = []
    most = len(detection.problems) * section.inject.share
    if "transplant" in section.strategies:
        made = transplants(detection.problems, removals, detection.solved, section)
        verdicts = _verdicts(detection, made, "transplanted")
    if "inject" in section.strategies:
        needless, why = _needless(detection) if "needless" in section.inject.sources else ([], "")
        notes += [why] if why else []
        hosts = _hosts(detection)
        found = injections(
            detection.problems,
            removals,
            hosts,
            section.inject,
            made,
            needless,
        )
        tried = [item for item in found if not item.skipped]
        if detection.session.recipe.verify.injections == "unasked":
            tried = _drawn(tried, int(most), section.inject.seed)
        judged = _verdicts(detection, tried, "injected")
        judged = limit(
            tried, judged, most, section.inject.seed, _solved(detection), "prune.inject.share"
        )
        nothing = [item for item in found if item.skipped]
        notes += _nothing(found, nothing) if hosts else [_NO_HOST.format(len(detection.problems))]
        made, verdicts = [*made, *tried, *nothing], [*verdicts, *judged]
    if section.share is not None:
        asked = [item for item in made if not item.skipped]
        most = len(detection.problems) * section.share
        verdicts = limit(asked, verdicts, most, section.inject.seed, _solved(detection))
    cuts.counterfactuals = [*cuts.counterfactuals, *made]
    cuts.verdicts = [*(cuts.verdicts or ()), *verdicts]
    return [*notes, *_refused(detection, verdicts)]


def _needless(detection: "Detection") -> tuple[list[Counterfactual], str]:
    """Return pieces of solved problems that do nothing for the student's right answer, or why none.

    By ablation: question and answer fit as well, or better, without them. That a greedy answer
    stays right says less: a guess is right now and then, and such pieces would be taken for hard.
    Pieces are what ablation takes away: `attribute.ablation.unit`, else the units of `prune.units`
    that are wider than a word, or sentences.
    """
    session = detection.session
    section = session.recipe.prune
    ablation = session.detector("ablation")
    assert isinstance(ablation, Ablation)  # noqa: S101 - that is its name
    units = ablation.kinds
    if narrow := [unit for unit in units if unit in ("token", "word")]:
        return [], (
            f"prune.inject.sources: needless finds nothing, since ablation takes away a {narrow[0]}"
            " at a time; set attribute.ablation.unit to phrase, clause or sentence"
        )
    drawn = sorted(detection.solved, key=lambda item: drawn_by(section.inject.seed, item.id))
    looked_at = sorted(drawn[: section.inject.looked_at], key=lambda problem: problem.id)
    said = {item.id: detection.said("student", item) for item in looked_at}
    pairs = [(item, said[item.id]) for item in looked_at]
    measured = session.sensitivities("student", "ablation", pairs)
    worth = {
        (item.problem_id, start, end): score
        for item in measured
        for start, end, score in zip(item.starts, item.ends, item.scores, strict=True)
    }
    found = [
        item
        for problem in looked_at
        for item in removable(problem, units)
        for span in item.spans
        if worth.get((problem.id, span.start, span.end), 1.0) <= 0.0
    ]
    return found, ""


def _hosts(detection: "Detection") -> Sequence[Problem]:
    if detection.session.recipe.prune.inject.hosts == "solved":
        return detection.solved
    return list(detection.problems.values())


def _solved(detection: "Detection") -> set[str]:
    return {problem.id for problem in detection.solved}


def _drawn(tried: Sequence[Counterfactual], most: int, seed: int) -> list[Counterfactual]:
    """Draw so many that nobody is asked about: first one a problem."""

    def turn(item: Counterfactual) -> tuple[int, int, str]:
        return int(item.id.rpartition("/in")[2]), *drawn_by(seed, item.id)

    chosen = {item.id for item in sorted(tried, key=turn)[:most]}
    return [item for item in tried if item.id in chosen]


def _verdicts(
    detection: "Detection", tried: Sequence[Counterfactual], changed: str
) -> list[Verdict]:
    """Ask about what was put in, as `verify` says, and judge it."""
    rules, injected = detection.session.recipe.verify, changed == "injected"
    ambiguity = rules.ambiguity or ("off" if injected else "always")
    alone = detection.session.recipe.alone
    by_student = not injected or rules.injections != "unasked" or (alone and ambiguity != "off")
    sample = list(tried) if ambiguity == "always" else []
    if ambiguity == "sample":
        drawn = sorted(
            tried, key=lambda item: drawn_by(detection.session.recipe.prune.seed, item.id)
        )
        sample = drawn[: rules.ambiguity_sample]
    student_wrong = (rules.injections if injected else rules.transplants) == "student_wrong"
    student = _answers(detection, "student", tried if by_student else [], changed)
    spared = rules.teacher == "if_student_right" and student_wrong and not alone
    if spared and ambiguity == "always":
        # What the student solves goes, and counts as no effect, whatever the teacher says; what is
        # in the store already is told.
        unsolved = [
            item for item in tried if not (item.id in student and student[item.id][1].right)
        ]
        asked = pruned_problems(detection.problems, tried)
        sample = list(tried) if detection.session.has_answers("teacher", asked) else unsolved
    teacher = _answers(detection, "teacher", [] if alone else sample, changed)
    verdicts = [
        judge_put_in(
            item,
            student.get(item.id),
            teacher.get(item.id),
            student_wrong=student_wrong,
        )
        for item in tried
    ]
    if alone and ambiguity != "off":
        verdicts = clear(tried, verdicts, _solved(detection))
    return screen(tried, verdicts, rules.effect, _solved(detection))


def _answers(
    detection: "Detection", role: str, items: Sequence[Counterfactual], changed: str
) -> dict[str, tuple[Answer, Score]]:
    """Let a model answer what was put in."""
    if not items and (changed == "injected" or detection.session.recipe.alone):
        return {}
    about = About(detector=detection.detectors[0], changed=changed)
    asked = pruned_problems(detection.problems, items)
    return by_id(detection.session.answers_of(role, asked, about, detection.drafts(role, items)))


def _nothing(found: Sequence[Counterfactual], nothing: Sequence[Counterfactual]) -> list[str]:
    """Say why no problem at all took something."""
    if not found or len(nothing) < len(found):
        return []
    reasons = Counter(str(item.skipped).partition(": ")[2] for item in nothing)
    said = "; ".join(f"{reason} ({count} problems)" for reason, count in reasons.most_common(2))
    return [f"nothing was put into any of {len(found)} problems: {said}"]


def _refused(detection: "Detection", verdicts: Sequence[Verdict]) -> list[str]:
    """Say what a sample came to."""
    if detection.session.recipe.verify.ambiguity != "sample":
        return []
    if detection.session.recipe.alone:
        unclear = sum(verdict.reason.startswith("ambiguous") for verdict in verdicts)
        said = f"{unclear} of {len(verdicts)} questions with a text put in are let go"
        return [f"ambiguity: {said}, by the share of its questions that the student still solves"]
    asked = [verdict for verdict in verdicts if verdict.teacher is not None]
    refused = sum(verdict.teacher != "right" for verdict in asked)
    return [f"ambiguity: the teacher refused {refused} of {len(asked)} sampled texts put in"]
