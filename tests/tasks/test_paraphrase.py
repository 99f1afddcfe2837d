"""Questions come back from another language in other words, with all that counts in them."""

import json
import re
import shutil
from collections import Counter
from pathlib import Path

import pytest

from leaf.errors import DataError
from leaf.recipe import DataSection
from leaf.records import Distractor, Problem, Protected
from leaf.tasks import read_problems
from leaf.tasks.paraphrase import checked, paraphrase, shield
from tests.marks import DATA

needs_apertium = pytest.mark.skipif(
    shutil.which("apertium") is None, reason="apertium is not installed"
)
CLIPS = "Natalia sold 48 clips to her friends in April. How many clips did she sell?"


def problem(question: str, name: str = "p", **others: object) -> Problem:
    return Problem(id=name, question=question, answer="", solution="", **others)  # type: ignore[arg-type]


def said(question: str) -> str:
    found, lost = paraphrase([problem(question)], "spa")
    assert lost == []
    return found[0].question


@needs_apertium
def test_a_question_comes_back_in_other_words_as_a_variant() -> None:
    original = problem(CLIPS, name="gsm8k-test-1")
    (variant,), lost = paraphrase([original], "spa")
    assert lost == []
    assert (variant.id, variant.base) == ("gsm8k-test-1/par", "gsm8k-test-1")
    assert variant.question != CLIPS
    assert {"Natalia", "48", "clips", "April"} <= set(re.findall(r"\w+", variant.question))


@needs_apertium
def test_formulas_code_and_names_come_back_as_they_are() -> None:
    question = (
        "Find the largest value of $x^2 + 3x$ for which \\[x \\le \\frac{1}{2},\\] and print it as "
        "`print(x_max)`, as the famous film Kiss and Tell says.\n\nThen explain your answer."
    )
    new = said(question)
    for piece in ("$x^2 + 3x$", "\\[x \\le \\frac{1}{2},\\]", "`print(x_max)`", "Kiss and Tell"):
        assert new.count(piece) == 1
    assert new.count("\n\n") == 1
    assert new.endswith(".")
    assert "zq" not in new.lower()


@needs_apertium
def test_many_texts_with_empty_lines_keep_their_places() -> None:
    questions = [
        f"{CLIPS}\n\n{'And ' * (n % 3)}how many hens has a farmer of {n}?" for n in range(9)
    ]
    found, lost = paraphrase([problem(q, name=str(n)) for n, q in enumerate(questions)], "spa")
    assert len(found) + len(lost) == 9
    assert len(found) >= 5
    for variant in found:
        assert variant.question.endswith(f"{variant.base}?")


@needs_apertium
def test_what_comes_back_the_same_is_left_out() -> None:
    found, lost = paraphrase([problem("$1 + 1 = $ ?", name="a")], "spa")
    assert found == []
    assert str(lost[0]) == "problem a: has no paraphrase: it came back as it was"


@pytest.mark.parametrize(
    ("back", "reason"),
    [
        ("The farmer has 12 hens and zqaqz.", "the number two was lost"),
        ("The farmer has two hens and 12 and 12 zqaqz.", "the number 12 came in"),
        ("The farmer has two hens and 1.2 zqaqz.", "the number 12 was lost"),
        ("The farmer has two hens and 12.", "a formula, a name or code was lost"),
        ("The farmer has two hens and 12 zqaqz zqaqz.", "a formula, a name or code was lost"),
        ("The farmer has two *gallinas and 12 zqaqz.", "words were not translated back (gallinas)"),
        ("The farmer has two #hen and 12 zqaqz.", "words were not translated back (marked)"),
    ],
)
def test_what_lost_its_sense_is_refused_with_the_reason(back: str, reason: str) -> None:
    old = "A farmer has two hens and 12 $x$."
    hidden = shield(old)
    assert hidden.text == "A farmer has two hens and 12 zqaqz."
    with pytest.raises(ValueError, match="^" + re.escape(reason) + "$"):
        checked(old, hidden, back)
    good = "The *farmer has two hens, and 12 zqaqz."
    assert checked(old, hidden, good) == "The farmer has two hens, and 12 $x$."


@needs_apertium
def test_of_a_question_with_passages_only_the_words_that_ask_change() -> None:
    passages = "Document [1] (Title: A)\nShe sold 3 hens.\n\nQuestion: "
    start = len(passages)
    original = problem(
        passages + CLIPS,
        distractors=(Distractor(kind="passage", start=0, end=40),),
        protected=(Protected(what="question", start=start, end=start + len(CLIPS)),),
    )
    (variant,), _ = paraphrase([original], "spa")
    assert variant.question.startswith(passages)
    assert variant.question != original.question
    assert variant.distractors == original.distractors
    assert variant.question[variant.asked] == variant.question[start:]


@needs_apertium
def test_known_places_move_with_their_words_or_are_given_up() -> None:
    sentence = "Tom is 80 years old."
    question = f"{sentence} {CLIPS}"
    place = Distractor(kind="sentence", start=0, end=len(sentence))
    april = question.index("April")
    name = Protected(what="test name", start=april, end=april + 5)
    (variant,), lost = paraphrase(
        [problem(question, distractors=(place,), protected=(name,))], "spa"
    )
    assert lost == []
    (kept,) = variant.protected
    assert variant.question[kept.start : kept.end] == "April"
    found = [variant.question[one.start : one.end] for one in variant.distractors]
    assert found == ([sentence] if sentence in variant.question else [])
    many = question.index("How many clips did she sell")
    gone = Protected(what="entry point", start=many, end=len(question))
    found_none, lost = paraphrase([problem(question, protected=(gone,))], "spa")
    assert found_none == []
    assert "what the answer is checked by was lost (entry point)" in str(lost[0])


@needs_apertium
def test_a_recipe_asks_for_it_and_every_question_left_out_is_counted(tmp_path: Path) -> None:
    path = tmp_path / "own.jsonl"
    lines = [{"question": CLIPS, "answer": 48}, {"question": "$1$ ?", "answer": 1}]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    section = DataSection(task="table", path=str(path), paraphrase="spa", after="\nShortly.")
    problems, refused = read_problems(section)
    assert [(one.id, one.base, one.after) for one in problems] == [
        ("own-1/par", "own-1", "\nShortly.")
    ]
    assert [str(one) for one in refused] == [
        "problem own-2: has no paraphrase: it came back as it was"
    ]


@needs_apertium
def test_most_real_questions_survive_with_every_number() -> None:
    path = DATA / "gsm8k" / "test.jsonl"
    if not path.is_file():
        pytest.skip("../shared/data/gsm8k is not there")
    plain, _ = read_problems(DataSection(task="gsm8k", path=str(path), limit=40))
    section = DataSection(task="gsm8k", path=str(path), limit=40, paraphrase="spa")
    variants, lost = read_problems(section)
    assert len(variants) + len(lost) == 40
    assert len(variants) >= 28
    by_id = {one.id: one for one in plain}
    for variant in variants:
        old = by_id[variant.base]
        digits = [Counter(re.findall(r"\d+", one.question)) for one in (old, variant)]
        assert digits[0] == digits[1]
        assert (variant.answer, variant.solution) == (old.answer, old.solution)


def test_without_apertium_one_line_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(DataError) as caught:
        paraphrase([problem(CLIPS)], "spa")
    assert str(caught.value) == (
        "data.paraphrase needs apertium, which is not here; install it: "
        "apt-get install apertium apertium-eng-spa"
    )


@needs_apertium
def test_a_missing_dictionary_is_named() -> None:
    with pytest.raises(DataError, match=r"apt-get install apertium-eng-xyz"):
        paraphrase([problem(CLIPS)], "xyz")
