"""Each detector's ranking, and how many units it marks."""

import random
from collections import Counter
from collections.abc import Sequence
from itertools import accumulate, islice
from math import sqrt
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leaf.attribute import Evidence, detector_class
from leaf.attribute.ranking import widen
from leaf.models.files import find
from leaf.models.load import load_tokenizer
from leaf.models.prompt_format import PromptFormat
from leaf.pipeline.detectors import rank
from leaf.playground import SPLITS, puzzles
from leaf.prune import candidates, remove, spans
from leaf.recipe import ModelSection, PruneSection
from leaf.records import (
    Attribution,
    Distractor,
    NormalisedScores,
    Problem,
    RankedUnits,
    Sensitivity,
)

TAU = PruneSection(threshold=0.10)


def ranked_by(
    name: str,
    gradient: NormalisedScores,
    asked: Problem,
    *,
    unit: str = "token",
    prune: PruneSection = TAU,
    measured: Sensitivity | Attribution | None = None,
    **options: int,
) -> RankedUnits | str:
    """Rank as a run does: tokens are those of the gradient."""
    kind = detector_class(name)
    evidence = Evidence(
        problem=asked,
        tokens=tuple(zip(gradient.starts, gradient.ends, strict=True)),
        measured=measured,
        gradient=gradient,
    )
    return rank(kind(kind.Options(**options)), evidence, prune, unit)


def borders(tokens: Sequence[str]) -> tuple[tuple[int, ...], tuple[int, ...]]:
    ends = tuple(accumulate(map(len, tokens)))
    return (0, *ends[:-1]), ends


def scores(tokens: Sequence[str], gap: Sequence[float] | None = None) -> NormalisedScores:
    starts, ends = borders(tokens)
    even = (0.5,) * len(tokens)
    return NormalisedScores(
        problem_id="p",
        starts=starts,
        ends=ends,
        teacher=even,
        student=even,
        gap=even if gap is None else tuple(gap),
    )


def order(
    tokens: Sequence[str], rank_score: Sequence[float], count: int | None = None
) -> RankedUnits:
    starts, ends = borders(tokens)
    return RankedUnits(
        problem_id="p", starts=starts, ends=ends, rank_score=tuple(rank_score), count=count
    )


def problem(tokens: Sequence[str], *distractors: Distractor, name: str = "p") -> Problem:
    return Problem(
        id=name, question="".join(tokens), answer="", solution="", distractors=distractors
    )


def surprisal(
    tokens: Sequence[str], nats: Sequence[float], skipped: str | None = None
) -> Sensitivity:
    starts, ends = borders(tokens)
    return Sensitivity(
        problem_id="p", starts=starts, ends=ends, scores=tuple(nats), loss=0.0, skipped=skipped
    )


def both(tokens: Sequence[str], teacher: Sequence[float], student: Sequence[float]) -> Attribution:
    starts, ends = borders(tokens)
    return Attribution(
        problem_id="p",
        reference="y",
        starts=starts,
        ends=ends,
        teacher=tuple(teacher),
        student=tuple(student),
        teacher_loss=0.0,
        student_loss=0.0,
    )


def marked(ranking: RankedUnits | str, question: str, section: PruneSection = TAU) -> list[str]:
    """Return the texts of the units that a ranking makes candidates."""
    assert isinstance(ranking, RankedUnits)
    chosen = candidates(ranking, question, section)
    return [
        question[start:end]
        for start, end, is_chosen in zip(ranking.starts, ranking.ends, chosen, strict=True)
        if is_chosen
    ]


# As many as are asked for.


def test_a_count_takes_the_lowest_gaps_and_never_white_space() -> None:
    tokens = ["Ben", " ", "has", "\n", "pens"]
    scores = [0.3, 0.0, 0.2, 0.1, 0.4]
    found = [marked(order(tokens, scores, count), "".join(tokens)) for count in range(7)]
    assert found == [
        [],
        ["has"],
        ["Ben", "has"],
        ["Ben", "has", "pens"],
        *[["Ben", "has", "pens"]] * 3,
    ]


def test_equal_gaps_are_taken_in_text_order() -> None:
    # So many, and with others between, that a sort which is not stable mixes them.
    tokens = [chr(ord("a") + at % 26) for at in range(200)]
    low = tokens[1::2]
    assert marked(order(tokens, [0.5, 0.1] * 100, 30), "".join(tokens)) == low[:30]


@given(
    tokens=st.lists(st.sampled_from(["a", "b ", " ", "\n", "\t ", "c"]), min_size=1),
    count=st.integers(0, 20),
    seed=st.integers(0, 1000),
)
def test_any_count_marks_so_many_units_of_text_or_all_there_are(
    tokens: list[str], count: int, seed: int
) -> None:
    gap = [random.Random(seed + at).random() for at in range(len(tokens))]
    found = marked(order(tokens, gap, count), "".join(tokens))
    assert all(unit.strip() for unit in found)
    assert len(found) == min(count, sum(bool(token.strip()) for token in tokens))


# Gradient.


def test_the_gradient_leaves_the_count_to_the_rule() -> None:
    tokens = ["a", "b", "c"]
    # Teacher 0, 2, 1 and student 4, 0, 2 are min-maxed to gaps -1, 1, 0.
    found = ranked_by(
        "gradient",
        scores(tokens),
        problem(tokens),
        measured=both(tokens, [0.0, 2.0, 1.0], [4.0, 0.0, 2.0]),
    )
    assert found == order(tokens, [0.0, 1.0, 0.5])


def test_one_candidate_token_takes_its_whole_clause() -> None:
    tokens = ["At", " the", " market", ",", " Mia", " gives", "."]
    # With a student that looks everywhere alike but at the first token, the gap is the teacher's.
    teacher = [0.9, 0.9, 0.0, 0.7, 0.5, 0.6, 1.0]
    student = [0.2, *[0.1] * 6]
    ranking = ranked_by(
        "gradient",
        scores(tokens),
        problem(tokens),
        unit="clause",
        measured=both(tokens, teacher, student),
    )
    assert marked(ranking, "".join(tokens)) == ["At the market,"]


# Random.

WORDS = [f" w{number}" for number in range(40)]
"""Forty words; the gradient below takes the first five."""

FIVE = scores(WORDS, [0.01 * at for at in range(5)] + [0.5 + 0.01 * at for at in range(35)])


def at_random(name: str = "p", *, seed: int = 0, section: PruneSection = TAU) -> list[str]:
    found = ranked_by("random", FIVE, problem(WORDS, name=name), prune=section, seed=seed)
    return marked(found, "".join(WORDS), section)


@pytest.mark.parametrize("unit", ["token", "word", "clause", "sentence"])
@pytest.mark.parametrize("rule", ["value", "quantile"])
def test_random_takes_as_many_units_as_the_gradient(unit: str, rule: str) -> None:
    rng = random.Random(7)
    for number in range(30):
        tokens = [
            rng.choice(["Ben", " has", " ", "\n", " 3", " pens", ",", ".", " Why", "?"])
            for _ in range(rng.randint(5, 60))
        ]
        asked = problem(["Ben", *tokens], name=f"p{number}")
        ranked = scores(["Ben", *tokens], [rng.random() for _ in range(len(tokens) + 1)])
        section = PruneSection.model_validate({"rule": rule, "threshold": 0.2})
        by_chance = ranked_by("random", ranked, asked, unit=unit, prune=section)
        by_gradient = widen(order(["Ben", *tokens], ranked.gap), asked.question, unit)
        if isinstance(by_gradient, str):
            assert by_chance == by_gradient
            continue
        assert len(marked(by_gradient, asked.question, section)) == len(
            marked(by_chance, asked.question, section)
        )


def test_random_is_decided_by_seed_and_problem() -> None:
    assert at_random() == at_random()
    assert len(at_random()) == 5
    assert at_random() != at_random(seed=1)
    assert at_random() != at_random("q")


def test_random_takes_every_unit_as_often() -> None:
    # 5 of 40 in each of 2,000 problems: each unit 250 times, give or take 4 standard deviations.
    taken = Counter(unit for number in range(2000) for unit in at_random(f"p{number}"))
    assert set(taken) == set(WORDS)
    allowed = 4 * sqrt(2000 * 5 / 40 * 35 / 40)
    assert all(abs(count - 250) < allowed for count in taken.values())


def test_random_draws_wide_units_where_the_gradient_does() -> None:
    tokens = ["Ben", " naps", ".", " Mia", " reads", ".", " Leo", " eats", "."]
    ranked = scores(tokens, [1.0, 0.0, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3])
    for number in range(20):
        asked = problem(tokens, name=f"p{number}")
        found = ranked_by("random", ranked, asked, unit="sentence")
        (only,) = marked(found, asked.question)
        assert only in {"Ben naps.", " Mia reads.", " Leo eats."}


# Perplexity.


def by_surprise(
    tokens: Sequence[str], nats: Sequence[float], gap: Sequence[float], unit: str = "token"
) -> RankedUnits | str:
    return ranked_by(
        "perplexity",
        scores(tokens, gap),
        problem(tokens),
        unit=unit,
        measured=surprisal(tokens, nats),
    )


def test_perplexity_ranks_the_most_surprising_first_and_takes_as_many_as_the_gradient() -> None:
    tokens = ["a", "b", "c", "d"]
    # The gradient takes two (0 and 0.1); by surprise these are c with 9 nats and a with 5.
    found = by_surprise(tokens, [5.0, 1.0, 9.0, 3.0], [0.5, 0.0, 1.0, 0.1])
    assert marked(found, "abcd") == ["a", "c"]
    assert isinstance(found, RankedUnits)
    # (9 - nats) / 8: 5 -> 0.5, 1 -> 1, 9 -> 0, 3 -> 0.75.
    assert found.rank_score == pytest.approx((0.5, 1.0, 0.0, 0.75))
    assert found.count == 2


def test_a_wide_unit_is_as_surprising_as_its_tokens_on_average() -> None:
    tokens = ["Ben", " naps", ".", " Mia", " reads", "."]
    # The most of one token is in the second sentence, the higher mean in the first: 5 and 8 / 3.
    found = by_surprise(
        tokens,
        [5.0, 5.0, 5.0, 0.0, 8.0, 0.0],
        [0.0, 0.5, 0.5, 0.5, 0.5, 1.0],
        "sentence",
    )
    assert marked(found, "".join(tokens)) == ["Ben naps."]


@pytest.mark.parametrize(
    ("given_surprisal", "reason"),
    [
        (surprisal(["a", "b"], [2.0, 2.0]), "all surprisals are equal"),
        (surprisal([], [], "prompt too long"), "prompt too long"),
    ],
)
def test_perplexity_without_a_ranking_says_why(given_surprisal: Sensitivity, reason: str) -> None:
    found = ranked_by(
        "perplexity",
        scores(["a", "b"], [0.0, 1.0]),
        problem(["a", "b"]),
        measured=given_surprisal,
    )
    assert found == reason


# Oracle.


def by_oracle(
    tokens: Sequence[str], *planted: str, section: PruneSection = TAU
) -> tuple[list[str], int | None]:
    text = "".join(tokens)
    known = [
        Distractor(kind="cue", start=text.index(part), end=text.index(part) + len(part))
        for part in planted
    ]
    found = ranked_by("oracle", scores(tokens), problem(tokens, *known), prune=section)
    assert isinstance(found, RankedUnits)
    return marked(found, text, section), found.count


@pytest.mark.parametrize(
    ("tokens", "planted", "expected"),
    [
        (["Mia", " quickly", " gives"], [" quickly"], [" quickly"]),
        (["Mia", " quick", "ly", " gives"], [" quickly"], [" quick", "ly"]),
        # A token that is only half planted is marked: cutting less would leave a part.
        (["Mia quick", "ly", " gives"], [" quickly"], ["Mia quick", "ly"]),
        # The space after a leading cue begins the next token, which is not planted.
        (["At", " noon", ",", " Mia", " gives"], ["At noon, "], ["At", " noon", ","]),
        # White space is never a candidate, so nothing else is taken for it.
        (["At", " ", "noon", ",", " ", "Mia"], ["At noon, "], ["At", "noon", ","]),
        (["a", " b", " c", " d"], [" b", " d"], [" b", " d"]),
        (["a", " b", " c"], ["a b c"], ["a", " b", " c"]),
    ],
)
def test_the_oracle_marks_exactly_the_units_that_share_text_with_a_distractor(
    tokens: list[str], planted: list[str], expected: list[str]
) -> None:
    assert by_oracle(tokens, *planted) == (expected, len(expected))


def test_the_oracle_does_not_look_at_rule_or_threshold() -> None:
    tokens = ["Mia", " quickly", " gives", "."]
    section = PruneSection(rule="quantile", threshold=1.0)
    assert by_oracle(tokens, " quickly", section=section) == ([" quickly"], 1)


def test_the_oracle_has_nothing_to_say_where_the_data_name_no_distractor() -> None:
    found = ranked_by("oracle", scores(["a"]), problem(["a"]))
    assert found == "the data name no distractor"


@pytest.fixture(scope="module")
def chat(cue_pair: Path) -> PromptFormat:
    """A byte-level tokenizer's chat: it cuts most words of the world in several tokens."""
    return PromptFormat(
        load_tokenizer(find(ModelSection(model=str(cue_pair / "student")))), name="tiny"
    )


def test_what_the_oracle_cuts_from_the_world_leaves_the_clean_problems(chat: PromptFormat) -> None:
    clean = islice(puzzles(SPLITS["clean"], test=True, seed=0), 200)
    dressed = islice(puzzles(SPLITS["both"], test=True, seed=0), 200)
    for bare, puzzle in zip(clean, dressed, strict=True):
        asked = Problem(
            id="p",
            question=puzzle.question,
            answer="",
            solution="",
            distractors=puzzle.distractors,
        )
        tokens = [asked.question[unit.start : unit.end] for unit in chat.prompt(asked).units]
        assert "".join(tokens) == asked.question
        ranking = ranked_by("oracle", scores(tokens), asked)
        assert isinstance(ranking, RankedUnits)
        chosen = candidates(ranking, asked.question, TAU)
        cut = spans(chosen, ranking, asked.question, bridge_whitespace=True)
        # One span a distractor, or one for both where nothing but white space is between them.
        first, second = puzzle.distractors
        between = asked.question[first.end : second.start]
        assert len(cut) == (2 if between.strip() else 1)
        # Only white space differs: a span takes the space before it, a leading cue had one after.
        assert remove(asked.question, cut).split() == bare.question.split()
