"""What a comparison shows, as a word and as a sentence: one rule for page and terminal."""

from collections.abc import Mapping, Sequence

from leaf.statistics import Comparison


def reading(comparison: Comparison) -> str:
    """Say what a comparison shows: `equal`, `open`, `higher` or `lower`.

    A direction needs both an interval that leaves out 0 (where there is one) and p < 0.05.
    """
    if comparison.wins == comparison.losses == 0:
        return "equal"
    low, high = comparison.low, comparison.high
    holds_zero = low is not None and high is not None and low <= 0 <= high
    if holds_zero or comparison.p_value >= 0.05:
        return "open"
    return "higher" if comparison.difference > 0 else "lower"


def in_words(readings: Mapping[str, str], baseline: str = "KD") -> str:
    """Say on which benchmarks LeaF was better than KD, on which worse, where nothing is shown.

    Args:
        readings: What `reading` said of each benchmark; at least one.
        baseline: Title of the arm that LeaF is held against.
    """
    better = [name for name, said in readings.items() if said == "higher"]
    worse = [name for name, said in readings.items() if said == "lower"]
    rest = [name for name in readings if name not in {*better, *worse}]
    if not better and not worse:
        return f"No difference between LeaF and {baseline} is shown on {listed(rest)}."
    found = []
    if better:
        found.append(f"better than {baseline} on {listed(better)}")
    if worse:
        found.append(f"worse {'' if better else f'than {baseline} '}on {listed(worse)}")
    nothing = f"; no difference is shown on {listed(rest)}" if rest else ""
    return f"LeaF was {', '.join(found)}{nothing}."


def listed(names: Sequence[str]) -> str:
    """Write names as people list them: `a`, `a and b`, `a, b and c`."""
    if len(names) < 2:
        return "".join(names)
    return f"{', '.join(names[:-1])} and {names[-1]}"
