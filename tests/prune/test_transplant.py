"""Transplants: verified cuts in place of others, and where nothing was."""

import random
import re
from collections.abc import Mapping, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leaf.prune import remove, transplants
from leaf.recipe import PruneSection
from leaf.records import Counterfactual, Problem, Span

FOUR = PruneSection(strategy=["transplant"], transplants=4)

MARKET = "Ben has 9 pens. At the market, Mia gives 4 pens to Ben."
QUICKLY = "Ada has 5 cups. Leo quickly gives 2 cups to Ada."


def problem(name: str, question: str) -> Problem:
    return Problem(id=name, question=question, answer="1", solution="1")


def removal(host: Problem, *texts: str, number: int = 0) -> Counterfactual:
    """Return the verified counterfactual without the given texts."""
    found = []
    for text in texts:
        start = host.question.index(text)
        found.append(Span(start=start, end=start + len(text), text=text, gap=0.0, units=1))
    return Counterfactual(
        id=f"{host.id}/cf{number}",
        problem_id=host.id,
        strategy="span",
        spans=tuple(found),
        question=remove(host.question, found),
    )


def make(
    hosts: Sequence[Problem],
    verified: Sequence[Counterfactual],
    solved: Sequence[Problem] = (),
    section: PruneSection = FOUR,
) -> list[Counterfactual]:
    return transplants({host.id: host for host in (*hosts, *solved)}, verified, solved, section)


def questions(found: Sequence[Counterfactual]) -> set[str]:
    return {item.question for item in found}


A, B = problem("a", MARKET), problem("b", QUICKLY)
CUTS = [removal(A, " At the market,"), removal(B, " quickly")]


# Replacements.


def test_each_verified_span_is_replaced_by_the_other_problems() -> None:
    found = make([A, B], CUTS)
    assert [(item.id, item.problem_id, item.inserted, item.donor) for item in found] == [
        ("a/tp0", "a", "quickly", "b/cf0"),
        ("b/tp0", "b", "At the market,", "a/cf0"),
    ]
    assert [item.question for item in found] == [
        "Ben has 9 pens. quickly Mia gives 4 pens to Ben.",
        "Ada has 5 cups. Leo At the market, gives 2 cups to Ada.",
    ]
    assert [item.spans for item in found] == [item.spans for item in CUTS]
    assert {(item.strategy, item.skipped) for item in found} == {("transplant", None)}


@pytest.mark.parametrize(
    ("removed", "expected"),
    [
        ("quickly", "Leo slowly gives."),
        (" quickly", "Leo slowly gives."),
        ("quickly ", "Leo slowly gives."),
        (" quickly ", "Leo slowly gives."),
    ],
)
@pytest.mark.parametrize("donated", ["slowly", " slowly", "slowly ", " slowly "])
def test_the_white_space_around_a_span_stays_whatever_the_tokens_took_along(
    removed: str, expected: str, donated: str
) -> None:
    host, other = problem("a", "Leo quickly gives."), problem("b", "Kim slowly gives.")
    found = make([host, other], [removal(host, removed), removal(other, donated)])
    assert found[0].question == expected
    assert found[0].inserted == "slowly"


def test_a_span_of_the_same_problem_or_the_same_text_replaces_nothing() -> None:
    host = problem("a", "Now Leo quickly gives.")
    twin = problem("b", "Now Kim slowly gives.")
    verified = [
        removal(host, "Now "),
        removal(host, " quickly", number=1),
        removal(twin, "Now "),
    ]
    # `Now` of one has no other text of another problem but `quickly`; `quickly` has `Now` of twin.
    found = make([host, twin], verified)
    assert [(item.problem_id, item.spans[0].text, item.donor) for item in found] == [
        ("a", " quickly", "b/cf0"),
        ("b", "Now ", "a/cf1"),
    ]


def test_spans_of_the_same_text_take_no_place_among_those_that_replace() -> None:
    hosts = [problem(f"p{number}", f"Leo quickly gives {number}.") for number in range(9)]
    other = problem("q", "Kim slowly gives 9.")
    verified = [*(removal(host, " quickly") for host in hosts), removal(other, " slowly")]
    section = PruneSection(strategy=["transplant"], transplants=1)
    found = make([*hosts, other], verified, section=section)
    # The one other text there is, for each of the nine; and one of theirs for it.
    assert [item.inserted for item in found] == ["slowly"] * 9 + ["quickly"]


def test_only_removals_of_one_span_are_donors_and_are_replaced() -> None:
    together = removal(A, " At the market,", " to Ben")
    assert make([A, B], [together, CUTS[1]]) == []


@pytest.mark.parametrize("times", [1, 2, 3])
def test_so_many_replacements_are_made_as_the_recipe_says(times: int) -> None:
    hosts = [problem(f"p{number}", f"Leo w{number} gives {number}.") for number in range(10)]
    verified = [removal(host, f" w{number}") for number, host in enumerate(hosts)]
    section = PruneSection(strategy=["transplant"], transplants=times)
    found = make(hosts, verified, section=section)
    assert [item.problem_id for item in found] == [host.id for host in hosts for _ in range(times)]
    for host in hosts:
        own = [item for item in found if item.problem_id == host.id]
        assert len({item.donor for item in own}) == times
        assert [item.id for item in own] == [f"{host.id}/tp{at}" for at in range(times)]


# Insertions.


def test_a_span_goes_between_the_words_that_it_stood_between() -> None:
    solved = problem("s", "Kim has 3 hats. Mia gives 1 hats to Kim.")
    found = make([A, B], CUTS, [solved])
    inserted = [item for item in found if item.problem_id == "s"]
    # `At the market,` stood before Mia, `quickly` before gives: each has one such place here.
    assert [(item.question, item.inserted, item.donor) for item in inserted] == [
        ("Kim has 3 hats. At the market, Mia gives 1 hats to Kim.", "At the market,", "a/cf0"),
        ("Kim has 3 hats. Mia quickly gives 1 hats to Kim.", "quickly", "b/cf0"),
    ]
    assert [(item.id, item.spans[0].start, item.spans[0].text) for item in inserted] == [
        ("s/tp0", 15, ""),
        ("s/tp1", 19, ""),
    ]


@pytest.mark.parametrize(
    ("host", "span", "solved", "expected"),
    [
        # At the start of a question, and at its end.
        ("Yesterday Leo ran.", "Yesterday ", "Leo ran.", "Yesterday Leo ran."),
        ("Yesterday Leo ran.", "Yesterday ", "Kim naps.", "Yesterday Kim naps."),
        ("Leo naps. Ada is 5.", " Ada is 5.", "Kim naps.", "Kim naps. Ada is 5."),
        # Both neighbours are better than one, wherever they are.
        ("Leo now gives", " now", "gives Leo ran Leo gives", "gives Leo ran Leo now gives"),
        # The word before alone, and the word after alone.
        ("Leo now gives", " now", "Ada saw Leo run", "Ada saw Leo now run"),
        ("Leo now gives", " now", "Ada saw Kim gives", "Ada saw Kim now gives"),
        # A neighbour counts less than a place after a word, as there, in the same sentence.
        ("Leo now gives", " now", "Ada saw. Kim. gives", "Ada now saw. Kim. gives"),
        # The last word before and the first after, of several.
        ("Ada saw Leo now run", " now", "Leo did. Ada slept", "Leo now did. Ada slept"),
        ("Leo now gives 3 pens", " now", "Ada saw pens gives", "Ada saw pens now gives"),
        # After a mark as there, and after which one.
        ("A. B, now two. C", " now", "D, e. F g, h. I", "D, e. F g, now h. I"),
        # Neither: after a sentence's end as there, or within a sentence as there.
        ("One. Now two", " Now", "Ada saw. Kim ran", "Ada saw. Now Kim ran"),
        # White space of the host stays as it is.
        ("Leo now gives", " now", "Ada  saw\nLeo  gives", "Ada  saw\nLeo now  gives"),
    ],
)
def test_where_a_span_goes(host: str, span: str, solved: str, expected: str) -> None:
    donor, taker = problem("a", host), problem("s", solved)
    found = transplants({"s": taker, "a": donor}, [removal(donor, span)], [taker], FOUR)
    # Where the host itself would come out again, nothing is made.
    assert [item.question for item in found] == ([] if expected == host else [expected])


def test_a_span_goes_into_the_sentence_that_it_stood_in_where_no_neighbour_is_alike() -> None:
    first, second = problem("a", "Leo now gives."), problem("b", "Leo naps. Ada now runs.")
    taker = problem("s", "Kim saw. Mia ran.")
    for seed in range(20):
        section = PruneSection(strategy=["transplant"], transplants=1, seed=seed)
        for donor, expected in (
            (first, "Kim now saw. Mia ran."),
            (second, "Kim saw. Mia now ran."),
        ):
            cuts = [removal(donor, " now")]
            (item,) = transplants({"s": taker, donor.id: donor}, cuts, [taker], section)
            assert item.question == expected


def test_so_many_insertions_are_made_in_different_problems() -> None:
    solved = [problem(f"s{number}", f"Kim{number} naps.") for number in range(10)]
    section = PruneSection(strategy=["transplant"], transplants=3)
    found = make([A], CUTS[:1], solved, section)
    assert len({item.problem_id for item in found}) == len(found) == 3


def test_nothing_goes_into_a_problem_that_has_a_verified_text_already() -> None:
    solved = [
        problem("s", "Kim quickly naps."),
        problem("t", "Leo naps."),
        problem("u", "At the market, Leo naps."),
    ]
    found = make([A, B], CUTS, solved)
    # Neither its own text nor another's: two that pull at once say nothing about one.
    assert {item.problem_id for item in found if not item.spans[0].text} == {"t"}
    assert {item.inserted for item in found if item.problem_id == "t"} == {
        "quickly",
        "At the market,",
    }


def test_of_overlapping_spans_of_a_problem_only_the_widest_is_a_donor() -> None:
    cuts = [
        removal(A, " the market"),
        removal(A, " At the market,", number=1),
        removal(A, " market, Mia", number=2),
        removal(A, " 9", number=3),
    ]
    found = make([A], cuts, [problem("s", "Kim naps.")])
    assert {(item.donor, item.inserted) for item in found} == {
        ("a/cf1", "At the market,"),
        ("a/cf3", "9"),
    }


def test_without_solved_problems_or_other_spans_nothing_is_made() -> None:
    assert make([A], CUTS[:1]) == []
    assert make([A], [], [problem("s", "Kim naps.")]) == []


# No question twice.


def test_no_question_is_made_that_is_there_already() -> None:
    there = problem("c", "Ben has 9 pens. quickly Mia gives 4 pens to Ben.")
    assert [item.problem_id for item in make([A, B, there], CUTS)] == ["b"]


def test_no_question_is_made_twice() -> None:
    # Two donors of one text into one solved problem; and into a host, from two problems.
    twin = problem("c", "Kim has 5 cups. Leo quickly gives 2 cups to Kim.")
    solved = problem("s", "Eve has 3 hats. Leo gives 1 hats to Eve.")
    verified = [*CUTS, removal(twin, " quickly")]
    found = make([A, B, twin], verified, [solved])
    assert len(questions(found)) == len(found)
    assert sum(item.inserted == "quickly" for item in found if item.problem_id == "s") == 1
    assert sum(item.problem_id == "a" for item in found) == 1


# The seed.


def some(seed: int) -> list[Counterfactual]:
    hosts = [problem(f"p{number}", f"Leo w{number} gives {number}.") for number in range(30)]
    verified = [removal(host, f" w{number}") for number, host in enumerate(hosts)]
    solved = [problem(f"s{number}", f"Kim{number} naps a lot today.") for number in range(30)]
    section = PruneSection(strategy=["transplant"], transplants=2, seed=seed)
    return make(hosts, verified, solved, section)


def test_the_seed_decides_what_goes_where() -> None:
    assert some(1) == some(1)
    assert questions(some(1)) != questions(some(2))


# Any text.

WORDS = st.lists(st.sampled_from(["Leo", "gives", "3", "pens.", "now,", "é", "Why?"]), min_size=3)
GAPS = [" ", "  ", "\n", " \n"]


def spaced(words: Sequence[str], rng: random.Random) -> str:
    return "".join(word + rng.choice(GAPS) for word in words).rstrip()


def any_span(host: Problem, rng: random.Random) -> Counterfactual:
    """Cut some neighbouring words out, with or without the white space at either end."""
    words = list(re.finditer(r"\S+", host.question))
    first = rng.randrange(len(words) - 1)
    last = rng.randrange(first, len(words) - 1)
    start, end = words[first].start(), words[last].end()
    if first and rng.random() < 0.5:
        start = words[first - 1].end()
    if rng.random() < 0.5:
        end = words[last + 1].start()
    text = host.question[start:end]
    span = Span(start=start, end=end, text=text, gap=0.0, units=1)
    return Counterfactual(
        id=f"{host.id}/cf0",
        problem_id=host.id,
        strategy="span",
        spans=(span,),
        question=remove(host.question, [span]),
    )


def without_inserted(item: Counterfactual, host: str) -> str:
    """Return a transplant's question without what was put in, found from its record alone."""
    (span,) = item.spans
    tail = len(host) - span.end
    changed = item.question[span.start : len(item.question) - tail]
    assert changed.strip() == item.inserted
    return item.question[: span.start] + item.question[len(item.question) - tail :]


@given(
    texts=st.lists(WORDS, min_size=1, max_size=6),
    easy=st.lists(WORDS, max_size=4),
    times=st.integers(1, 5),
    seed=st.integers(0, 99),
)
def test_a_transplant_without_what_was_put_in_is_its_problem_with_the_span_cut(
    texts: list[list[str]], easy: list[list[str]], times: int, seed: int
) -> None:
    rng = random.Random(seed)
    hosts = [problem(f"p{at}", spaced(words, rng)) for at, words in enumerate(texts)]
    solved = [problem(f"s{at}", spaced(words, rng)) for at, words in enumerate(easy)]
    verified = [any_span(host, rng) for host in hosts]
    everything: Mapping[str, Problem] = {item.id: item for item in (*hosts, *solved)}
    section = PruneSection(strategy=["transplant"], transplants=times, seed=seed)
    found = transplants(everything, verified, solved, section)

    donors = {item.id: item for item in verified}
    for item in found:
        host = everything[item.problem_id].question
        (span,) = item.spans
        assert host[span.start : span.end] == span.text
        assert without_inserted(item, host) == remove(host, item.spans)
        assert item.inserted == donors[item.donor].spans[0].text.strip()
        if span.text:
            assert item.spans == donors[f"{item.problem_id}/cf0"].spans
            assert donors[item.donor].problem_id != item.problem_id
        else:
            assert item.problem_id.startswith("s")
        # Words stay apart: none is glued to another.
        before, after = host[: span.start].split(), host[span.end :].split()
        assert item.question.split() == [*before, *item.inserted.split(), *after]
    made = [item.question for item in found]
    assert len({item.id for item in found}) == len(found)
    assert len(set(made)) == len(made)
    assert not set(made) & {item.question for item in everything.values()}
    # At most so many replacements of a span, and so many insertions of a span.
    for item in verified:
        assert sum(one.problem_id == item.problem_id for one in found) <= times
        assert sum(one.donor == item.id and not one.spans[0].text for one in found) <= times
