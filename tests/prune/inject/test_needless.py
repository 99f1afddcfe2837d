"""Source `needless`: pieces of solved problems that do nothing for the answer."""

from typing import Any

from leaf.prune import injections, removable
from leaf.recipe import InjectSection
from leaf.records import Counterfactual, Problem, Protected


def problem(name: str, question: str, **more: Any) -> Problem:
    return Problem(id=name, question=question, answer="5", solution="5", **more)


ADA = problem("a", "Ada has 3 pens. The room has 8 chairs. Ada gets 2. How many pens has Ada?")
BEN = problem("b", "Ben has 4 cups. Ben finds 1. How many cups has Ben?")


def chairs(where: Problem = ADA) -> Counterfactual:
    (found,) = [item for item in removable(where, ["sentence"]) if "chairs" in item.spans[0].text]
    return found


def test_every_piece_but_the_one_that_asks_may_go() -> None:
    assert [item.question for item in removable(ADA, ["sentence"])] == [
        " The room has 8 chairs. Ada gets 2. How many pens has Ada?",
        "Ada has 3 pens. Ada gets 2. How many pens has Ada?",
        "Ada has 3 pens. The room has 8 chairs. How many pens has Ada?",
    ]


def test_a_piece_of_two_kinds_is_one_and_protected_pieces_stay() -> None:
    assert len(removable(ADA, ["sentence", "clause"])) == 3
    kept = problem("a", ADA.question, protected=(Protected(what="entity", start=0, end=3),))
    assert len(removable(kept, ["sentence"])) == 2


def test_a_needless_piece_goes_into_another_problem_at_a_known_place() -> None:
    section = InjectSection(sources=["needless"], per=1)
    made = injections({"a": ADA, "b": BEN}, [], [ADA, BEN], section, needless=[chairs()])
    (into_ben,) = [item for item in made if not item.skipped]
    assert into_ben.problem_id == "b"
    place, text = into_ben.spans[0].start, into_ben.inserted
    assert text.strip() == "The room has 8 chairs."
    assert into_ben.question == BEN.question[:place] + text + BEN.question[place:]
    assert into_ben.donor == chairs().id


def test_a_text_that_many_problems_have_is_offered_once() -> None:
    again = problem("c", "Cid has 9 hats. The room has 8 chairs. How many hats has Cid?")
    section = InjectSection(sources=["needless"], per=3)
    every = {"a": ADA, "b": BEN, "c": again}
    made = injections(every, [], [BEN], section, needless=[chairs(), chairs(again)])
    assert len([item for item in made if not item.skipped]) == 1


def test_nothing_goes_first_unless_some_piece_stood_first_where_it_came_from() -> None:
    section = InjectSection(sources=["needless"], per=1)
    inside, opens = chairs(), problem("c", f"The hall has 9 lamps.{BEN.question}")
    lamps = removable(opens, ["sentence"])[0]
    hosts = [problem(f"h{n}", BEN.question.replace("4", str(n + 11))) for n in range(40)]
    every = {item.id: item for item in (ADA, opens, *hosts)}

    def first(needless: list[Counterfactual]) -> set[bool]:
        made = injections(every, [], hosts, section, needless=needless)
        assert all(item.question.startswith(("Ben", "The")) for item in made)
        return {item.spans[0].start == 0 for item in made if not item.skipped}

    assert first([inside]) == {False}
    assert first([inside, lamps]) == {True, False}
