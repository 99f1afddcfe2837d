"""All that is cut out of one question: what detection, studies and benchmarks share."""

from leaf.prune.cut import distinct, prune
from leaf.prune.rank import rank
from leaf.prune.select import normalise_scores
from leaf.recipe import AttributeSection, PruneSection
from leaf.records import Attribution, Counterfactual, Problem, Sensitivity


def cut_question(
    problem: Problem,
    attribution: Attribution,
    *,
    detector: str,
    section: PruneSection,
    attribute: AttributeSection,
    measured: Sensitivity | Attribution | None = None,
) -> list[Counterfactual]:
    """Cut candidate spans out of one question as a detector ranks them (Eq. 3 to 5).

    Args:
        problem: Whose question it is.
        attribution: Both models' sensitivities of its units.
        detector: One of `leaf.recipe.Detector`.
        section: Rule, threshold, units and strategy.
        attribute: The seed of `random`.
        measured: What a detector goes by other than the gradient (see `leaf.prune.rank`).

    Returns:
        Different questions, refused spans, or the only reason why there is none of either.
    """
    if detector == "oracle":
        # What the data name is one piece, whatever the tokenizer makes of its spaces.
        section = section.model_copy(update={"bridge_whitespace": True, "units": ["token"]})
    scores = normalise_scores(attribution)
    if isinstance(scores, str):
        return prune(problem, scores, section)
    found: list[Counterfactual] = []
    for unit in section.units:
        ranked, count = rank(
            detector,
            scores,
            problem,
            unit=unit,
            prune=section,
            attribute=attribute,
            measured=measured,
        )
        found += prune(problem, ranked, section, unit=unit, count=count)
    return distinct(found)
