"""Every arm on every benchmark: scores, what they differ by, how long the answers are."""

from collections.abc import Iterator, Mapping

from leaf.models.files import trained
from leaf.pipeline.answered import Benchmark
from leaf.pipeline.benchmarks import robustness_of
from leaf.pipeline.session import Session
from leaf.pipeline.ungradable import ungradable
from leaf.pipeline.voting import ask
from leaf.recipe import Recipe
from leaf.recipe.reading import arm_recipes
from leaf.records import Drop, Score
from leaf.statistics import compare_values, lengths
from leaf.store.results import Results
from leaf.store.work import About


def evaluate_arms(
    session: Session, benchmarks: Mapping[str, Benchmark], results: Results
) -> list[Drop]:
    """Let every arm answer every benchmark and fill in what `results` says of it.

    Returns:
        The answers that could not be graded.
    """
    recipe, section = session.recipe, session.recipe.evaluate
    arms = {"before": (recipe.student, session.sources["student"])}
    for arm, folder in results.students.items():
        arms[arm] = (recipe.student, trained(arm, folder))
    if section.teacher and not recipe.alone:
        arms["teacher"] = (recipe.teaching, session.sources["teacher"])
    results.estimates = {}
    scores: dict[str, dict[str, list[Score]]] = {arm: {} for arm in arms}
    drops = []
    for name, benchmark in benchmarks.items():
        for arm, (model, source) in arms.items():
            one = ask(session, benchmark, model, source, About(role=arm, asked=name))
            scores[arm][name] = one.graded[1]
            if found := lengths(one.graded[0]):
                results.lengths.setdefault(name, {})[arm] = found
            if agreed := one.consistency:
                results.consistency.setdefault(name, {})[arm] = agreed
            drops += ungradable("evaluate", arm, one.graded)
            results.question_values += one.question_values(arm)
            for label, values in one.measures.items():
                results.bases[label] = benchmark.bases
                results.values.setdefault(label, {})[arm] = values
            for label, estimate in one.estimates(section).items():
                results.estimates.setdefault(label, {})[arm] = estimate
    options = section.model_dump(include={"resamples", "seed"})
    for arm in arms:
        for name, cost in robustness_of(benchmarks, scores[arm], recipe.grade, **options).items():
            results.robustness.setdefault(name, {})[arm] = cost
    _compare(recipe, results, options)
    return drops


def _compare(recipe: Recipe, results: Results, options: Mapping[str, int]) -> None:
    """Hold arms against their baselines, question by question; `options` are the bootstrap's."""
    results.comparisons = {}
    pairs = list(_pairs(recipe))
    for label, values_of in results.values.items():
        for arm, against in pairs:
            compared = compare_values(
                values_of[arm], values_of[against], base_of=results.bases[label], **options
            )
            if (arm, against) == ("leaf", recipe.baseline):
                results.comparisons[label] = compared
            else:
                results.others.setdefault(label, {})[arm, against] = compared


def _pairs(recipe: Recipe) -> Iterator[tuple[str, str]]:
    """Yield which arms are held against which: LeaF and others against each baseline."""
    yield "leaf", recipe.baseline
    for name, own in arm_recipes(recipe).items():
        yield from ((name, against) for against in dict.fromkeys([own.baseline, recipe.baseline]))
