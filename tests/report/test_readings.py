import pytest

from leaf.report.readings import in_words, reading
from leaf.statistics import Comparison


def compared(
    wins: int, losses: int, low: float | None, high: float | None, p_value: float
) -> Comparison:
    return Comparison(
        n=100,
        wins=wins,
        losses=losses,
        value=(wins - losses) / 100,
        low=low,
        high=high,
        p_value=p_value,
    )


@pytest.mark.parametrize(
    ("comparison", "expected"),
    [
        (compared(0, 0, None, None, 1.0), "equal"),
        (compared(6, 4, -0.04, 0.08, 0.75), "open"),
        (compared(6, 1, 0.0, 0.10, 0.125), "open"),
        (compared(5, 0, 0.01, 0.10, 0.0625), "open"),  # the interval alone is not enough
        (compared(15, 4, -0.01, 0.2, 0.02), "open"),  # nor is the test
        (compared(20, 4, 0.07, 0.25, 0.0015), "higher"),
        (compared(4, 20, -0.25, -0.07, 0.0015), "lower"),
        (compared(100, 0, None, None, 1e-30), "higher"),
        (compared(3, 0, None, None, 0.25), "open"),
    ],
)
def test_a_direction_needs_both_the_interval_and_the_test(
    comparison: Comparison, expected: str
) -> None:
    assert reading(comparison) == expected


@pytest.mark.parametrize(
    ("readings", "said"),
    [
        ({"a": "higher"}, "LeaF was better than KD on a."),
        ({"a": "lower"}, "LeaF was worse than KD on a."),
        ({"a": "open"}, "No difference between LeaF and KD is shown on a."),
        ({"a": "open", "b": "equal"}, "No difference between LeaF and KD is shown on a and b."),
        ({"a": "higher", "b": "lower"}, "LeaF was better than KD on a, worse on b."),
        (
            {"a": "lower", "b": "open"},
            "LeaF was worse than KD on a; no difference is shown on b.",
        ),
        (
            {"a": "equal", "b": "higher", "c": "higher", "d": "lower", "e": "higher"},
            "LeaF was better than KD on b, c and e, worse on d; no difference is shown on a.",
        ),
    ],
)
def test_every_benchmark_is_named_under_what_it_shows(readings: dict[str, str], said: str) -> None:
    assert in_words(readings) == said
