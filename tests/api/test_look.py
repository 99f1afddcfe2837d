"""`leaf.explain`: what is seen of one prompt, in a notebook, on a terminal and on a page."""

from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

import leaf
from leaf.errors import UsageError
from tests.api.conftest import DISTRACTION, QUESTION, REFERENCE

HOSTILE = 'Ada has <img src=x onerror=alert(1)> & 3 "pens". It is late. How many has Ada?'


@pytest.fixture
def look(student: leaf.Model, teacher: leaf.Model) -> Any:
    return leaf.explain(student, teacher, QUESTION, REFERENCE, max_new_tokens=16)


def test_scores_are_those_of_the_unit_that_was_ranked(look: Any) -> None:
    assert [unit.text for unit in look.scores] == [
        "At first Gina has 2 shells.",
        DISTRACTION,
        " Yesterday, Gina gives 1 shells to Jack.",
        " How many shells does Gina have now?",
    ]
    assert look.scores[1].score == 1.0


def test_verification_is_made_once_and_when_asked(look: Any) -> None:
    assert look.verified is None
    assert "not verified" in repr(look)
    (verified,) = look.verify()
    assert verified.kept
    assert look.verify()[0] is verified
    assert look.answers["student"].outcome == "wrong"
    assert repr(look).endswith("1 cuts, 1 verified)")


def test_the_grader_is_guessed_and_said(look: Any, capsys: pytest.CaptureFixture[str]) -> None:
    look.verify()
    said = capsys.readouterr().err
    assert "grader numbers: a number is read from the answer: 1\n" in said
    assert "()" not in said
    assert (look.problem.grader, look.problem.answer) == ("numbers", "1")


@pytest.mark.parametrize(
    ("reference", "answer", "grader"),
    [
        ("She has 18. #### 18", None, "numbers"),
        (r"So it is \boxed{\frac{1}{2}}", None, "math"),
        (r"It is x", r"x^2", "math"),
        ("Paris", None, "qa"),
        ("whatever", "the Eiffel tower", "qa"),
    ],
)
def test_each_kind_of_answer_has_its_grader(
    reference: str, answer: str | None, grader: str
) -> None:
    from leaf.api.settings import gold_of

    assert gold_of(reference, answer, None).grader == grader


@pytest.mark.parametrize(
    ("answer", "number"),
    [
        ("So he has 13 pens.", "13"),
        ("9 + 4 = 13", "13"),
        ("$2.50", "2.5"),
        ("3 million", "3000000"),
        ("1/3", "1/3"),
    ],
)
def test_a_number_in_an_answer_is_the_answer(answer: str, number: str) -> None:
    from leaf.api.settings import gold_of

    assert gold_of("whatever", answer, None).answer == number


class Tags(HTMLParser):
    """Collects the tags and the text of a fragment."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


def parsed(html: str) -> Tags:
    found = Tags()
    found.feed(html)
    return found


def test_the_heat_map_in_a_cell_colours_what_was_ranked(look: Any) -> None:
    look_before = look._repr_html_()
    before = parsed(look_before)
    spans = [attributes for tag, attributes in before.tags if tag == "span"]
    assert len(spans) == 4
    assert "rgba(213,94,0,0.55)" in str(spans[1]["style"])
    assert "not verified yet" in before.text
    look.verify()
    after = look._repr_html_()
    assert "Verified" in after
    assert "<b>Cuts tried</b>" in after
    assert f"<b>✓</b><s>{DISTRACTION.strip()}</s>" in after
    assert "<b>✓</b>" not in look_before
    assert after.count("<details>") == 4  # both models' answers to the whole question and the cut


def test_the_heat_map_escapes_what_people_and_models_wrote(student: leaf.Model) -> None:
    look = leaf.explain(student, None, HOSTILE, "3", max_new_tokens=8)
    look.verify()
    found = parsed(look._repr_html_())
    assert HOSTILE.split(".", maxsplit=1)[0] in found.text
    assert not {tag for tag, _ in found.tags} & {"img", "script"}


def test_print_shows_the_terminal_view(look: Any) -> None:
    look.verify()
    text = str(look)
    assert "Ranked by ablation, sentence by sentence" in text
    assert "[-The room has 3 chairs.-]" in text
    assert "\x1b" not in text


def test_before_models_were_asked_print_shows_what_is_there(student: leaf.Model) -> None:
    look = leaf.explain(student, None, QUESTION, REFERENCE, max_new_tokens=16)
    before = str(look)
    assert "not verified yet: look.verify()" in before
    assert "not asked" not in before
    assert "0 of" not in before
    look.verify()
    after = str(look)
    assert "not verified yet" not in after
    assert "1 of 1 verified" in after
    assert "teacher" not in before + after


def test_the_page_needs_nothing_outside_itself(look: Any, tmp_path: Path) -> None:
    for verified in (False, True):
        if verified:
            look.verify()
        page = look.to_html(tmp_path / "look.html").read_text()
        assert "<h1>At first Gina has 2 shells. The room has 3 chairs." in page
        assert "http" not in page.split("<script", 1)[0].replace("http-equiv", "")


def test_the_student_alone_is_shown_too(student: leaf.Model, tmp_path: Path) -> None:
    look = leaf.explain(student, None, QUESTION, REFERENCE, max_new_tokens=16)
    look.verify()
    assert "teacher" not in str(look).splitlines()[1]
    assert "Teacher" not in look._repr_html_()
    look.to_html(tmp_path / "look.html")


@pytest.mark.parametrize("unit", ["token", "sentence"])
def test_the_gradient_is_shown_too(unit: str, student: leaf.Model, teacher: leaf.Model) -> None:
    look = leaf.explain(student, teacher, QUESTION, REFERENCE, detector="gradient", unit=unit)
    html = look._repr_html_()
    assert 'style="background' in html
    assert all(f"<b>{name}</b>" in html for name in ("Student", "Teacher", "Gap"))
    assert "Gina" in str(look)


def test_a_recipe_says_what_is_not_said_in_the_call(
    student: leaf.Model, teacher: leaf.Model
) -> None:
    recipe = leaf.load_recipe("demo", ["attribute.detector=ablation", "prune.units=[clause]"])
    look = leaf.explain(student, teacher, QUESTION, REFERENCE, recipe=recipe)
    assert (look.ranked[0].detector, look.ranked[0].unit) == ("ablation", "clause")
    assert look.recipe.prune.rule == recipe.prune.rule


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"question": " "}, "question: is empty"),
        ({"reference": ""}, "reference: is empty"),
        ({"detector": "gradeint"}, "did you mean `gradient`"),
        ({"detector": "gradient"}, "compares two models, and there is no teacher"),
        ({"unit": "verb"}, "unit: unknown `verb`"),
        ({"unit": "verb"}, "known: token, word, phrase, clause, sentence"),
        ({"propsals": 3}, "detector ablation: unknown key `propsals`; did you mean `proposals`?"),
        ({"proposals": 0}, "detector ablation: `proposals` must be greater than or equal to 1"),
        ({"grader": {"close": {"relativ": 1}}}, "grader close: unknown key `relativ`"),
        ({"grader": "nubmers"}, "grader: unknown `nubmers`; did you mean `numbers`"),
    ],
)
def test_wrong_arguments_are_one_line(
    changes: dict[str, Any], said: str, student: leaf.Model
) -> None:
    values = {"question": QUESTION, "reference": REFERENCE, **changes}
    with pytest.raises(UsageError) as raised:
        leaf.explain(student, None, **values)
    assert said in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("question", "stays"),
    [
        ("Ada has 3 pens. It is late. How many pens does Ada have?", "How many pens"),
        ("Find the number of pens. Ada has 3 pens. It is late.", "Find the number of pens."),
        ("How many pens does Ada have. Ada has 3 pens. It is late.", "How many pens"),
        ("Ada has 3 pens. It is late. Give the number of pens.", "Give the number of pens."),
        ("Ada \u6709 3 pens. It is late. \u591a\u5c11\uff1f", "\u591a\u5c11\uff1f"),
    ],
    ids=["a question mark", "a word that asks", "no mark", "the last one", "a wide mark"],
)
@pytest.mark.parametrize("unit", ["sentence", "clause"])
def test_the_sentence_that_asks_is_never_taken_out(
    student: leaf.Model, question: str, stays: str, unit: str
) -> None:
    """Whatever the detector says: at random every order comes."""
    for seed in range(3):
        look = leaf.explain(
            student, student, question, "3", detector="random", unit=unit, answer="3", seed=seed
        )
        assert all(stays in cut.changed for cut in look.cuts)


def test_a_prompt_of_one_sentence_that_asks_has_nothing_to_cut(student: leaf.Model) -> None:
    look = leaf.explain(student, None, "How many shells does Gina have?", "1")
    assert "no piece of the question can be taken away" in str(look.skipped)
    assert look.verify()[0].reason == look.skipped
    assert "no piece" in str(look)
    assert "no piece" in look._repr_html_()
