"""Two final answers are one when the grader takes either for the other."""

from leaf.grade import open_graders
from leaf.recipe import GradeSection
from leaf.records import Problem

CASES = [
    ("numbers", "1,000", "1000.0", True),
    ("numbers", "7", "8", False),
    # Of mathematics the same value is, of text the same words.
    ("math", "\\frac{1}{2}", "0.5", True),
    ("math", "\\frac{1}{2}", "2", False),
    ("olympiad", "1, 3", "3, 1", True),
    ("olympiad", "1, 3", "1", False),
    ("qa", "The Beatles", "beatles", True),
    # `qa` finds the gold in the answer, so that one way alone would do.
    ("qa", "Paris, Texas", "Paris", False),
    ("choice", "B", "C", False),
    ("rouge_l", "He left at noon.", "He left at noon, then.", True),
    ("rouge_l", "He left at noon.", "Nobody knows", False),
]


def test_answers_are_the_same_as_their_grader_compares_whether_right_or_wrong() -> None:
    pairs = [
        (
            Problem(
                id=f"p{at}", question="?", answer="5", golds=("5", "6"), solution="", grader=grader
            ),
            one,
            other,
        )
        for at, (grader, one, other, _) in enumerate(CASES)
    ]
    with open_graders(GradeSection(workers=1, time_limit=20.0)) as graders:
        found = graders.alike(pairs)
    assert found == [same for *_, same in CASES]
