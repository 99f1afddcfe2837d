"""Verification under control: the student answers placebos, and samples of cuts and questions."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from leaf.pipeline.session import Session, as_sample
from leaf.prune import refusal
from leaf.records import Answer, Counterfactual, Problem, Score, Verdict
from leaf.store.results import Cuts, Graded
from leaf.store.work import About
from leaf.verify import Tried, controlled, placebos, pruned_problems
from leaf.verify.judge import in_words


@dataclass(frozen=True, kw_only=True, slots=True)
class _Asked:
    """What the student answered to one text: greedily, or several samples."""

    answers: list[tuple[Answer, Score]]

    @property
    def rate(self) -> float:
        """Share of right answers."""
        return sum(score.right for _, score in self.answers) / len(self.answers)


def control(
    session: Session,
    detector: str,
    problems: Mapping[str, Problem],
    cuts: Cuts,
    drafts: Callable[[Sequence[Counterfactual]], Mapping[str, str]],
) -> None:
    """Hold the verdicts of a detector's cuts against placebos and samples, as `verify` says.

    Args:
        session: The student and the store.
        detector: Whose cuts they are.
        problems: By id, those of the response level with them.
        cuts: With verdicts, which are replaced; gets the placebos.
        drafts: Gives a likely answer to each changed question; it changes no result.
    """
    section = session.recipe.verify
    verdicts = {verdict.counterfactual_id: verdict for verdict in cuts.verdicts or ()}
    chosen = [
        item for item in cuts.tried if verdicts[item.id].kept or section.placebos_of == "tried"
    ]
    if not (section.placebos or section.samples) or not chosen:
        return
    drawn = {item.id: _drawn(session, problems[item.problem_id], item) for item in chosen}
    cuts.placebos = [placebo for found, _ in drawn.values() for placebo in found]
    about = About(role="student", detector=detector, changed="placebo")
    if all(problems[item.problem_id].prompt for item in chosen):
        about = replace(about, level="response")
    changed = pruned_problems(problems, cuts.placebos)
    whole = list({item.problem_id: problems[item.problem_id] for item in chosen}.values())
    if section.samples:
        changed = [*changed, *pruned_problems(problems, chosen), *whole]
    said = _answers(session, changed, about, drafts(cuts.placebos))
    cuts.placebo_verdicts = [_verdict(item, said[item.id]) for item in cuts.placebos]
    for item in chosen:
        found, why_few = drawn[item.id]
        tried = Tried(
            placebos=[said[placebo.id].rate for placebo in found],
            why_few=why_few,
            rate=said[item.id].rate if section.samples else None,
            before=said[item.problem_id].rate if section.samples else None,
        )
        judged = verdicts[item.id]
        verdicts[item.id], cuts.controls[item.id] = controlled(judged, tried, section)
    cuts.verdicts = [verdicts[item.id] for item in cuts.tried]


def _drawn(
    session: Session, problem: Problem, item: Counterfactual
) -> tuple[list[Counterfactual], str]:
    """Draw the placebos of one cut; see `leaf.verify.placebos`."""
    recipe = session.recipe
    units: Sequence[str] = recipe.prune.units
    if not recipe.verify.placebos:
        return [], ""
    tokens = session.student_chat.prompt(problem).units if "token" in units else ()
    return placebos(
        problem,
        item,
        recipe.verify.placebos,
        units=units,
        tokens=[(token.start, token.end) for token in tokens],
        refused=lambda span: refusal(problem, span, recipe.prune.whole),
        seed=recipe.verify.seed,
    )


def _answers(
    session: Session, problems: Sequence[Problem], about: About, drafts: Mapping[str, str]
) -> dict[str, _Asked]:
    """Let the student answer, greedily or `verify.samples` times; problem id to what it said."""
    section = session.recipe.verify
    asked, generate = list(problems), session.recipe.generate
    if section.samples:
        about = replace(about, changed="sampled")
        sampled = {"temperature": section.temperature, "seed": section.seed}
        generate = generate.model_copy(update=sampled)
        asked = [
            as_sample(problem, sample) for problem in problems for sample in range(section.samples)
        ]
        drafts = {}
    student = session.recipe.student
    found: Graded = session.answers(
        student, session.sources["student"], asked, about, drafts or None, generate
    )
    pairs = list(zip(*found, strict=True))
    each = max(section.samples, 1)
    return {
        problem.id: _Asked(answers=pairs[at * each : (at + 1) * each])
        for at, problem in enumerate(problems)
    }


def _verdict(item: Counterfactual, said: _Asked) -> Verdict:
    """Say what came of a placebo; its first answer stands for several."""
    answer, score = said.answers[0]
    freed = sum(score.right for _, score in said.answers)
    of = f" in {freed} of {len(said.answers)} samples" if len(said.answers) > 1 else ""
    return Verdict(
        counterfactual_id=item.id,
        problem_id=item.problem_id,
        student=score.outcome,
        teacher=None,
        student_text=answer.text,
        teacher_text=None,
        kept=False,
        reason=f"student right{of}" if freed else f"student {in_words(score.outcome)}",
    )
