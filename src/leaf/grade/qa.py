r"""Scores short answers to questions: EM, F1 and SubEM with SQuAD's normalisation.

Texts are compared lower-case, without ASCII punctuation, without a, an, the, and with single spaces
(Rajpurkar et al. 2016). For the final answer p of a response and its gold answers, the best over
the golds g:
    EM     1 where p equals g
    F1     2 P R / (P + R) of the words of p and g, as multisets
    SubEM  1 where g is a piece of the normalised *whole* response (as in HELMET)
`qa` calls an answer right when a gold stands in the response as whole words: SubEM, less the hits
inside other words (`no` in `know`, `7` in `1957`). `qa_exact` calls it right when EM is 1.

The final answer is the rest of the line after the last `Answer:`; else the last `\boxed{...}` or
`<answer>...</answer>`; else the sentence after the last `answer is`; else the first line. What
marks it in other languages, and what of a response counts at all, says `leaf.grade.final`.
Boxes and text commands of LaTeX are taken off. A gold with Chinese, Japanese or Korean letters at
its edge needs no spaces around it. A question without an answer (gold "") is right, and all three
measures are 1, when the final answer says `unanswerable` or the like.

Known limits, those of the measures themselves: a response that names many candidates passes SubEM;
letters in another Unicode form (e and a combining accent for é) and quotes that are not ASCII make
a difference. A gold that normalisation leaves empty (`*`, `A`) is compared as it is written, and
never searched for: the one place where EM and F1 are not SQuAD's, which take `*` for `!`.
"""

import re
import string
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from leaf.grade.final import STATED, given_answer, spoken
from leaf.grade.grader import Grader, grader
from leaf.grade.judgement import NOT_FINISHED, Judgement
from leaf.records import Answer, Measure, Outcome, Problem
from leaf.text.latex import without_boxes

# Every pattern here takes time linear in the text: hostile answers are read in our own process.
_LINE_MARK = re.compile(
    r"(?:\banswer|\bAntwort|\br[ée]ponse|\brespuesta|\bresposta|\brisposta|答案|答え|答|回答|정답|답)"
    r"[ *_\u00a0\u202f]{0,4}[:：](?:\*\*|__)?\s{0,8}",
    re.IGNORECASE,
)
_SENTENCE_MARK = re.compile(
    rf"\banswer(?: to (?:the|this|your) question)? (?:is|are)\b[\s*_:]{{0,8}}|{STATED.pattern}",
    re.IGNORECASE,
)
# Three letters before the point: `J. R. R. Tolkien` and `St. Louis` are no ends.
_SENTENCE_END = re.compile(r"(?<=\w\w\w)[.!?](?=\s)|[。！？]|\n")
_LINE_END = re.compile(r"\n")
_EAST_ASIAN = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]")
_ARTICLES = re.compile(r"\b(?:a|an|the)\b")
_PUNCTUATION = str.maketrans("", "", string.punctuation)
_NO_ANSWER = re.compile(
    r"\b(?:unanswerable|not answerable|no answer|(?:can ?not|cant) be answered)\b"
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Final:
    """Where a response says its final answer."""

    text: str
    """May be empty."""
    marked: bool
    """Said after a mark; else it is the first line."""
    ended: bool
    """Text follows its line or sentence, so that it was not cut off."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Match:
    """How well a response meets its golds."""

    exact: bool
    f1: float
    """In [0, 1]."""
    contained: bool
    """A gold is a piece of the response (SubEM)."""
    stands: bool
    """A gold is a run of whole words of the response."""


@grader
class Qa(Grader):
    """Right is a gold that stands anywhere in the answer."""

    name = "qa"

    def judge(self, problem: Problem, answer: Answer) -> Judgement:
        """Compare the final answer, and the whole text, with every gold."""
        answer = spoken(answer)
        final = final_text(answer.text)
        match = meet(final.text, without_boxes(answer.text), golds_of(problem))
        return _judgement(match, final, self.is_right(match, final, answer), answer.truncated)

    def is_right(self, match: Match, final: Final, answer: Answer) -> bool:
        """Decide by how well the response meets its golds."""
        return match.stands

    def gold_text(self, problem: Problem) -> str:
        """Say the gold answer as the request of questions with passages asks for it."""
        return f"Answer: {problem.answer or 'unanswerable'}"


@grader
class QaExact(Qa):
    """Right is a final answer that equals a gold."""

    name = "qa_exact"

    def is_right(self, match: Match, final: Final, answer: Answer) -> bool:
        """Take an exact match whose end was not cut off."""
        return match.exact and (final.ended or not answer.truncated)


def golds_of(problem: Problem) -> tuple[str, ...]:
    """Return all answers that are as good; only "" where the question has none."""
    return (problem.answer, *problem.golds)


def final_text(text: str) -> Final:
    """Return the final answer of a response."""
    lines = _last(_LINE_MARK, text)
    if lines is None and (given := given_answer(text)):
        return Final(text=without_boxes(given), marked=True, ended=True)
    mark = lines or _last(_SENTENCE_MARK, text)
    start = mark.end() if mark else len(text) - len(text.lstrip())
    found = (_SENTENCE_END if mark and not lines else _LINE_END).search(text, start)
    said = text[start : found.start() if found else len(text)]
    plain = without_boxes(said).strip(" \t\r\n*_`。") or said.strip()
    return Final(text=plain, marked=mark is not None, ended=found is not None)


def meet(final: str, response: str, golds: Sequence[str]) -> Match:
    """Compare a final answer, and the response that holds it, with every gold; the best counts."""
    if not any(golds):
        says_none = _NO_ANSWER.search(normalised(final)) is not None
        return Match(exact=says_none, f1=float(says_none), contained=says_none, stands=says_none)
    said, whole = normalised(final), normalised(response)
    wanted = [normalised(gold) for gold in golds]
    bare = [gold.strip().lower() for gold in golds if not normalised(gold)]
    exact = said in wanted if said else final.strip().lower() in bare
    words = Counter(said.split())
    return Match(
        exact=exact,
        f1=1.0 if exact else max(_f1(words, Counter(gold.split())) for gold in wanted),
        contained=exact or any(gold in whole for gold in wanted if gold),
        stands=exact or any(_stands(gold, whole) for gold in wanted if gold),
    )


def _stands(gold: str, whole: str) -> bool:
    """Whether a text is a run of whole words of another; where there are no spaces, any run."""
    before, after = ("" if _EAST_ASIAN.match(gold[at]) else " " for at in (0, -1))
    return f"{before}{gold}{after}" in f" {whole} "


def _last(mark: re.Pattern[str], text: str) -> re.Match[str] | None:
    last = None
    for last in mark.finditer(text):  # noqa: B007 - only the last one is wanted
        pass
    return last


def normalised(text: str) -> str:
    """Return a text as SQuAD compares it: without case, punctuation, articles, spare spaces."""
    plain = text.lower().translate(_PUNCTUATION)
    return " ".join(_ARTICLES.sub(" ", plain).split())


def _f1(said: Counter[str], gold: Counter[str]) -> float:
    """Harmonic mean of precision and recall over words; 0 where one has none."""
    return 2 * (said & gold).total() / max(said.total() + gold.total(), 1)


def _judgement(match: Match, final: Final, right: bool, truncated: bool) -> Judgement:
    """Return the outcome with its measures; what was cut before its final answer is not wrong."""
    unfinished = truncated and not right and not (final.marked and final.ended)
    wrong = Outcome.UNGRADABLE if unfinished else Outcome.WRONG
    return Judgement(
        outcome=Outcome.RIGHT if right else wrong,
        extracted=final.text or None,
        reason=NOT_FINISHED if unfinished else None,
        measures=(
            Measure(name="EM", value=float(match.exact)),
            Measure(name="F1", value=match.f1),
            Measure(name="SubEM", value=float(match.contained)),
        ),
    )
