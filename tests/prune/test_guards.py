"""What must not be cut, and what is said of it."""

import pytest

from leaf.prune import prune, refusal
from leaf.recipe import PruneSection
from leaf.records import Problem, Protected, RankedUnits, Span

WHOLE = ("word", "number")


def span(question: str, text: str) -> Span:
    start = question.index(text)
    return Span(start=start, end=start + len(text), text=text, gap=0.0, units=1)


def why(question: str, text: str, whole: tuple[str, ...] = WHOLE) -> str | None:
    problem = Problem(id="p", question=question, answer="", solution="")
    return refusal(problem, span(question, text), whole)


@pytest.mark.parametrize(
    ("question", "text", "reason"),
    [
        ("Ben has 125 pens", "12", "would cut inside a number"),
        ("Ben has 125 pens", " 1", "would cut inside a number"),
        ("Ben has 1,000 pens", "1,", "would cut inside a number"),
        ("Ben has 3.50 left", ".50", "would cut inside a number"),
        ("Eat 3/4 of it", "/4", "would cut inside a number"),
        ("Ben has 125 pens", "125", None),
        ("Ben has 125 pens", " 125", None),
        ("Ben has 1,000 pens, 2 hats", ",", "would cut inside a number"),
        # A comma between two things, and the point that ends a sentence, are no digits' marks.
        ("Ben has 1, 2 or 3.", ".", None),
        ("Ben runs home", "ru", "would cut inside a word"),
        ("Ben runs home", "uns ho", "would cut inside a word"),
        ("Ben runs home", " runs", None),
        ("It is Ben's hat", "'s", "would cut inside a word"),
        ("A well-known man", "-known", "would cut inside a word"),
        ("Zoë naïvely waits", "ïvely", "would cut inside a word"),
        # What would be left: 35 hats, which nobody has.
        ("Ben has 3 of 5 hats", " of ", "would join two numbers"),
        ("Ben runs home", " runs ", "would join two words"),
        ("Ben runs, home", " runs,", None),
    ],
)
def test_words_and_numbers_stay_whole(question: str, text: str, reason: str | None) -> None:
    assert why(question, text) == reason


def test_nothing_is_refused_unless_it_is_asked_for() -> None:
    assert why("Ben has 125 pens", "12", ()) is None
    assert why("Ben has 125 pens", "12", ("word",)) == "would cut inside a word"
    assert why("Ben runs home", "ru", ("number",)) is None


@pytest.mark.parametrize(
    ("text", "refused"), [("add_one", True), ("Write add", True), ("_one(x)", True), ("Write", 0)]
)
def test_what_the_answer_is_checked_by_is_never_cut(text: str, refused: bool) -> None:
    question = "Write add_one(x)."
    place = Protected(what="entry point", start=6, end=13)
    assert question[place.start : place.end] == "add_one"
    problem = Problem(id="p", question=question, answer="", solution="", protected=(place,))
    reason = refusal(problem, span(question, text), ())
    said = "would cut what the answer is checked by (entry point)"
    assert reason == (said if refused else None)


QUESTION = "Ben has 12 pens"
# One unit a piece: "Ben", " has", " 1", "2", " pens".
SCORES = RankedUnits(
    problem_id="p",
    starts=(0, 3, 7, 9, 10),
    ends=(3, 7, 9, 10, 15),
    rank_score=(1.0, 0.0, 0.0, 1.0, 0.05),
)
PROBLEM = Problem(id="p", question=QUESTION, answer="12", solution="12")


def test_a_refused_span_is_recorded_with_its_reason_and_the_others_are_cut() -> None:
    section = PruneSection(threshold=0.10, whole=["number"])
    cut, refused = prune(PROBLEM, SCORES, section)
    assert (cut.id, cut.question, cut.skipped) == ("p/cf0", "Ben has 12", None)
    assert refused.skipped == "would cut inside a number"
    assert [span.text for span in refused.spans] == [" has 1"]
    assert (refused.id, refused.question) == ("p/no0", QUESTION)


def test_together_only_what_no_guard_refused_is_removed() -> None:
    section = PruneSection(threshold=0.10, whole=["number"], strategy=["collective"])
    cut, refused = prune(PROBLEM, SCORES, section)
    assert (cut.strategy, cut.question) == ("collective", "Ben has 12")
    assert refused.skipped is not None


def test_where_every_span_is_refused_nothing_is_cut() -> None:
    section = PruneSection(threshold=0.0, whole=["number"], strategy=["collective"])
    (refused,) = prune(PROBLEM, SCORES, section)
    assert refused.skipped == "would cut inside a number"
