"""A changed question in short: each text that came in, at its place."""

from leaf.records import BETWEEN, Span
from leaf.report.excerpts import excerpt
from leaf.report.one_problem import _coloured
from leaf.store.ledger import Variant

QUESTION = "Ann has 2 pens. Bo gives 1 pen to Ann. How many pens does Ann have now?"


def test_of_texts_put_in_together_each_is_marked_where_it_stands() -> None:
    places = [15, 38]
    texts = [" It rains.", " Cy is 7."]
    variant = Variant(
        id="p0/in1",
        detector="ablation",
        strategy="inject",
        spans=tuple(Span(start=at, end=at, text="", gap=0.0, units=0) for at in places),
        question="Ann has 2 pens. It rains. Bo gives 1 pen to Ann. Cy is 7. How many pens does Ann"
        " have now?",
        inserted=BETWEEN.join(texts),
        donor=BETWEEN.join(("rain", "age")),
        student=None,
        teacher=None,
        kept=True,
        reason="kept",
    )
    pieces = excerpt(QUESTION, variant)
    assert [piece.text for piece in pieces if piece.inserted] == texts
    assert "".join(piece.text or "" for piece in pieces) == variant.question


def test_only_units_that_were_taken_out_whole_are_struck_through() -> None:
    text = "Today, Bo gives 1 pen. Why?"
    ranked = [(0, 22, {"score": 1.0}), (22, 27, {"score": 0.0})]
    clause = Span(start=0, end=6, text="Today,", gap=0.0, units=1)
    sentence = Span(start=0, end=22, text=text[:22], gap=0.0, units=1)

    for spans, struck in (([clause], False), ([clause, sentence], True)):
        first, second = _coloured(text, ranked, {"removed": spans})
        assert (first["removed"], second["removed"]) == (struck, False)
