"""Where a text may stand: between sentences that are prose, before the one that asks."""

import pytest

from leaf.prune.inject.places import Host, may_meet, subject, takes_up
from leaf.records import Problem, Protected


def host(question: str, answer: str = "7", **changes: object) -> Host:
    values = {"id": "p", "question": question, "answer": answer, "solution": "", **changes}
    return Host(Problem(**values))  # type: ignore[arg-type]


def borders(question: str) -> list[str]:
    """Return what stands before each border."""
    found = host(question)
    return [found.text[: border.at] for border in found.borders]


def test_a_sentence_stands_after_the_first_one_and_before_the_one_that_asks() -> None:
    text = "Ada has 3 pens. Ben has 4 pens. How many pens do Ada and Ben have?"
    first, second = "Ada has 3 pens.", "Ada has 3 pens. Ben has 4 pens."
    assert borders(text) == [first, second]


@pytest.mark.parametrize(
    "question",
    [
        "How many legs have 3 dogs?",
        "Find x if 3x = 12.",
        "Find the number of pens. Ada has 3 pens. Ben has 4 pens.",
        "",
        " ",
        "no sentence at all",
    ],
)
def test_where_only_one_sentence_asks_nothing_can_stand(question: str) -> None:
    assert borders(question) == []


def test_nothing_stands_behind_the_sentence_that_asks() -> None:
    text = "Ada has 3 pens. How many has Ada? Round to a ten. Write it down."
    assert borders(text) == ["Ada has 3 pens."]


def test_without_a_question_mark_the_last_sentence_asks() -> None:
    assert borders("Ada has 3 pens. Ben has 4 pens. Tell how many.") == [
        "Ada has 3 pens.",
        "Ada has 3 pens. Ben has 4 pens.",
    ]


@pytest.mark.parametrize(
    "text",
    [
        "Ada lives in St. Louis and has 3 pens. How many pens has Ada?",
        "Ada met J. Smith there and has 3 pens. How many pens has Ada?",
        "Ada weighs 30 lbs. Ben and Kim weigh 40. How much is that?",
        "Ada has 3.5 kg. and some more. How many has Ada?",
    ],
)
def test_a_short_form_is_no_end_of_a_sentence(text: str) -> None:
    assert all(part.endswith(("pens.", "40.", "more.")) for part in borders(text))


@pytest.mark.parametrize(
    "text",
    [
        'Ada said: "I have 3 pens. Ben has 4 pens." How many pens are there?',
        "Ada said: “I have 3 pens. Ben has 4 pens.” How many pens are there?",
        "Ada has pens (3 are red. 4 are blue. The rest is green.) How many are there?",
        "We have $x = 3. Y = 4$ here. What is $x$?",
        r"We have \(x = 3. Then y = 4\) here. What is it?",
        "Run `print(3). Then stop` now. What comes out?",
        "```\nA. Here is more. And more.\n```\nWhat comes out?",
    ],
)
def test_nothing_stands_in_quotations_brackets_formulas_and_code(text: str) -> None:
    found = host(text)
    inside = [border for border in found.borders if not text[: border.at].rstrip().endswith(_ENDS)]
    assert inside == []


_ENDS = ('pens."', "pens.”", "here.", "now.", "green.)", "```")


def test_nothing_stands_behind_the_first_line_of_a_program() -> None:
    text = (
        "The cup is full. Here is code.\n\ndef f(x):\n    # One comment. Two comments.\n"
        "    return x\n\nIt is short. It runs. What does it return?"
    )
    assert borders(text) == ["The cup is full."]
    assert borders('def f(x):\n    """Add one. Never two. Return it."""\n') == []


def test_nothing_stands_in_what_the_grader_needs() -> None:
    text = "Call it add one. It is good. What is 3?"
    place = Protected(what="entry point", start=text.index("add"), end=text.index("good"))
    assert [text[: one.at] for one in host(text, protected=(place,)).borders] == [
        "Call it add one. It is good."
    ]


def test_chinese_sentences_have_borders_without_spaces() -> None:
    text = "小明有三支笔。小红有四支笔。他们一共有几支笔？"
    assert borders(text) == ["小明有三支笔。", "小明有三支笔。小红有四支笔。"]
    assert not host(text).is_english


def test_a_heading_or_a_number_of_a_list_is_no_sentence() -> None:
    assert borders("Pens!\nAda has 3 pens.\n1. Ben has 4 pens.\nHow many are there?") == [
        "Pens!\nAda has 3 pens.",
        "Pens!\nAda has 3 pens.\n1. Ben has 4 pens.",
    ]


@pytest.mark.parametrize(
    ("sentence", "taken_up"),
    [
        (" They cost 3 dollars.", True),
        (" Each costs 3 dollars.", True),
        (" Then she gives them away.", True),
        (" Two of those are red.", True),
        (" The rest is red.", True),
        (" There are, all told, 5 of them.", True),
        (" However, 40% of the pens were red.", True),
        (" How many are left?", True),
        (" How many more will Ada need?", True),
        (" How many pens are left?", False),
        (" How many more pens will Ada need?", False),
        (" Ben buys 3 pens.", False),
        (" She eats 3 apples.", False),
        (" If Ada eats 3 apples, how many are left?", False),
    ],
)
def test_a_sentence_that_takes_up_the_one_before_is_known(sentence: str, taken_up: bool) -> None:
    assert takes_up(sentence) is taken_up


@pytest.mark.parametrize(
    ("rest", "welcome"),
    [
        (" How many pens has Ada?", ["Nora", "Otto"]),
        (" He buys 3. How many has he?", ["Nora"]),
        (" She buys 3.", ["Otto"]),
        (" He and she buy 3.", []),
        (" How many do they have?", []),
        (" Nobody counts himself.", ["Nora"]),
    ],
)
def test_nobody_comes_in_whom_a_pronoun_could_mean(rest: str, welcome: list[str]) -> None:
    assert [name for name in ("Nora", "Otto") if may_meet(rest, [name])] == welcome
    # A name of either says nothing of who it is.
    assert may_meet(rest, ["Alex"]) is (len(welcome) == 2)


@pytest.mark.parametrize(
    ("sentence", "name"),
    [
        (" Ada has 3 pens.", "Ada"),
        (" Ada's brother has 3 pens.", ""),
        (" Ada and Ben have 3 pens.", ""),
        (" Ada gives Ben 3 pens.", ""),
        (" Yesterday Ada had 3 pens.", ""),
        (" Apples cost 3 dollars.", ""),
    ],
)
def test_a_sentence_is_about_the_only_name_that_it_begins_with(sentence: str, name: str) -> None:
    assert subject(sentence) == name


@pytest.mark.parametrize(
    ("answer", "text", "said"),
    [
        ("12", "It is 12 years old.", True),
        ("12", "It is twelve years old.", True),
        ("1,200", "It has 1200 windows.", True),
        ("12.0", "It is 12 years old.", True),
        ("12", "It is 112 or 12.5.", False),
        ("Paris", "They met in paris.", True),
        ("Paris", "They met a parisian.", False),
        ("", "It is 12 years old.", False),
    ],
)
def test_a_text_that_says_the_answer_is_known(answer: str, text: str, said: bool) -> None:
    assert host("Ada has 3 pens. How many?", answer).gives_away(text) is said
