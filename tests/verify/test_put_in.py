"""What is put in: what keeps it, how it misleads, what it may say, and how much of it stays."""

import dataclasses
from collections.abc import Sequence

import pytest

from leaf.records import BETWEEN, Counterfactual, Outcome, Span, Verdict
from leaf.verify import clear, effects, judge_put_in, limit, screen
from leaf.verify.put_in import LEAST_HOSTS, STILL_RIGHT
from tests.verify.judged import REMOVAL, RIGHT, UNGRADABLE, WRONG, graded

TRANSPLANT = dataclasses.replace(
    REMOVAL,
    id="p1/tp0",
    strategy="transplant",
    question="Tom slow pens?",
    inserted="slow",
    donor="p2/cf0",
)


@pytest.mark.parametrize("student", Outcome)
@pytest.mark.parametrize(
    ("teacher", "kept", "reason"),
    [
        (RIGHT, True, "kept"),
        (WRONG, False, "teacher wrong"),
        (UNGRADABLE, False, "teacher not gradable"),
    ],
)
def test_a_transplant_is_kept_when_the_teacher_is_right_whatever_the_student_says(
    student: Outcome, teacher: Outcome, kept: bool, reason: str
) -> None:
    verdict = judge_put_in(
        TRANSPLANT, graded("is 4", student), graded("is 5", teacher), student_wrong=False
    )
    assert (verdict.kept, verdict.reason) == (kept, reason)
    # The student's answer is recorded all the same.
    assert (verdict.student, verdict.teacher) == (student, teacher)
    assert (verdict.student_text, verdict.teacher_text) == ("is 4", "is 5")
    assert (verdict.counterfactual_id, verdict.problem_id) == ("p1/tp0", "p1")


@pytest.mark.parametrize(
    ("student", "teacher", "kept", "reason"),
    [
        (WRONG, RIGHT, True, "kept"),
        (UNGRADABLE, RIGHT, True, "kept"),
        (RIGHT, RIGHT, False, "student right already"),
        (WRONG, WRONG, False, "teacher wrong"),
        (RIGHT, WRONG, False, "student right already and teacher wrong"),
    ],
)
def test_where_asked_only_transplants_that_the_student_fails_are_kept(
    student: Outcome, teacher: Outcome, kept: bool, reason: str
) -> None:
    verdict = judge_put_in(
        TRANSPLANT, graded("4", student), graded("5", teacher), student_wrong=True
    )
    assert (verdict.kept, verdict.reason) == (kept, reason)


# The effect of a text.


def inserted(text: str, number: int) -> Counterfactual:
    empty = Span(start=0, end=0, text="", gap=0.0, units=0)
    return dataclasses.replace(TRANSPLANT, id=f"p1/tp{number}", spans=(empty,), inserted=text)


def replaced(old: str, new: str, number: int) -> Counterfactual:
    span = Span(start=4, end=4 + len(old), text=f" {old}", gap=0.0, units=1)
    return dataclasses.replace(TRANSPLANT, id=f"p1/tp{number}", spans=(span,), inserted=new)


def verdict_of(item: Counterfactual, student: Outcome, teacher: Outcome) -> Verdict:
    return Verdict(
        counterfactual_id=item.id,
        problem_id=item.problem_id,
        student=student,
        teacher=teacher,
        student_text="",
        teacher_text="",
        kept=teacher is RIGHT,
        reason="kept" if teacher is RIGHT else "teacher wrong",
    )


SCREENED = [
    # Of four insertions of "slow", two mislead the student alone; one misleads both.
    (inserted("slow", 0), WRONG, RIGHT),
    (inserted("slow", 1), UNGRADABLE, RIGHT),
    (inserted("slow", 2), RIGHT, RIGHT),
    (inserted("slow", 3), WRONG, WRONG),
    (inserted("Kim", 4), RIGHT, RIGHT),
    # Replacements do not count: their problem was not solved before.
    (replaced("slow", "Kim", 5), WRONG, RIGHT),
    (replaced("slow", "slow", 6), RIGHT, RIGHT),
    (replaced("Kim", "slow", 7), RIGHT, RIGHT),
]


def test_an_effect_is_the_share_of_insertions_that_mislead_the_student_alone() -> None:
    tried = [item for item, _, _ in SCREENED]
    verdicts = [verdict_of(*case) for case in SCREENED]
    assert effects([REMOVAL, *tried], [verdicts[0], *verdicts]) == {"slow": 0.5, "Kim": 0.0}


@pytest.mark.parametrize(
    ("effect", "kept"),
    # What comes in and what goes out must both have the effect.
    [(0.0, [0, 1, 2, 4, 5, 6, 7]), (0.5, [0, 1, 2, 6]), (0.51, [])],
)
def test_screening_lets_go_of_transplants_of_texts_with_less_effect(
    effect: float, kept: list[int]
) -> None:
    tried = [item for item, _, _ in SCREENED]
    verdicts = screen(tried, [verdict_of(*case) for case in SCREENED], effect)
    assert [at for at, verdict in enumerate(verdicts) if verdict.kept] == kept
    reasons = {verdict.reason for verdict in verdicts if not verdict.kept}
    less = f"its text misled the student in less than {effect:.0%} of its insertions"
    assert reasons <= {less, "teacher wrong"}
    assert verdicts[3].reason == "teacher wrong"


def test_what_nobody_was_asked_about_is_kept() -> None:
    verdict = judge_put_in(TRANSPLANT, None, None, student_wrong=True)
    assert (verdict.kept, verdict.reason) == (True, "kept")
    assert (verdict.student, verdict.teacher) == (None, None)
    assert (verdict.student_text, verdict.teacher_text) == ("", None)


def test_a_student_alone_decides_where_the_teacher_was_not_asked() -> None:
    fails, solves = graded("4", WRONG), graded("5", RIGHT)
    assert judge_put_in(TRANSPLANT, fails, None, student_wrong=True).kept
    verdict = judge_put_in(TRANSPLANT, solves, None, student_wrong=True)
    assert (verdict.kept, verdict.reason) == (False, "student right already")
    assert judge_put_in(TRANSPLANT, solves, None, student_wrong=False).kept


# Injections: a template has another text in each host.


def injected(problem: str, donor: str, number: int = 0) -> Counterfactual:
    return Counterfactual(
        id=f"{problem}/in{number}",
        problem_id=problem,
        strategy="inject",
        spans=(Span(start=0, end=0, text="", gap=0.0, units=0),),
        question="?",
        inserted=f" {donor} of {problem}.",
        donor=donor,
    )


def said(items: Sequence[Counterfactual], students: Sequence[Outcome | None]) -> list[Verdict]:
    return [
        judge_put_in(
            item, None if student is None else graded("", student), None, student_wrong=False
        )
        for item, student in zip(items, students, strict=True)
    ]


def kept(verdicts: Sequence[Verdict]) -> list[str]:
    return [verdict.counterfactual_id for verdict in verdicts if verdict.kept]


def test_the_effect_of_an_injection_is_that_of_its_donor_over_its_hosts() -> None:
    items = [injected(f"p{at}", "age") for at in range(4)] + [injected("p4", "sky")]
    verdicts = said(items, [WRONG, RIGHT, UNGRADABLE, WRONG, RIGHT])
    assert effects(items, verdicts) == {"age": 0.75, "sky": 0.0}
    # A text in one host only has the effect 1 or 0: whether the student is wrong there.
    assert kept(screen(items, verdicts, 0.5)) == ["p0/in0", "p1/in0", "p2/in0", "p3/in0"]


def test_nothing_is_known_of_texts_that_the_student_was_not_asked_about() -> None:
    items = [injected("p0", "age"), injected("p1", "age")]
    verdicts = said(items, [None, None])
    assert effects(items, verdicts) == {}
    assert screen(items, verdicts, 1.0) == verdicts


def test_only_what_the_student_solves_without_a_text_tells_what_it_does() -> None:
    items = [injected(f"p{at}", "age") for at in range(4)]
    verdicts = said(items, [WRONG, RIGHT, WRONG, WRONG])
    solved = {"p0", "p1"}
    assert effects(items, verdicts) == {"age": 0.75}
    assert effects(items, verdicts, solved) == {"age": 0.5}
    assert kept(screen(items, verdicts, 0.6, solved)) == []
    # p0 was misled; p2 and p3 had failed before, and are no harder than p1.
    assert kept(limit(items, verdicts, 1, 0, solved)) == ["p0/in0"]
    seconds = {kept(limit(items, verdicts, 2, seed, solved))[-1] for seed in range(20)}
    assert seconds == {"p1/in0", "p2/in0", "p3/in0"}
    # Of two hosts nothing is known, of four it would be.
    assert clear(items, said(items, [WRONG] * 4), solved) == said(items, [WRONG] * 4)
    assert kept(clear(items, said(items, [WRONG] * 4))) == []


def test_a_text_that_misleads_everywhere_may_say_something() -> None:
    hosts = 10
    items = [injected(f"p{at}", "says") for at in range(hosts)]
    items += [injected(f"p{at}", "clear", 1) for at in range(hosts)]
    # Right in 1 of 10 hosts (less than a fifth), and in 2 of 10.
    one, two = [RIGHT] + [WRONG] * 9, [RIGHT] * 2 + [WRONG] * 8
    assert 1 < STILL_RIGHT * hosts <= 2
    verdicts = clear(items, said(items, [*one, *two]))
    assert kept(verdicts) == [f"p{at}/in1" for at in range(hosts)]
    assert {verdict.reason for verdict in verdicts if not verdict.kept} == {
        "ambiguous: the student is right in less than 20% of its text's hosts"
    }


def test_too_few_hosts_say_nothing_about_a_text() -> None:
    items = [injected(f"p{at}", "age") for at in range(LEAST_HOSTS - 1)]
    verdicts = said(items, [WRONG] * len(items))
    assert clear(items, verdicts) == verdicts


def test_a_limit_takes_one_of_each_problem_first_and_the_hard_ones_first() -> None:
    items = [
        injected("p0", "age"),
        injected("p0", "sky", 1),
        injected("p1", "sky"),
        injected("p2", "age"),
        injected("p3", "dog"),
    ]
    # age misled in 2 of 2, sky in 1 of 2, dog in none.
    verdicts = said(items, [WRONG, WRONG, RIGHT, WRONG, RIGHT])
    order = ["p0/in0", "p2/in0", "p1/in0", "p3/in0", "p0/in1"]
    # The first two are equal: which of them is first is drawn.
    for most in (0, 2, 3, 4, 5):
        assert set(kept(limit(items, verdicts, most, seed=0))) == set(order[:most])
    assert kept(limit(items, verdicts, 2.9, seed=0)) == ["p0/in0", "p2/in0"]
    over = limit(items, verdicts, 0, seed=0)
    assert {verdict.reason for verdict in over} == {"more than prune.share allows"}


def test_transplants_and_injections_take_turns_in_a_limit() -> None:
    moved = [
        dataclasses.replace(injected(f"q{at}", "x"), id=f"q{at}/tp0", strategy="transplant")
        for at in range(3)
    ]
    items = [injected(f"p{at}", "age") for at in range(5)] + moved
    verdicts = said(items, [WRONG] * 5 + [RIGHT] * 3)
    for most, shares in ((4, [2, 2]), (6, [3, 3]), (7, [4, 3])):
        names = kept(limit(items, verdicts, most, seed=0))
        assert [sum(one.startswith(kind) for one in names) for kind in "pq"] == shares


def test_what_was_let_go_takes_no_place_of_a_limit() -> None:
    items = [injected(f"p{at}", "age") for at in range(3)]
    verdicts = said(items, [WRONG] * 3)
    verdicts[0] = dataclasses.replace(verdicts[0], kept=False, reason="teacher wrong")
    assert kept(limit(items, verdicts, 2, seed=0)) == ["p1/in0", "p2/in0"]
    assert limit(items, verdicts, 2, seed=0)[0].reason == "teacher wrong"


def test_equals_are_drawn_by_the_seed_and_not_by_their_order() -> None:
    items = [injected(f"p{at}", "age") for at in range(20)]
    verdicts = said(items, [WRONG] * 20)
    there = {seed: set(kept(limit(items, verdicts, 8, seed))) for seed in range(2)}
    back = set(kept(limit(items[::-1], verdicts[::-1], 8, seed=0)))
    assert there[0] == back != there[1]


def test_texts_put_in_together_count_for_none_of_them_and_stay_with_one_that_misleads() -> None:
    place = Span(start=3, end=3, text="", gap=0.0, units=0)
    alone = dataclasses.replace(
        TRANSPLANT, strategy="inject", spans=(place,), inserted=" slow", donor="misleads"
    )
    tried = [
        dataclasses.replace(alone, id="p1/in0"),
        dataclasses.replace(alone, id="p1/in1", donor="harmless"),
        dataclasses.replace(
            alone, id="p1/in2", spans=(place, place), donor=BETWEEN.join(("harmless", "misleads"))
        ),
        dataclasses.replace(
            alone, id="p1/in3", spans=(place, place), donor=BETWEEN.join(("harmless", "unknown"))
        ),
    ]
    verdicts = [
        judge_put_in(item, graded("4", outcome), None, student_wrong=False)
        for item, outcome in zip(tried, (WRONG, RIGHT, WRONG, WRONG), strict=True)
    ]
    assert effects(tried, verdicts) == {"misleads": 1.0, "harmless": 0.0}
    assert [verdict.kept for verdict in screen(tried, verdicts, 0.5)] == [True, False, True, False]
