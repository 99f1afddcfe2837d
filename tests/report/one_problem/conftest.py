"""One entry of a ledger, made by hand: a cue that was found, and what was tried on it."""

import dataclasses

import pytest

from leaf.recipe import Recipe
from leaf.recipe.reading import check_recipe
from leaf.records import Outcome, Span
from leaf.store.ledger import Entry, RankedUnit, Ranking, Said, Unit, Variant

QUESTION = "Ben has 3 red pens. How many?"
RIGHT, WRONG = Outcome.RIGHT, Outcome.WRONG


@pytest.fixture
def recipe() -> Recipe:
    return check_recipe(
        {
            "name": "tiny",
            "student": {"model": "org/small"},
            "teacher": {"model": "org/large"},
            "data": {"task": "gsm8k"},
            "attribute": {"controls": ["random"]},
            "evaluate": {"benchmarks": {}},
        },
        source="tiny",
    )


@pytest.fixture
def by_sentence(entry: Entry, recipe: Recipe) -> tuple[Entry, Recipe]:
    """The same where ablation ranked its two sentences: the first is cut first."""
    border = QUESTION.index(" How")
    units = (
        RankedUnit(start=0, end=border, score=1.0),
        RankedUnit(start=border, end=len(QUESTION), score=0.0),
    )
    ranked = dataclasses.replace(
        entry,
        variants=(variant("cf0", QUESTION[:border], detector="ablation", **both("3", "3")),),
        rankings=(Ranking(detector="ablation", unit="sentence", units=units),),
    )
    section = recipe.attribute.model_copy(update={"detector": "ablation"})
    return ranked, recipe.model_copy(update={"attribute": section})


def unit(text: str, teacher: float, student: float, gap: float) -> Unit:
    start = QUESTION.index(text)
    return Unit(
        start=start,
        end=start + len(text),
        text=text,
        teacher_raw=teacher,
        student_raw=student,
        teacher=teacher,
        student=student,
        gap=gap,
    )


def variant(name: str, text: str, **changes: object) -> Variant:
    start = QUESTION.index(text)
    end = start + len(text)
    inserted = str(changes.get("inserted", ""))
    values = {
        "id": f"p/{name}",
        "detector": "gradient",
        "strategy": "span",
        "spans": (Span(start=start, end=end, text=text, gap=0.0, units=1),),
        "question": QUESTION[:start] + (inserted and f" {inserted}") + QUESTION[end:],
        "inserted": "",
        "donor": "",
        "student": Said(text="I say 7", outcome=WRONG),
        "teacher": None,
        "kept": False,
        "reason": "student wrong",
    }
    return Variant(**(values | changes))  # type: ignore[arg-type]


def both(student: str, teacher: str) -> dict[str, object]:
    said = {"student": Said(text=student, outcome=RIGHT)}
    return {**said, "teacher": Said(text=teacher, outcome=RIGHT), "kept": True, "reason": "kept"}


@pytest.fixture
def entry() -> Entry:
    return Entry(
        problem_id="p",
        entered=True,
        level="instruction",
        prompt="",
        before="",
        question=QUESTION,
        after="",
        answer="3",
        reference="3 pens",
        student=Said(text="first I said 7", outcome=WRONG),
        teacher=Said(text="it is 3", outcome=RIGHT),
        student_loss=1.0,
        teacher_loss=0.5,
        units=(
            unit("Ben", 0.0, 0.5, 0.2),
            unit(" has 3", 1.0, 0.0, 1.0),
            unit(" red", 0.0, 1.0, 0.0),
            unit(" pens.", 0.5, 0.5, 0.5),
        ),
        skipped=None,
        variants=(
            variant("cf0", " red", **both("now 3", "still 3")),
            variant("cf1", "Ben"),
            variant("sb0", " red", strategy="substitute", inserted="simply"),
            variant("no0", " pens.", student=None, reason="would cut inside a word"),
            variant("cf0", " has 3", detector="random"),
        ),
    )
