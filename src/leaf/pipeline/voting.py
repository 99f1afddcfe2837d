"""Asks a benchmark's questions, each as often as needed, and lets the answers to each vote.

    ask every question as often as could settle its majority -> who says the same? -> ask again
    those that are not settled, as often as could settle them -> ...

Each round is an ordinary result of answers in the store, so that a killed evaluation resumes.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from leaf.evaluate import due
from leaf.grade import Graders
from leaf.models.files import Source
from leaf.pipeline.answered import Answered, Benchmark, final
from leaf.pipeline.grading import JUDGED, open_graders
from leaf.pipeline.likelihood import LikelihoodWorker
from leaf.pipeline.session import Session, as_sample
from leaf.recipe import MajoritySection, ModelSection
from leaf.records import Answer, Problem, Score
from leaf.store.work import About


@dataclass(slots=True)
class _Poll:
    """One problem's answers so far."""

    problem: Problem
    given: list[tuple[Problem, Answer, Score]] = field(default_factory=list)
    votes: list[int | None] = field(default_factory=list)
    said: dict[str, int] = field(default_factory=dict)
    """Each text of a final answer, to its vote."""

    def next(self, section: MajoritySection, samples: int) -> list[Problem]:
        """Return what is asked next; nothing where the majority is settled."""
        begin = len(self.votes)
        numbers = range(begin, begin + due(self.votes, section, samples))
        return [self.problem if at == 0 else as_sample(self.problem, at) for at in numbers]

    @property
    def unheard(self) -> list[str]:
        """The texts of final answers that are not compared with others yet, each once."""
        texts = (final(score) for _, _, score in self.given[len(self.votes) :])
        return list(dict.fromkeys(text for text in texts if text and text not in self.said))


def ask(
    session: Session, benchmark: Benchmark, model: ModelSection, source: Source, about: About
) -> Answered:
    """Let one model answer a benchmark, graded."""
    section = benchmark.section.majority
    generate = benchmark.generate(session.recipe.generate)
    if section is None:
        asked = benchmark.asked
        graded = session.answers(model, source, asked, about, generate=generate)
        return Answered(benchmark=benchmark, asked=asked, graded=graded)
    polls = [_Poll(problem) for problem in benchmark.problems]
    rounds = 1
    with open_graders(session.recipe.grade, session.store.root / JUDGED) as graders:
        while polls:
            asked_of = [(poll, poll.next(section, benchmark.section.samples)) for poll in polls]
            asked = [problem for _, problems in asked_of for problem in problems]
            if not asked:
                break
            what = about if rounds == 1 else replace(about, asked=f"{about.asked}, round {rounds}")
            answers = zip(
                *session.answers(model, source, asked, what, generate=generate), strict=True
            )
            for poll, problems in asked_of:
                poll.given += [(problem, *next(answers)) for problem in problems]
            _count(graders, polls)
            rounds += 1
    given = [one for poll in polls for one in poll.given]
    answered = Answered(
        benchmark=benchmark,
        asked=[asked for asked, _, _ in given],
        graded=([answer for _, answer, _ in given], [score for _, _, score in given]),
        votes={
            asked.id: vote
            for poll in polls
            for (asked, _, _), vote in zip(poll.given, poll.votes, strict=True)
            if vote is not None
        },
    )
    if section.weights == "none":
        return answered
    return replace(answered, weights=_weights(session, answered, model, source, about))


def _count(graders: Graders, polls: Sequence[_Poll]) -> None:
    """Give each new answer its vote: that of an earlier one that says the same, or a new one."""
    pairs = []
    for poll in polls:
        fresh = poll.unheard
        pairs += [
            (poll.problem, text, earlier)
            for at, text in enumerate(fresh)
            for earlier in (*_firsts(poll.said), *fresh[:at])
        ]
    found = graders.alike(pairs)
    same = {
        (problem.id, text, earlier): is_same
        for (problem, text, earlier), is_same in zip(pairs, found, strict=True)
    }
    for poll in polls:
        for text in poll.unheard:
            firsts = _firsts(poll.said)
            met = (one for one in firsts if same[poll.problem.id, text, one])
            poll.said[text] = next((poll.said[one] for one in met), len(firsts))
        for _, _, score in poll.given[len(poll.votes) :]:
            text = final(score)
            poll.votes.append(poll.said[text] if text else None)


def _firsts(said: dict[str, int]) -> list[str]:
    """Return the text that was first with each vote."""
    return list({vote: text for text, vote in reversed(said.items())}.values())


def _weights(
    session: Session, answered: Answered, model: ModelSection, source: Source, about: About
) -> dict[str, float]:
    """Return the probability per token of each answer that votes; others weigh nothing."""
    work = LikelihoodWorker(
        about=about,
        section=model,
        source=source,
        token_budget=session.recipe.attribute.token_budget,
    )
    votes = answered.votes or {}
    pairs = [
        (asked, answer.text)
        for asked, answer in zip(answered.asked, answered.graded[0], strict=True)
        if asked.id in votes
    ]
    found = session.compute(work, pairs)
    weights = {one.problem_id: one.per_token for one in found}
    return {asked.id: weights.get(asked.id, 0.0) for asked in answered.asked}
