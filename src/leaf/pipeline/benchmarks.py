"""Benchmarks are read, and one model is scored on them, outside a run."""

import dataclasses
import json
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from leaf.errors import DataError, LeafError, RecipeError, nearest
from leaf.evaluate import Consistency, Robustness, robustness
from leaf.generate import find_for
from leaf.pipeline.answered import Answered, Benchmark, final
from leaf.pipeline.grading import judges_of, open_graders
from leaf.pipeline.manifest import build_manifest
from leaf.pipeline.requirements import check_graders
from leaf.pipeline.session import Session
from leaf.pipeline.voting import ask
from leaf.progress import say
from leaf.recipe import EvaluateSection, GenerateSection, GradeSection, Recipe
from leaf.records import Score
from leaf.report.plain import plain
from leaf.statistics import Estimate, Lengths, lengths
from leaf.store.disk import BUSY, locked
from leaf.store.run_folder import ALONE, VALUES, QuestionValue, write_records
from leaf.store.store import Store, write_whole
from leaf.store.work import About
from leaf.tasks import read_problems


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
        try:
            problems, refused = read_problems(own)
        except (DataError, RecipeError) as error:
            raise type(error)(with_name(name, error)) from None
        if own.majority and any(problem.tests for problem in problems):
            raise RecipeError(
                f"evaluate.benchmarks.{name}.majority: no two programs can be compared; use pass_at"
            )
        found[name] = Benchmark(
            name=name,
            section=own,
            problems=problems,
            refused=[with_name(name, one) for one in refused],
        )
    for benchmark in found.values():
        _refuse_lone_variants(benchmark, found)
    return found


def with_name(benchmark: str, error: LeafError) -> str:
    """Return what an error says of a benchmark's data, with its name in the keys."""
    place = "evaluate.benchmarks."
    return str(error).replace(f"{place}NAME", f"{place}{benchmark}")


def robustness_of(
    benchmarks: Mapping[str, Benchmark],
    scores: Mapping[str, Sequence[Score]],
    grade: GradeSection,
    *,
    resamples: int,
    seed: int,
) -> dict[str, Robustness]:
    """Measure what each benchmark of variants costs against the one it names.

    Args:
        benchmarks: Every benchmark by name.
        scores: Of its problems, by its name.
        grade: How answers are compared.
        resamples: Of the bootstrap.
        seed: Of the bootstrap.
    """
    found = {}
    for name, one in benchmarks.items():
        if one.section.against is not None:
            variants, bases = scores[name], scores[one.section.against]
            same = _same(one, variants, bases, grade)
            found[name] = robustness(
                variants, bases, one.bases, same=same, resamples=resamples, seed=seed
            )
    return found


def _same(
    benchmark: Benchmark, variants: Sequence[Score], bases: Sequence[Score], grade: GradeSection
) -> dict[str, bool] | None:
    """Say by id which variants got the answer of their base problem.

    None where that cannot be said (programs), or only by asking a judge anew.
    """
    problems = benchmark.problems
    if any(problem.tests for problem in problems) or judges_of(problems):
        return None
    of_base = {score.problem_id: final(score) for score in bases}
    of_variant = {score.problem_id: final(score) for score in variants}
    pairs = [
        (problem, of_variant[problem.id], of_base[problem.base]) for problem in benchmark.problems
    ]
    # Two answers in which nothing could be read are not one.
    read = [pair for pair in pairs if pair[1] and pair[2]]
    with open_graders(grade) as graders:
        found = graders.alike(read)
    same = dict.fromkeys((problem.id for problem, _, _ in pairs), False)
    return same | {pair[0].id: is_same for pair, is_same in zip(read, found, strict=True)}


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
    consistency: dict[str, Consistency]
    """Benchmark whose answers vote to how much they agree, and what was saved."""


Also = Callable[[Answered], None]
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
    check_graders([problem for one in benchmarks.values() for problem in one.problems])
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
    answered: dict[str, Answered] = {}
    values: list[QuestionValue] = []
    for name, benchmark in benchmarks.items():
        one = ask(session, benchmark, recipe.student, source, About(asked=name))
        answered[name] = one
        found = one.estimates(section)
        estimates |= found
        if length := lengths(one.graded[0]):
            long |= dict.fromkeys(found, length)
        _write_answers(out / "answers" / f"{file_name(name)}.jsonl", one)
        values += one.question_values(ALONE)
        for write in also:
            write(one)
    write_records(out / VALUES, values, QuestionValue)
    for line in session.notes:
        # Who asks for one evaluation has written no recipe: the option is what they know.
        say(f"note: {line.replace('generate.max_new_tokens', '--max-new-tokens')}")
    scores = {name: one.graded[1] for name, one in answered.items()}
    evaluation = Evaluation(
        estimates=estimates,
        robustness=robustness_of(
            benchmarks,
            scores,
            recipe.grade,
            resamples=section.resamples,
            seed=section.seed,
        ),
        refused={name: one.refused for name, one in benchmarks.items() if one.refused},
        lengths=long,
        consistency={name: agreed for name, one in answered.items() if (agreed := one.consistency)},
    )
    content = {
        "scores": plain(estimates),
        "lengths": plain(long),
        "robustness": plain(evaluation.robustness),
        "consistency": plain(evaluation.consistency),
        "refused": evaluation.refused,
        "missing": {log.title: log.missing for log in session.logs if log.missing},
        "answers": {log.title: log.key for log in session.logs},
        "manifest": build_manifest(recipe, {"student": source}),
    }
    write_whole(out / "scores.json", json.dumps(content, indent=1).encode())
    return evaluation


def _write_answers(path: Path, answered: Answered) -> None:
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
                **({} if answered.votes is None else {"vote": answered.votes.get(problem.id)}),
                **({} if answered.weights is None else {"weight": answered.weights[problem.id]}),
            },
            ensure_ascii=False,
        )
        for problem, answer, score in zip(answered.asked, *answered.graded, strict=True)
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, ("\n".join(lines) + "\n").encode("utf-8", errors="replace"))


def file_name(benchmark: str) -> str:
    """Return a benchmark's name as that of a file."""
    return _NOT_IN_A_NAME.sub("_", benchmark).strip("_")
