"""Sentences of other problems, verified cuts, and passages of other records."""

import random
import re
import sys

import pytest

from leaf.errors import UsageError
from leaf.prune import remove
from leaf.prune.inject.passages import passages
from leaf.prune.inject.places import Host
from leaf.prune.inject.problems import problems
from leaf.prune.inject.source import Insertion, Material, Source
from leaf.prune.inject.verified import verified
from leaf.recipe import InjectSection
from leaf.records import Counterfactual, Problem, Protected, Span


def problem(name: str, question: str, answer: str = "7") -> Problem:
    return Problem(id=name, question=question, answer=answer, solution="")


def offered(
    source: Source,
    host: Problem,
    others: list[Problem],
    cuts: list[Counterfactual] | None = None,
    seeds: int = 20,
    **settings: int,
) -> list[Insertion]:
    every = {one.id: one for one in (host, *others)}
    section = InjectSection.model_validate(settings)
    offers = source(Material(problems=every, verified=cuts or [], section=section))
    return [item for seed in range(seeds) for item in offers(Host(host), random.Random(seed))]


def texts(found: list[Insertion]) -> set[str]:
    return {item.text for item in found}


# Sentences of other problems.

APPLES = problem("apples", "Ada has 12 apples. Ada eats 5. How many apples does Ada have left?")


def test_a_sentence_of_another_problem_goes_between_two_sentences() -> None:
    other = problem("b", "Ben sold 3 hats. Kim paints. How many hats did Ben sell?")
    found = offered(problems, APPLES, [other])
    assert texts(found) == {" Ben sold 3 hats.", " Kim paints."}
    assert {item.donor for item in found} == {"b/s0", "b/s1"}
    before = {APPLES.question[: item.place] for item in found}
    assert before == {"Ada has 12 apples.", "Ada has 12 apples. Ada eats 5."}


@pytest.mark.parametrize(
    "sentence",
    [
        "He sold 3 hats.",  # nobody of his own
        "The shop sold 3 hats.",
        "Ben sold the rest.",
        "Ben also sold 3 hats.",
        "Ben sold 3 hats to them.",
        "Ben sold 3 hats, too.",
        "Ben sold 3 and Kim sold 4.",  # of what?
        "Ben sold me 3 hats.",
        "Ben sold 3 hats to his sister.",  # whom `she` could mean
        "Ben (a friend) sold 3 hats.",
        'Ben said "3 hats".',
        "Let x be the hats of Ben.",
        "Ben sold $x$ hats.",
        "Ada sold 3 hats.",  # who is known
        "Ben sold hats to Ada.",
    ],
)
def test_a_sentence_that_could_mean_something_here_stays_out(sentence: str) -> None:
    other = problem("b", f"{sentence} How many hats is that?")
    assert offered(problems, APPLES, [other]) == []


def test_what_asks_is_never_put_in() -> None:
    others = [problem("b", "Ben wants to know how many hats?"), problem("c", "Ben sold hats")]
    assert offered(problems, APPLES, others) == []


@pytest.mark.parametrize(
    ("number", "texts_"),
    [
        ("in", {" Ben sold 7 hats."}),
        ("out", {" Carl sold 70 hats."}),
        ("none", {" Kim sold hats."}),
    ],
)
def test_sentences_go_by_their_numbers(number: str, texts_: set[str]) -> None:
    others = [
        problem("b", "Ben sold 7 hats. How many?"),
        problem("c", "Carl sold 70 hats. How many?"),
        problem("d", "Kim sold hats. How many?"),
    ]
    every = {one.id: one for one in (APPLES, *others)}
    section = InjectSection.model_validate({"number": [number]})
    offers = problems(Material(problems=every, verified=[], section=section))
    found = [item for seed in range(9) for item in offers(Host(APPLES), random.Random(seed))]
    assert texts(found) == texts_


@pytest.mark.parametrize(
    ("asks", "comes"),
    [
        ("How many apples does Ada have?", True),
        ("How many apples has she?", True),
        # Ben's would count.
        ("How many apples are there?", False),
        ("How many apples does Ada have in total?", False),
        ("How many apples do Ada and all others have?", False),
    ],
)
def test_where_everybodys_things_are_asked_for_nobody_else_has_such_things(
    asks: str, comes: bool
) -> None:
    host = problem("a", f"Ada has 12 apples. {asks}")
    found = offered(problems, host, [problem("b", "Ben has 3 apples. How many has Ben?")])
    assert bool(found) is comes
    others = offered(problems, host, [problem("b", "Ben has 3 hats. How many has Ben?")])
    assert others


# Verified cuts.


def cut(host: Problem, text: str) -> Counterfactual:
    start = host.question.index(text)
    spans = (Span(start=start, end=start + len(text), text=text, gap=0.0, units=1),)
    return Counterfactual(
        id=f"{host.id}/cf0",
        problem_id=host.id,
        strategy="span",
        spans=spans,
        question=remove(host.question, spans),
    )


def test_a_clause_that_opened_a_sentence_opens_one_again() -> None:
    donor = problem("d", "Ben has 9 hats. At the market, Mia gives 4 hats to Ben. How many now?")
    found = offered(verified, APPLES, [donor], [cut(donor, " At the market,")])
    assert {(item.place, item.text, item.donor) for item in found} == {
        (len("Ada has 12 apples."), " At the market,", "d/cf0")
    }
    host = problem("h", "Ada has 12 apples. The box holds 5. How many apples are there?")
    assert offered(verified, host, [donor], [cut(donor, " At the market,")]) == []


def test_a_sentence_goes_between_sentences() -> None:
    donor = problem("d", "Ben has 9 hats. The room has 4 chairs. How many hats has Ben?")
    found = offered(verified, APPLES, [donor], [cut(donor, " The room has 4 chairs.")])
    assert {APPLES.question[: item.place] for item in found} == {
        "Ada has 12 apples.",
        "Ada has 12 apples. Ada eats 5.",
    }


def test_what_stood_inside_a_sentence_needs_one_of_its_neighbours() -> None:
    donor = problem("d", "Ben has 9 big red hats here. How many hats has Ben?")
    host = problem("h", "Ada has 9 old hats. Ada has 5 cups. How many hats has Ada?")
    found = offered(verified, host, [donor], [cut(donor, " big")])
    # After `9`, which stood before it; nowhere else.
    assert {host.question[: item.place] for item in found} == {"Ada has 9"}
    assert offered(verified, problem("h", "A b c. D e f?"), [donor], [cut(donor, " big")]) == []


def test_a_question_that_holds_one_of_the_texts_takes_none() -> None:
    donor = problem("d", "Ben has 9 hats. It rains. How many hats has Ben?")
    host = problem("h", "Ada has 9 hats. It rains. Kim has 5 cups. How many hats has Ada?")
    assert offered(verified, host, [donor], [cut(donor, " It rains.")]) == []
    assert offered(verified, donor, [], [cut(donor, " It rains.")]) == []


# Passages.


def asked(name: str, documents: list[tuple[str, str]], question: str, answer: str) -> Problem:
    text = ""
    for number, (title, body) in enumerate(documents, start=1):
        text += f"Document [{number}] (Title: {title})\n{body}\n\n"
    text += "Question: "
    place = Protected(what="question", start=len(text), end=len(text) + len(question))
    return Problem(
        id=name,
        question=text + question,
        answer=answer,
        solution="",
        golds=("the French capital",) if answer == "Paris" else (),
        protected=(place,),
        grader="qa",
    )


TOWER = asked(
    "tower",
    [("Tower", "The iron tower stands in Paris."), ("Bridge", "A bridge is made of iron.")],
    "In which city does the iron tower stand?",
    "Paris",
)
OTHERS = [
    asked(
        "one",
        [
            ("Lighthouse", "The iron tower of the city fell into the sea."),
            ("Paris", "Paris is where the iron tower stands."),
            ("Capitals", "The French city of the iron tower is a capital."),
        ],
        "Who fell?",
        "sea",
    ),
    asked("two", [("Cooking", "Soup is hot."), ("Tower", "A tower in chess.")], "What?", "soup"),
]


def test_the_passage_most_like_the_question_comes_first_and_none_that_answers_it() -> None:
    pytest.importorskip("bm25s")
    found = offered(passages, TOWER, OTHERS, seeds=1)
    titles = [re.findall(r"Title: (.*)\)", item.text)[0] for item in found]
    # Not `Paris`, which says the answer, `Capitals`, which says its other name, nor a second
    # `Tower`.
    assert titles[0] == "Lighthouse"
    assert set(titles) == {"Lighthouse", "Cooking"}
    assert found[0].donor == "one/d1"


def test_a_passage_goes_in_before_among_or_after_the_others_and_numbers_run_on() -> None:
    pytest.importorskip("bm25s")
    places = set()
    for item in offered(passages, TOWER, OTHERS, seeds=30):
        numbers = re.findall(r"^Document \[(\d+)\]", item.question, re.MULTILINE)
        assert numbers == ["1", "2", "3"]
        assert item.question[item.place : item.place + len(item.text)] == item.text
        titles = re.findall(r"Title: (.*)\)", item.question.replace(item.text, ""))
        assert titles == ["Tower", "Bridge"]
        behind = item.question[item.place + len(item.text) :]
        assert behind.endswith("\n\nQuestion: In which city does the iron tower stand?") or (
            behind == "Question: In which city does the iron tower stand?"
        )
        places.add(item.place)
    second = TOWER.question.index("Document [2]")
    assert places == {0, second, TOWER.question.index("Question: ")}


def test_several_passages_go_in_side_by_side() -> None:
    pytest.importorskip("bm25s")
    found = offered(passages, TOWER, OTHERS, seeds=30, passages=2)
    assert {item.donor for item in found} == {"one/d1+two/d1"}
    for item in found:
        assert re.findall(r"^Document \[(\d+)\]", item.question, re.MULTILINE) == list("1234")
        assert item.text.count("Document [") == 2
        assert item.question[item.place : item.place + len(item.text)] == item.text
    assert len({item.place for item in found}) == 3
    # Of two that fit no three are made.
    assert offered(passages, TOWER, OTHERS, seeds=30, passages=3) == []


def test_nobody_can_say_what_a_passage_gives_away_where_there_is_no_answer() -> None:
    pytest.importorskip("bm25s")
    host = asked("none", [("Tower", "It stands.")], "Where is the tower?", "")
    assert offered(passages, host, OTHERS) == []


def test_questions_without_passages_take_none() -> None:
    assert offered(passages, APPLES, OTHERS) == []


def test_without_bm25s_one_line_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "bm25s", None)
    with pytest.raises(UsageError) as caught:
        offered(passages, TOWER, OTHERS)
    assert str(caught.value) == (
        "prune.inject.sources: passages needs bm25s; pip install 'leaf-distill[passages]'"
    )
