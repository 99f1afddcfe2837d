"""A benchmark, and one model's answers to it: how often each is asked, what is measured."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from leaf.evaluate import Ballot, Consistency, consistency, majority_at, measures
from leaf.pipeline.session import as_sample
from leaf.recipe import BenchmarkSection, EvaluateSection, GenerateSection
from leaf.records import Answer, Outcome, Problem, Score
from leaf.statistics import Estimate, Values, estimate
from leaf.store.keys import digest
from leaf.store.keys import plain as named
from leaf.store.results import Graded
from leaf.store.run_folder import QuestionValue


@dataclass(frozen=True, kw_only=True, slots=True)
class Benchmark:
    """Problems, and how they are asked and measured."""

    name: str
    section: BenchmarkSection
    problems: list[Problem]
    refused: list[str]
    """Records that are left out: the place and why, one line each."""

    @property
    def asked(self) -> list[Problem]:
        """Every problem, `samples` times one after another; the first keeps its id."""
        return [
            problem if sample == 0 else as_sample(problem, sample)
            for problem in self.problems
            for sample in range(self.section.samples)
        ]

    @property
    def digests(self) -> dict[str, str]:
        """Problem id to what tells questions of different runs apart."""
        return {
            problem.id: digest(
                [problem.content, problem.answer, *problem.golds, *named(problem.turns)]
            )
            for problem in self.problems
        }

    @property
    def bases(self) -> dict[str, str]:
        """Problem id to the base problem that it is a variant of, "" where it is none."""
        return {problem.id: problem.base for problem in self.problems}

    def generate(self, section: GenerateSection) -> GenerateSection:
        """Return how its answers are generated: the recipe's way, but for what it says itself."""
        own = {
            "temperature": self.section.temperature,
            "max_new_tokens": self.section.max_new_tokens,
        }
        changed = {name: value for name, value in own.items() if value is not None}
        limit = changed.get("max_new_tokens", 0)
        # A longer answer needs as much more room; the budget decides no result.
        changed["token_budget"] = max(section.token_budget, 2 * int(limit))
        return section.model_copy(update=changed)

    def measure_of(self, label: str) -> str:
        """Return the measure's name in a label of `measures`; "" where there is but one."""
        return label.removeprefix(self.name).lstrip()


@dataclass(frozen=True, kw_only=True)
class Answered:
    """What one model answered to a benchmark, graded and counted."""

    benchmark: Benchmark
    asked: Sequence[Problem]
    """The problems in their order, each as often as it was asked."""
    graded: Graded
    """Of `asked`, in that order."""
    votes: Mapping[str, int] | None = None
    """Id of what was asked to a number that equal answers to one problem share; those in which
    nothing could be read have none. None: answers do not vote."""
    weights: Mapping[str, float] | None = None
    """Id of what was asked to what its vote weighs; None: all the same."""

    @cached_property
    def by_problem(self) -> list[tuple[Problem, list[tuple[Answer, Score]]]]:
        """Each problem with its answers, as often as it was asked."""
        found: list[tuple[Problem, list[tuple[Answer, Score]]]] = []
        problems = iter(self.benchmark.problems)
        for asked, answer, score in zip(self.asked, *self.graded, strict=True):
            if asked.sample == 0:
                found.append((next(problems), []))
            found[-1][1].append((answer, score))
        return found

    @cached_property
    def measures(self) -> dict[str, Values]:
        """Label to problem id to value; a label is the benchmark's name and a measure's."""
        section = self.benchmark.section
        found: dict[str, Values] = {}
        if section.majority is None or section.pass_at:
            found |= measures(self.graded[1], samples=section.samples, pass_at=section.pass_at)
        if section.majority is not None:
            at = sorted({*section.majority.at} or {1, section.samples})
            found |= {f"maj@{k}": majority_at(self.ballots, k) for k in at}
        return {f"{self.benchmark.name} {name}".rstrip(): values for name, values in found.items()}

    @cached_property
    def ballots(self) -> list[Ballot]:
        """How the answers to each problem vote."""
        votes, weights = self.votes or {}, self.weights
        return [
            Ballot(
                problem_id=problem.id,
                votes=tuple(votes.get(score.problem_id) for _, score in pairs),
                right=tuple(score.right for _, score in pairs),
                weights=tuple(weights[score.problem_id] for _, score in pairs) if weights else None,
            )
            for problem, pairs in self.by_problem
        ]

    @property
    def consistency(self) -> Consistency | None:
        """How much its answers agree, and what stopping early saved; None where none vote."""
        if self.votes is None or not self.asked:
            return None
        return consistency(self.ballots, self.benchmark.section.samples)

    def question_values(self, arm: str) -> list[QuestionValue]:
        """Return what the model scored on every question."""
        benchmark = self.benchmark
        digests, problems = benchmark.digests, {one.id: one for one in benchmark.problems}
        return [
            QuestionValue(
                benchmark=label,
                arm=arm,
                problem_id=problem_id,
                question=digests[problem_id],
                base=problems[problem_id].base,
                value=value,
                measure=benchmark.measure_of(label),
                text=asked(problems[problem_id]),
            )
            for label, values in self.measures.items()
            for problem_id, value in values.items()
        ]

    def estimates(self, section: EvaluateSection) -> dict[str, Estimate]:
        """Return label to the mean of its values with an interval."""
        return {
            label: estimate(
                values,
                ungradable=sum(score.outcome is Outcome.UNGRADABLE for score in self.graded[1]),
                resamples=section.resamples,
                seed=section.seed,
            )
            for label, values in self.measures.items()
        }


def asked(problem: Problem) -> str:
    """Return the question itself, without the passages before it."""
    return problem.question[problem.asked].strip()


def final(score: Score) -> str:
    """Return the final answer of a graded one; "" where none could be read."""
    return "" if score.outcome is Outcome.UNGRADABLE else (score.extracted or "").strip()
