"""What is put into a question: does it mislead the student, and does it really say nothing?

The right answer to an insertion is known: it is that of the question without it. So nobody has to
be asked; who is asked can refuse it.
"""

import dataclasses
import math
import zlib
from collections import Counter
from collections.abc import Collection, Mapping, Sequence

from leaf.records import BETWEEN, Answer, Counterfactual, Outcome, Score, Verdict
from leaf.verify.judge import in_words

LEAST_HOSTS = 3
"""So many questions a text must stand in before the student's answers tell what it says."""

STILL_RIGHT = 0.2
"""Share of its hosts in which the student must still be right: a text that changes what is asked
misleads everybody everywhere."""


def judge_put_in(
    item: Counterfactual,
    student: tuple[Answer, Score] | None,
    teacher: tuple[Answer, Score] | None,
    *,
    student_wrong: bool,
) -> Verdict:
    """Judge a transplant or an injection by the answers to it; None was not asked.

    It is kept unless the teacher was asked and is not right or, with `student_wrong`, the student
    was asked and is right: there it has nothing to learn.
    """
    reasons = []
    if student_wrong and student is not None and student[1].right:
        reasons.append("student right already")
    if teacher is not None and not teacher[1].right:
        reasons.append(f"teacher {in_words(teacher[1].outcome)}")
    return Verdict(
        counterfactual_id=item.id,
        problem_id=item.problem_id,
        student=None if student is None else student[1].outcome,
        teacher=None if teacher is None else teacher[1].outcome,
        student_text="" if student is None else student[0].text,
        teacher_text=None if teacher is None else teacher[0].text,
        kept=not reasons,
        reason=" and ".join(reasons) or "kept",
    )


def effects(
    tried: Sequence[Counterfactual],
    verdicts: Sequence[Verdict],
    solved: Collection[str] | None = None,
) -> dict[str, float]:
    """Return how often each inserted text misled the student and not the teacher, in [0, 1].

    Only insertions into problems that the student solves without the text count. An estimate of
    the effect of do(insert text) on the student; by chance verified cuts have little. An injection
    goes by its donor: a template has another number in each host; one of several texts says nothing
    of either. A teacher that was not asked does not contradict.

    Args:
        tried: Counterfactuals; those that insert nothing into a whole question are passed over.
        verdicts: One for each of `tried`, in that order.
        solved: Problems that the student solves; None: all that something was inserted into.
    """
    misled = {
        text: [verdict.student is not Outcome.RIGHT and not _refused(verdict) for verdict in found]
        for text, found in _by_text(tried, verdicts, solved).items()
    }
    return {text: sum(found) / len(found) for text, found in misled.items()}


def screen(
    tried: Sequence[Counterfactual],
    verdicts: Sequence[Verdict],
    effect: float,
    solved: Collection[str] | None = None,
) -> list[Verdict]:
    """Let go of kept transplants and injections whose text has less than this effect (`effects`).

    Of a replacement both texts count, what came in and what went out; of texts put in together one
    is enough. Where the student was not asked nothing is known, and nothing goes.
    """
    known = effects(tried, verdicts, solved)
    reason = f"its text misled the student in less than {effect:.0%} of its insertions"
    return [
        _let_go(verdict, reason)
        if verdict.kept and verdict.student is not None and _least_effect(item, known) < effect
        else verdict
        for item, verdict in zip(tried, verdicts, strict=True)
    ]


def clear(
    tried: Sequence[Counterfactual],
    verdicts: Sequence[Verdict],
    solved: Collection[str] | None = None,
) -> list[Verdict]:
    """Let go of texts that may say something, where there is no teacher to ask (ambiguity).

    With a text that says nothing the student is still right in some of its hosts: in at least
    `STILL_RIGHT` of them. Of a text in fewer than `LEAST_HOSTS` nothing is known, and it stays.
    """
    unclear = {
        text
        for text, found in _by_text(tried, verdicts, solved).items()
        if len(found) >= LEAST_HOSTS
        and sum(verdict.student is Outcome.RIGHT for verdict in found) < STILL_RIGHT * len(found)
    }
    reason = f"ambiguous: the student is right in less than {STILL_RIGHT:.0%} of its text's hosts"
    return [
        _let_go(verdict, reason)
        if verdict.kept and not unclear.isdisjoint(_texts(item))
        else verdict
        for item, verdict in zip(tried, verdicts, strict=True)
    ]


def limit(
    tried: Sequence[Counterfactual],
    verdicts: Sequence[Verdict],
    most: float,
    seed: int,
    solved: Collection[str] | None = None,
    key: str = "prune.share",
) -> list[Verdict]:
    """Keep at most so many: first one a problem, and those first that mislead the student most.

    `key` is the recipe's that says how many.

    Hard is what the student fails though it solves the problem, then what has misled it in more of
    its hosts; the rest is drawn.
    Transplants and injections take turns, so that neither crowds out the other.
    """
    known = effects(tried, verdicts, solved)

    def misled(at: int) -> bool:
        known_host = (
            solved is None or tried[at].problem_id in solved or bool(tried[at].spans[0].text)
        )
        return known_host and verdicts[at].student not in {None, Outcome.RIGHT}

    hard = sorted(
        (at for at, verdict in enumerate(verdicts) if verdict.kept),
        key=lambda at: (
            not misled(at),
            -_least_effect(tried[at], known),
            *drawn_by(seed, tried[at].id),
        ),
    )
    of_problem, of_kind = Counter[str](), Counter[tuple[str, int]]()
    turns = {}
    for at in hard:
        item = tried[at]
        round_ = of_problem[item.problem_id]
        turns[at] = round_, of_kind[item.strategy, round_]
        of_problem[item.problem_id] += 1
        of_kind[item.strategy, round_] += 1
    over = set(sorted(hard, key=turns.__getitem__)[math.floor(most) :])
    reason = f"more than {key} allows"
    return [
        _let_go(verdict, reason) if at in over else verdict for at, verdict in enumerate(verdicts)
    ]


def drawn_by(seed: int, name: str) -> tuple[int, str]:
    """Return what names are sorted by to draw some: at random by the seed, whatever their order."""
    return zlib.crc32(f"{seed} {name}".encode()), name


def _texts(item: Counterfactual) -> list[str]:
    """Return what names each text that was put in."""
    return (item.donor if item.strategy == "inject" else item.inserted).split(BETWEEN)


def _by_text(
    tried: Sequence[Counterfactual],
    verdicts: Sequence[Verdict],
    solved: Collection[str] | None,
) -> dict[str, list[Verdict]]:
    """Return the verdicts of each text's insertions that the student was asked about."""
    found: dict[str, list[Verdict]] = {}
    for item, verdict in zip(tried, verdicts, strict=True):
        known_host = solved is None or item.problem_id in solved
        alone = item.inserted and not item.spans[0].text and len(item.spans) == 1
        if alone and verdict.student is not None and known_host:
            found.setdefault(_texts(item)[0], []).append(verdict)
    return found


def _refused(verdict: Verdict) -> bool:
    return verdict.teacher not in {None, Outcome.RIGHT}


def _least_effect(item: Counterfactual, known: Mapping[str, float]) -> float:
    came = max(known.get(text, 0.0) for text in _texts(item))
    went = [known.get(span.text.strip(), 0.0) for span in item.spans if span.text.strip()]
    return min([came, *went])


def _let_go(verdict: Verdict, reason: str) -> Verdict:
    return dataclasses.replace(verdict, kept=False, reason=reason)
