"""The bank of templates: their axes, their places, their numbers."""

import random
import re
from collections.abc import Sequence
from fractions import Fraction

import pytest

from leaf.prune.inject.bank import AVOID, MEASURES, TEMPLATES
from leaf.prune.inject.places import Host
from leaf.prune.inject.source import Insertion, Material
from leaf.prune.inject.templates import NEWCOMERS, measures, templates
from leaf.prune.inject.words import EITHER, LARGE, MEN, NAMES, SMALL, WOMEN, numbers
from leaf.recipe import InjectSection
from leaf.records import Problem

PENS = "Ada has 12 pens. Ada gave 5 pens to Ben. How many pens does Ada have now?"


def host(question: str, answer: str = "7") -> Host:
    return Host(Problem(id="p", question=question, answer=answer, solution=""))


def offered(question: str, answer: str = "7", seed: int = 0, **section: object) -> list[Insertion]:
    values = InjectSection.model_validate(section)
    offers = templates(Material(problems={}, verified=[], section=values))
    return list(offers(host(question, answer), random.Random(seed)))


def over_seeds(question: str, answer: str = "7", **section: object) -> list[Insertion]:
    return [item for seed in range(30) for item in offered(question, answer, seed, **section)]


def changed(question: str, item: Insertion) -> str:
    return question[: item.place] + item.text + question[item.place :]


def test_every_template_is_one_of_a_kind_and_avoids_what_it_is_about() -> None:
    kinds = [(t.name, t.form, t.topic, t.role, t.low) for t in TEMPLATES]
    assert len(set(kinds)) == len(kinds)
    assert {t.avoid for t in TEMPLATES} <= set(AVOID.values())
    for template in TEMPLATES:
        # It avoids itself: a question must never get two of a kind, one by us, one of its own.
        words = re.findall(r"[a-z]+", template.text.split("named")[-1].lower())
        assert re.search(rf"\b(?:{template.avoid})", " ".join(words)) or template.form == "end"


def test_a_measure_changes_from_one_number_to_another_neither_of_them_the_questions() -> None:
    found = []
    for seed in range(30):
        section = InjectSection()
        offers = measures(Material(problems={}, verified=[], section=section))
        found += offers(host(PENS), random.Random(seed))
    assert {item.donor.split("/")[0] for item in found} == {"measures"}
    assert {item.donor.split("/")[1] for item in found} >= {"weight", "fever", "heat", "price"}
    for item in found:
        before, after = numbers(item.text)
        assert before != after
        assert not {before, after} & {12, 5, 7}
        assert "{" not in changed(PENS, item)
        sides = {one > 12 or one < 5 for one in (before, after)}
        assert sides == {item.donor.endswith("-out")}


def test_every_measure_is_one_of_a_kind_and_has_two_numbers() -> None:
    kinds = [(t.name, t.form, t.topic, t.role) for t in MEASURES]
    assert len(set(kinds)) == len(kinds)
    assert all("{n}" in t.text and "{m}" in t.text and t.high > t.low for t in MEASURES)
    assert {t.avoid for t in MEASURES} <= set(AVOID.values())


def test_the_bank_has_all_sides_of_all_three_axes() -> None:
    sides = {(t.topic, t.role, bool(t.high)) for t in TEMPLATES if t.form == "sentence"}
    assert len(sides) == 8


@pytest.mark.parametrize(
    ("section", "texts"),
    [
        ({"forms": ["clause"], "topic": ["out"], "role": ["in"]}, r", who .*,"),
        ({"forms": ["sentence"], "topic": ["in"]}, r" .*\bpens\b.*\."),
        ({"forms": ["sentence"], "topic": ["out"], "role": ["in"]}, r" Ada (?!once).*\."),
        ({"forms": ["sentence"], "role": ["out"]}, r" (?!Ada).*\."),
        ({"number": ["none"]}, r"[^0-9]*"),
        ({"number": ["in", "out"]}, r".*[0-9].*"),
    ],
)
def test_a_recipe_chooses_sides_of_the_axes(section: dict[str, object], texts: str) -> None:
    found = over_seeds(PENS, **section)
    assert found
    assert {item.text for item in found if not re.fullmatch(texts, item.text)} == set()


def test_numbers_are_in_or_out_of_the_questions_range_and_neither_its_own_nor_the_answer() -> None:
    # Its numbers are 5 and 12.
    inside = over_seeds(PENS, number=["in"])
    outside = over_seeds(PENS, number=["out"])
    assert inside and outside
    for item in inside:
        assert numbers(item.text) <= {Fraction(n) for n in (6, 8, 9, 10, 11)}, item.text
        assert item.donor.endswith("-in")
    for item in outside:
        (number,) = numbers(item.text)
        assert number < 5 or number > 12
        assert item.donor.endswith("-out")


def test_half_sentences_stand_where_a_clause_may() -> None:
    found = {changed(PENS, item) for item in over_seeds(PENS, forms=["clause"])}
    assert "Ada, who likes to sing, has 12 pens. Ada gave 5 pens to Ben." in {
        text.removesuffix(" How many pens does Ada have now?") for text in found
    }
    assert any(text.startswith("Ada has 12 pens. On a windy day, Ada gave 5") for text in found)
    kept = "Ada has 12 pens, all of about the same size. Ada gave 5 pens to Ben."
    assert any(text.startswith(kept) for text in found)


@pytest.mark.parametrize(
    "question",
    [
        # Nobody acts, and nothing is counted at the end.
        "Ada and Ben have 12 pens in a box. How many pens are there?",
        "There are 12 pens in the box of Ada. How many pens are there?",
        "Pens cost 12 dollars in town. How much is that?",
        # It pays for them.
        "The bill was 12 for pens. How many pens are there?",
    ],
)
def test_no_half_sentence_stands_where_grammar_would_not_hold(question: str) -> None:
    assert over_seeds(question, forms=["clause"]) == []


def test_a_sentence_about_a_person_follows_one_about_that_person() -> None:
    question = "Ada has 12 pens. Ben's box holds 5 pens. How many pens are there?"
    found = over_seeds(question, forms=["sentence"], role=["in"])
    assert {question[: item.place] for item in found} == {"Ada has 12 pens."}


def test_who_comes_in_is_nobody_of_the_question_and_nobody_that_a_pronoun_could_mean() -> None:
    question = "Otto has 12 pens. Then he gave 5 pens away. How many pens has he got?"
    found = over_seeds(question, forms=["sentence"], role=["out"])
    people = {name for item in found for name in NEWCOMERS if name in item.text}
    assert people and people <= WOMEN


def test_nothing_comes_between_a_sentence_and_one_that_takes_it_up() -> None:
    question = "Ada has 12 pens. They cost 5 dollars. How much is a pen?"
    found = over_seeds(question, forms=["sentence"])
    assert {question[: item.place] for item in found} == {"Ada has 12 pens. They cost 5 dollars."}


@pytest.mark.parametrize("follows", ["the pens", "a third of it", "the old pens", "40%"])
def test_nothing_is_said_of_things_before_a_sentence_about_just_those(follows: str) -> None:
    question = f"Ada has 12 pens. Ada sells {follows}. How many pens does Ada have now?"
    found = over_seeds(question, forms=["sentence"], topic=["in"])
    assert {question[: item.place] for item in found} <= {question[: question.index(" How")]}
    assert any(item.place == len("Ada has 12 pens.") for item in over_seeds(question))


@pytest.mark.parametrize(
    ("question", "names"),
    [
        ("Ada is 12 years old. Ada gave 5 pens to Ben. How many pens?", {"age"}),
        ("Ada has 12 pens for $5. Ada gave 5 pens to Ben. How many pens?", {"cost"}),
        ("Ada has 12 pens of 5 grams. Ada gave 5 pens to Ben. How many pens?", {"weight"}),
        ("The room has 12 windows. Ada gave 5 pens to Ben. How many pens?", {"room", "house"}),
    ],
)
def test_a_template_stays_away_from_questions_about_the_same(
    question: str, names: set[str]
) -> None:
    assert names.isdisjoint(item.donor.split("/")[1] for item in over_seeds(question))


@pytest.mark.parametrize(
    "question",
    [
        "小明有三支笔。小红有四支笔。他们一共有几支笔？",
        "Soit x un nombre. Soit y un autre. Combien font x et y ?",
        "",
    ],
)
def test_our_texts_are_english_and_stay_out_of_other_languages(question: str) -> None:
    assert over_seeds(question) == []


def test_the_lists_of_words_do_not_overlap() -> None:
    lists: Sequence[frozenset[str]] = (WOMEN, MEN, EITHER)
    assert sum(map(len, lists)) == len(NAMES)
    assert SMALL.isdisjoint(LARGE)
    assert {*NEWCOMERS} <= NAMES
