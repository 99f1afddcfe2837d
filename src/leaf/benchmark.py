"""A benchmark: its problems, how often each is asked, and what is measured of the answers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from leaf.config import BenchmarkSection, EvaluateSection, GenerateSection
from leaf.errors import RecipeError, nearest
from leaf.evaluate import Robustness, measures, robustness
from leaf.keys import digest
from leaf.records import Problem, Score
from leaf.tasks import read_problems


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
            problem
            if sample == 0
            else replace(problem, id=f"{problem.id}/s{sample}", sample=sample)
            for problem in self.problems
            for sample in range(self.section.samples)
        ]

    @property
    def digests(self) -> dict[str, str]:
        """Problem id to what tells questions of different runs apart."""
        return {
            problem.id: digest([problem.content, problem.answer, *problem.golds])
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

    def measures(self, scores: Sequence[Score]) -> dict[str, dict[str, float]]:
        """Return label to problem id to value; a label is the benchmark's name and a measure's.

        Args:
            scores: Of `asked`, in that order.
        """
        found = measures(scores, samples=self.section.samples, pass_at=self.section.pass_at)
        return {f"{self.name} {measure}".rstrip(): values for measure, values in found.items()}


def load_benchmarks(section: EvaluateSection, generate: GenerateSection) -> dict[str, Benchmark]:
    """Read every benchmark's problems.

    Raises:
        RecipeError: `against` names no benchmark, or several samples are asked for greedily.
        DataError: as `leaf.tasks.read_problems`.
    """
    for name, own in section.benchmarks.items():
        place = f"evaluate.benchmarks.{name}"
        if own.against is not None and own.against not in section.benchmarks:
            others = [other for other in section.benchmarks if other != name]
            raise RecipeError(
                f"{place}.against: there is no benchmark `{own.against}`"
                f"{nearest(own.against, others) or ';'} there are: {', '.join(others) or 'none'}"
            )
        temperature = generate.temperature if own.temperature is None else own.temperature
        if own.samples > 1 and temperature == 0:
            raise RecipeError(
                f"{place}.samples: {own.samples} greedy answers would all be the same; set "
                f"{place}.temperature, such as 0.8"
            )
    found = {}
    for name, own in section.benchmarks.items():
        problems, refused = read_problems(own)
        found[name] = Benchmark(
            name=name, section=own, problems=problems, refused=[str(error) for error in refused]
        )
    for benchmark in found.values():
        _refuse_lone_variants(benchmark, found)
    return found


def robustness_of(
    benchmarks: Mapping[str, Benchmark],
    scores: Mapping[str, Sequence[Score]],
    *,
    resamples: int,
    seed: int,
) -> dict[str, Robustness]:
    """Measure what each benchmark of variants costs against the one it names.

    Args:
        benchmarks: Every benchmark by name.
        scores: Of its problems, by its name.
        resamples: Of the bootstrap.
        seed: Of the bootstrap.
    """
    return {
        name: robustness(
            scores[name],
            scores[one.section.against],
            one.bases,
            resamples=resamples,
            seed=seed,
        )
        for name, one in benchmarks.items()
        if one.section.against is not None
    }


def _refuse_lone_variants(benchmark: Benchmark, others: Mapping[str, Benchmark]) -> None:
    against = benchmark.section.against
    if against is None:
        return
    place = f"evaluate.benchmarks.{benchmark.name}.against"
    if max(benchmark.section.samples, others[against].section.samples) > 1:
        raise RecipeError(f"{place}: a drop is measured of one answer a problem, so samples is 1")
    known = {problem.id for problem in others[against].problems}
    for problem in benchmark.problems:
        if problem.base not in known:
            what = f"a variant of `{problem.base}`" if problem.base else "a variant of no problem"
            raise RecipeError(
                f"{place}: problem `{problem.id}` is {what}, which `{against}` does not hold; "
                "choose the problems of both alike"
            )
