"""A benchmark: its problems, how often each is asked, what is measured; a model scored on it."""

import dataclasses
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from leaf.errors import RecipeError, nearest
from leaf.evaluate import Robustness, measures, robustness
from leaf.generate import find_for
from leaf.grade import check_sandbox
from leaf.pipeline.manifest import build_manifest
from leaf.pipeline.session import Session, as_sample
from leaf.progress import say
from leaf.recipe import BenchmarkSection, EvaluateSection, GenerateSection, Recipe
from leaf.records import Outcome, Problem, Score
from leaf.report.plain import plain
from leaf.statistics import Estimate, Lengths, estimate, lengths
from leaf.store.disk import BUSY, locked
from leaf.store.keys import digest
from leaf.store.keys import plain as named
from leaf.store.results import Graded
from leaf.store.run_folder import ALONE, VALUES, QuestionValue, write_records
from leaf.store.store import Store, write_whole
from leaf.store.work import About
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

    def measures(self, scores: Sequence[Score]) -> dict[str, dict[str, float]]:
        """Return label to problem id to value; a label is the benchmark's name and a measure's.

        Args:
            scores: Of `asked`, in that order.
        """
        by_measure = measures(scores, samples=self.section.samples, pass_at=self.section.pass_at)
        return {f"{self.name} {name}".rstrip(): values for name, values in by_measure.items()}

    def measure_of(self, label: str) -> str:
        """Return the measure's name in a label of `measures`; "" where there is but one."""
        return label.removeprefix(self.name).lstrip()

    def question_values(self, scores: Sequence[Score], arm: str) -> list[QuestionValue]:
        """Return what one model scored on every question; `scores` as of `measures`."""
        digests, problems = self.digests, {problem.id: problem for problem in self.problems}
        return [
            QuestionValue(
                benchmark=label,
                arm=arm,
                problem_id=problem_id,
                question=digests[problem_id],
                base=problems[problem_id].base,
                value=value,
                measure=self.measure_of(label),
                text=asked(problems[problem_id]),
            )
            for label, values in self.measures(scores).items()
            for problem_id, value in values.items()
        ]

    def estimates(self, scores: Sequence[Score], section: EvaluateSection) -> dict[str, Estimate]:
        """Return label to the mean of its values with an interval; arguments as of `measures`."""
        return {
            label: estimate(
                values,
                ungradable=sum(score.outcome is Outcome.UNGRADABLE for score in scores),
                resamples=section.resamples,
                seed=section.seed,
            )
            for label, values in self.measures(scores).items()
        }


def asked(problem: Problem) -> str:
    """Return the question itself, without the passages before it."""
    return problem.question[problem.asked].strip()


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


_NOT_IN_A_NAME = re.compile(r"[^A-Za-z0-9._+-]+")


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Evaluation:
    """What came out for one model."""

    estimates: dict[str, Estimate]
    """Benchmark, and the measure's name where it has several, to what was measured."""
    robustness: dict[str, Robustness]
    """Benchmark of variants to what they cost against their base problems."""
    refused: dict[str, list[str]]
    """Benchmark to the records that are left out, one line each."""
    lengths: dict[str, Lengths]
    """As `estimates`, to how long the answers are; nothing where none was given."""


Also = Callable[["Benchmark", Graded], None]
"""Writes what one benchmark came to in another form; see `leaf.pipeline.written`."""


def evaluate_model(recipe: Recipe, out: Path, also: Sequence[Also] = ()) -> Evaluation:
    """Score the recipe's student on its benchmarks.

    Writes `out/scores.json`, every question's values, and every answer with its score in
    `out/answers/<benchmark>.jsonl`. Answers are kept in `out/store`, so a killed evaluation
    resumes.

    Args:
        recipe: Its student is scored.
        out: The folder.
        also: What else is written of each benchmark.

    Raises:
        StoreError: another evaluation is writing into `out`.
    """
    with locked(out, BUSY, tidy=True):
        return _evaluate(recipe, out, also)


def _evaluate(recipe: Recipe, out: Path, also: Sequence[Also]) -> Evaluation:
    section = recipe.evaluate
    benchmarks = load_benchmarks(section, recipe.generate)
    check_sandbox([problem for one in benchmarks.values() for problem in one.problems])
    for benchmark in benchmarks.values():
        if benchmark.refused:
            say(
                f"{benchmark.name}: {len(benchmark.refused)} records are left out, the first: "
                f"{benchmark.refused[0]}"
            )
    source = find_for(recipe.student, recipe.generate)
    session = Session(recipe, Store(out / "store"))
    estimates: dict[str, Estimate] = {}
    long: dict[str, Lengths] = {}
    graded: dict[str, Graded] = {}
    values: list[QuestionValue] = []
    for name, benchmark in benchmarks.items():
        graded[name] = session.answers(
            recipe.student,
            source,
            benchmark.asked,
            About(asked=name),
            generate=benchmark.generate(recipe.generate),
        )
        found = benchmark.estimates(graded[name][1], section)
        estimates |= found
        if length := lengths(graded[name][0]):
            long |= dict.fromkeys(found, length)
        _write_answers(out / "answers" / f"{file_name(name)}.jsonl", benchmark, graded[name])
        values += benchmark.question_values(graded[name][1], ALONE)
        for write in also:
            write(benchmark, graded[name])
    write_records(out / VALUES, values, QuestionValue)
    for line in session.missing:
        say(f"note: {line}")
    scores = {name: found[1] for name, found in graded.items()}
    evaluation = Evaluation(
        estimates=estimates,
        robustness=robustness_of(
            benchmarks, scores, resamples=section.resamples, seed=section.seed
        ),
        refused={name: one.refused for name, one in benchmarks.items() if one.refused},
        lengths=long,
    )
    content = {
        "scores": plain(estimates),
        "lengths": plain(long),
        "robustness": plain(evaluation.robustness),
        "refused": evaluation.refused,
        "missing": {log.title: log.missing for log in session.logs if log.missing},
        "answers": {log.title: log.key for log in session.logs},
        "manifest": build_manifest(recipe, {"student": source}),
    }
    write_whole(out / "scores.json", json.dumps(content, indent=1).encode())
    return evaluation


def _write_answers(path: Path, benchmark: Benchmark, graded: Graded) -> None:
    """Write one line an answer: what was said, what was found in it, and the verdict."""
    lines = [
        json.dumps(
            {
                "id": problem.id,
                "gold": problem.answer,
                "text": answer.text,
                "truncated": answer.truncated,
                "outcome": score.outcome,
                "extracted": score.extracted,
                "reason": score.reason,
                **{measure.name: measure.value for measure in score.measures},
            },
            ensure_ascii=False,
        )
        for problem, answer, score in zip(benchmark.asked, *graded, strict=True)
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, ("\n".join(lines) + "\n").encode("utf-8", errors="replace"))


def file_name(benchmark: str) -> str:
    """Return a benchmark's name as that of a file."""
    return _NOT_IN_A_NAME.sub("_", benchmark).strip("_")
