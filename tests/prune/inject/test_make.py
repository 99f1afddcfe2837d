"""Insertions for many questions: their places, their seeds, and what is never made."""

import random
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leaf.playground import SPLITS, puzzles
from leaf.prune import injections, remove
from leaf.prune.inject import SOURCES, Insertion
from leaf.prune.inject.places import Host
from leaf.prune.inject.words import numbers
from leaf.recipe import InjectSection
from leaf.recipe.names import SourceName
from leaf.records import BETWEEN, Counterfactual, Problem, Span
from leaf.text.units import pieces


def world(count: int = 40) -> list[Problem]:
    found = puzzles(SPLITS["clean"], test=False, seed=3)
    return [
        Problem(id=f"w{at}", question=made.question, answer=str(made.answer), solution="")
        for at, made in zip(range(count), found, strict=False)
    ]


def make(
    hosts: Sequence[Problem], every: Sequence[Problem] = (), **section: object
) -> list[Counterfactual]:
    known = {one.id: one for one in (*hosts, *every)}
    return injections(known, [], hosts, InjectSection.model_validate(section))


def test_the_sources_of_the_table_are_those_that_a_recipe_may_name() -> None:
    (allowed,) = SourceName.__metadata__
    assert tuple(SOURCES) == allowed.names


def test_what_was_put_in_is_known_to_the_character_and_nothing_else_changed() -> None:
    hosts = world()
    questions = {one.id: one.question for one in hosts}
    found = make(hosts, per=3)
    assert len(found) > 2 * len(hosts)
    for item in found:
        (span,) = item.spans
        assert (span.start, span.text) == (span.end, "")
        end = span.start + len(item.inserted)
        assert item.question[span.start : end] == item.inserted
        put_in = Span(start=span.start, end=end, text=item.inserted, gap=0.0, units=1)
        assert remove(item.question, [put_in]) == questions[item.problem_id]
        assert (item.strategy, item.skipped) == ("inject", None)
        assert item.donor


def test_every_second_insertion_holds_two_texts_where_two_belong_together() -> None:
    hosts = world()
    questions = {one.id: one.question for one in hosts}
    found = make(hosts, per=4, together=2)
    held = [len(item.spans) for item in found]
    assert held.count(2) > len(hosts)
    for item in found:
        texts, donors = item.inserted.split(BETWEEN), item.donor.split(BETWEEN)
        assert len(item.spans) == len(texts) == len(donors) == len(set(donors))
        if item.id.endswith(("/in0", "/in2")):
            assert len(item.spans) == 1
        # Each text stands at its place of the host, after those that stand before it there.
        question = questions[item.problem_id]
        for span, text in reversed(list(zip(item.spans, texts, strict=True))):
            question = question[: span.start] + text + question[span.start :]
        assert question == item.question
        assert remove(questions[item.problem_id], item.spans) == questions[item.problem_id]


def test_one_text_a_question_is_what_it_was_before_there_could_be_two() -> None:
    one = {item.id: item for item in make(world(), per=4)}
    two = {item.id: item for item in make(world(), per=4, together=2)}
    assert all(one[name] == item for name, item in two.items() if name.endswith("/in0"))


def test_what_stands_first_and_what_asks_stay_as_they_are() -> None:
    hosts = {one.id: one for one in world()}
    for item in make(list(hosts.values()), per=3):
        question = hosts[item.problem_id].question
        sentences = pieces(question, "sentence")
        assert item.spans[0].start > 0
        assert item.spans[0].start <= sentences[-1][0]
        assert item.question.endswith(question[slice(*sentences[-1])])
        if item.inserted.endswith("."):
            assert item.question.startswith(question[slice(*sentences[0])])


def test_ids_number_what_a_question_took() -> None:
    hosts = world(3)
    found = make(hosts, per=2)
    assert [item.id for item in found] == [f"{one.id}/in{at}" for one in hosts for at in (0, 1)]


def test_no_question_is_made_twice_and_none_of_the_training_data() -> None:
    hosts = world()
    found = make(hosts, per=4)
    every = [item.question for item in found] + [one.question for one in hosts]
    assert len(set(every)) == len(every)
    first = found[0]
    # The data hold what would have been made.
    twin = Problem(id="twin", question=first.question, answer="1", solution="")
    again = make(hosts[:1], [twin], per=4, sources=["templates"])
    assert first.question not in {item.question for item in again}


def test_no_insertion_says_the_answer() -> None:
    hosts = world(100)
    answers = {one.id: numbers(one.answer) for one in hosts}
    for item in make(hosts, per=4):
        assert numbers(item.inserted).isdisjoint(answers[item.problem_id])


def test_the_same_seed_makes_the_same_whatever_the_order_of_the_problems() -> None:
    hosts = world()
    mixed = random.Random(0).sample(hosts, len(hosts))
    assert make(hosts, seed=1) == make(mixed, seed=1) != make(hosts, seed=2)
    # And whichever others take some.
    some = [item for item in make(hosts, seed=1) if item.problem_id == "w7"]
    known = {one.id: one for one in hosts}
    assert injections(known, [], [known["w7"]], InjectSection(seed=1)) == some


@pytest.mark.parametrize(
    ("question", "reason"),
    [
        ("How many legs have 3 dogs?", "nothing to put in: there is only the sentence that asks"),
        ("", "nothing to put in: there is only the sentence that asks"),
        (
            "ada has pens, and\nben has some\nHow many?",
            "nothing to put in: there is no border of sentences before the one that asks",
        ),
        (
            "小明有三支笔。小红有四支笔。他们一共有几支笔？",
            "nothing to put in: no text of prune.inject.sources fits",
        ),
    ],
)
def test_a_question_that_takes_nothing_says_why(question: str, reason: str) -> None:
    host = Problem(id="p", question=question, answer="7", solution="")
    (only,) = make([host])
    assert (only.id, only.spans, only.question) == ("p/in-none", (), question)
    assert only.skipped == reason


def test_a_source_of_ones_own_takes_its_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    def mine(material):
        def offers(host: Host, rng: random.Random):
            for border in host.borders:
                yield Insertion(place=border.at, text=" A cup is a cup.", donor=f"mine/{border.at}")

        return offers

    monkeypatch.setitem(SOURCES, "mine", mine)
    section = InjectSection(sources=["mine"], per=2)
    hosts = world(2)
    found = injections({one.id: one for one in hosts}, [], hosts, section)
    assert [item.inserted for item in found] == [" A cup is a cup."] * 4
    both = make(hosts, sources=["mine", "templates"], per=2)
    for host in hosts:
        donors = [item.donor for item in both if item.problem_id == host.id]
        assert sorted(donor.startswith("mine/") for donor in donors) == [False, True]


PARTS = st.sampled_from(
    # One a line would take a page.
    (
        *("Ada has 3 pens.", "ada", "?", "\n\n", "$x_1 = 2$.", "def f(x):\n    return x\n"),
        *("小明。", '"', "🙂!", "He eats.", "1,000.5", "\\begin{a}", "(b. C)", "Mr. X."),
        *("\u2028", "```", "Find y."),
    )
)


@settings(max_examples=150, deadline=None)
@given(parts=st.lists(PARTS, max_size=8), seed=st.integers(0, 3))
def test_any_text_takes_something_to_the_character_or_nothing(parts: list[str], seed: int) -> None:
    question = " ".join(parts)
    host = Problem(id="p", question=question, answer="7", solution="")
    for item in make([host], world(5), seed=seed, per=3):
        if item.skipped:
            assert item.question == question
            continue
        start = item.spans[0].start
        assert item.question == question[:start] + item.inserted + question[start:]
        assert start > 0
