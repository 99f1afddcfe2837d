r"""Scores free text by how much of a gold it says: a score in [0, 1] that is right from a mark on.

`qa_f1`    F1 = 2 P R / (P + R) of the words, as multisets, with SQuAD's normalisation
           (`leaf.grade.qa`); of the final answer where one is marked, else of the whole response.
`rouge_l`  ROUGE-L of Lin 2004 as rouge-score computes it: the same F1, with P and R the longest
           common subsequence of words as a share of the response and of the gold; so the order
           counts, and articles do. Always of the whole response.

The best over all golds counts. An answer is right where its score is at least `threshold`, and each
of the two measures `pass` and the score is reported. A response that was cut at the token limit is
not gradable, unless it passes as far as it goes. A question without an answer (gold "") has score 1
where the response says `unanswerable` or the like.

Words of ROUGE-L are runs of letters and digits in lower case (NFKC); what is written without spaces
(Chinese, Japanese, and Korean for its endings) is compared sign by sign. Nothing is stemmed.
"""

import re
import unicodedata
from collections.abc import Sequence
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from leaf.grade.final import spoken
from leaf.grade.grader import Grader, grader
from leaf.grade.judgement import NOT_FINISHED, Judgement, ungradable
from leaf.grade.qa import final_text, golds_of, meet
from leaf.recipe import Section
from leaf.records import Answer, Measure, Outcome, Problem
from leaf.text.kinds import Kind, kind_of

Mark = Annotated[float, Field(gt=0, le=1)]
"""A score from which on an answer is right."""

PASS = "pass"  # noqa: S105 - a measure
"""The measure that says whether the score reached its mark."""

_UNSPACED = r"\u3040-\u9fff\uac00-\ud7af"
_WORD = re.compile(rf"[{_UNSPACED}]|[^\W_{_UNSPACED}]+")


class Threshold(Section):
    """From where on a score is right."""

    threshold: Mark = Field(0.5, description="least score of a right answer, above 0 and up to 1")


class Scored(Grader):
    """What graders by a score have in common."""

    Options: ClassVar[type[Section]] = Threshold
    options: Threshold
    measure: ClassVar[str]
    """What the score is called."""

    def judge(self, problem: Problem, answer: Answer) -> Judgement:
        """Score an answer and hold the score against the threshold."""
        answer = spoken(answer)
        said, ended = self.compared(answer)
        golds = self.golds(problem)
        if not golds:
            return ungradable("gold: the problem has no solution to compare with")
        score = self.score(said, golds) if any(golds) else meet(said, said, golds).f1
        threshold, finished = self.options.threshold, ended or not answer.truncated
        return by_score(self.measure, score, threshold, said, finished=finished)

    def compared(self, answer: Answer) -> tuple[str, bool]:
        """Return what of an answer is compared, and whether it surely ended."""
        return answer.text.strip(), False

    def golds(self, problem: Problem) -> Sequence[str]:
        """Return the texts of which the best counts."""
        return golds_of(problem)

    def score(self, said: str, golds: Sequence[str]) -> float:
        """Return the best score over the golds, in [0, 1]."""
        raise NotImplementedError

    def unfit(self, gold: str) -> str:
        """Say that a gold is no text: a share of its words means nothing."""
        is_text = not gold or (kind_of(gold) is Kind.TEXT and words(gold))
        return "" if is_text else "no text in words"

    def gold_text(self, problem: Problem) -> str:
        """Say the gold as it stands."""
        return next(iter(self.golds(problem)), "") or "unanswerable"


def by_score(name: str, score: float, threshold: float, said: str, *, finished: bool) -> Judgement:
    """Return the judgement of an answer with a score; one that was cut below its mark is open."""
    passes = score >= threshold
    wrong = Outcome.WRONG if finished else Outcome.UNGRADABLE
    why = f"{name} {score:.2f} is below the threshold {threshold:g}" if finished else NOT_FINISHED
    return Judgement(
        outcome=Outcome.RIGHT if passes else wrong,
        extracted=said or None,
        reason=None if passes else why,
        measures=(Measure(name=PASS, value=float(passes)), Measure(name=name, value=score)),
    )


@grader
class QaF1(Scored):
    """Right is an answer that shares enough words with a gold."""

    name = "qa_f1"
    measure = "F1"

    def compared(self, answer: Answer) -> tuple[str, bool]:
        """Return the marked final answer, else the whole response."""
        final = final_text(answer.text)
        return (final.text, final.ended) if final.marked else super().compared(answer)

    def score(self, said: str, golds: Sequence[str]) -> float:
        """Return SQuAD's F1."""
        return meet(said, said, golds).f1


@grader
class RougeL(Scored):
    """Right is a response that says enough of a gold in its order."""

    name = "rouge_l"
    measure = "ROUGE-L"

    class Options(Threshold):
        """What is compared, and from where on it is right."""

        against: Literal["answer", "solution"] = Field(
            "answer",
            description="answer: the gold answers; solution: the record's worked solution, whole",
        )

    options: Options

    def golds(self, problem: Problem) -> Sequence[str]:
        """Return the gold answers, or the solution."""
        if self.options.against == "answer":
            return golds_of(problem)
        whole = problem.response_prefix + problem.solution
        return (whole,) if whole.strip() else ()

    def score(self, said: str, golds: Sequence[str]) -> float:
        """Return ROUGE-L."""
        return max(rouge_l(words(said), words(gold)) for gold in golds if gold)

    def unfit(self, gold: str) -> str:
        """Say what a gold answer lacks; of a solution the answer says nothing."""
        return super().unfit(gold) if self.options.against == "answer" else ""


def words(text: str) -> list[str]:
    """Return the words that ROUGE-L compares."""
    return _WORD.findall(unicodedata.normalize("NFKC", text).lower())


def rouge_l(said: Sequence[str], gold: Sequence[str]) -> float:
    """Return F1 of the longest common subsequence: 2 LCS / (|said| + |gold|), in [0, 1].

    With P = LCS / |said| and R = LCS / |gold|, 2 P R / (P + R) is just that.
    """
    return 2 * _common(said, gold) / max(len(said) + len(gold), 1)


def _common(one: Sequence[str], other: Sequence[str]) -> int:
    """Return the length of the longest common subsequence.

    A row of the usual table, in which neighbours differ by 0 or 1, is the bits of one number: a 0
    where it grows (Hyyrö 2004). A long text costs as many additions as it has words.
    """
    places: dict[str, int] = {}
    for at, word in enumerate(one):
        places[word] = places.get(word, 0) | 1 << at
    row = full = (1 << len(one)) - 1
    for word in other:
        met = row & places.get(word, 0)
        row = (row + met | row - met) & full
    return len(one) - row.bit_count()
