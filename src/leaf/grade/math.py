r"""Scores answers that are mathematics: fractions, sets, intervals, matrices, words, options.

The final answer is the marked one (`leaf.grade.final`), else what math-verify finds near the end of
the text. Equal texts are right at once; all else is compared by math-verify
(`leaf.grade.symbolic`), after rewrites of notation (`leaf.grade.written`).

Known limits, most of them math-verify's (tests/grade/pairs.py shows them):
- `10\%` is right for 10 and for 0.1;
- a decimal is right that agrees to six places (0.333333 for 1/3);
- a pair and its bare list are one (`2, 4` for `(2,4)`), a set and its tuple too (`(4,5,7)`);
- a repeated answer counts once (`\{1, 2\}` for `1, 1, 2`);
- the vector `\begin{pmatrix}7\\5\end{pmatrix}` is not `(7,5)`; `f(t)=2t` is not `f(x)=2x`;
- `e^{i\pi/4}` is not its Cartesian form; `x<0 \text{ or } x=1` is not the union of the two;
- the word `four` is not 4; `1101_{\text{two}}` cannot be read.
"""

import re

from leaf.grade.final import FinalAnswer, Mark, final_answer, last_statement, spoken
from leaf.grade.grader import Grader, grader
from leaf.grade.hedged import HEDGED, SEVERAL, affirmed, hedged_options, without_denied
from leaf.grade.judgement import (
    NOT_FINISHED,
    Comparison,
    Judgement,
    compared,
    decided,
    ungradable,
)
from leaf.grade.written import options
from leaf.records import Answer, Problem
from leaf.text.latex import boxes
from leaf.text.number import read_number

TAIL = 2000
"""Characters at the end of a text without a marked answer in which one is searched for."""

_PROSE = re.compile(r"\$|\\\(|\\\[|(?<![\\A-Za-z{])[A-Za-z]{3,}")
_FORMULA = re.compile(r"[0-9$\\=]")
_CLAUSE_END = re.compile(
    r",?\s(?:since|because|as|so|where|which|when|if|for)\b|,\s(?=[A-Za-z]{3})"
)
_CHOICE = re.compile(
    r"(?:option|choice|answer|选项)?[\s:：*(\[{$]{0,9}(?:\\text(?:bf|rm)?\{[\s(]{0,9})?"
    r"[A-H](?![A-Za-z0-9])",
    re.IGNORECASE,
)


@grader
class Math(Grader):
    """Right is the same mathematics."""

    name = "math"

    def judge(self, problem: Problem, answer: Answer) -> Judgement | Comparison:
        """Compare the final answer with the gold one as mathematics."""
        first = spoken(answer)
        judged = self._judge(problem, first)
        unread = isinstance(judged, Comparison) and not judged.final
        # A first turn without mathematics was an introduction.
        if unread and first is not answer and not _FORMULA.search(first.text):
            return self._judge(problem, answer)
        return judged

    def _judge(self, problem: Problem, answer: Answer) -> Judgement | Comparison:
        gold = gold_of(problem)
        final = _final(answer, gold)
        if final is None and answer.truncated:
            return ungradable(NOT_FINISHED)
        if final is None:
            return _searched(gold, answer.text[-TAIL:])
        if final.mark is not Mark.STATED:
            return same_or_compared(gold, final.text)
        said = affirmed(final.text)
        clause = _CLAUSE_END.split(said, maxsplit=1)[0]
        # Words beside a number are its unit.
        plain = not _PROSE.search(clause) or read_number(clause) is not None
        if plain or hedged_options(said):
            return same_or_compared(gold, clause)
        # With the word in front, math-verify takes what follows it and not what comes last.
        return Comparison(gold=gold, answer=f"answer: {said}", whole=False, stated=True)


def gold_of(problem: Problem) -> str:
    """Return the gold answer of a problem; one in a box is read as an answer is."""
    gold = problem.answer.strip()
    return next(reversed(boxes(gold)), gold)


def _searched(gold: str, text: str) -> Judgement | Comparison:
    """Search a text without a mark; a number that it denies is none that it says."""
    if options(gold) and hedged_options(text.strip()) == SEVERAL:
        return decided(False, text.strip(), SEVERAL)
    kept = without_denied(text) if read_number(gold) is not None else None
    if kept and kept.hedged:
        return decided(False, kept.text.strip(), HEDGED)
    return Comparison(gold=gold, answer=kept.text if kept else text, whole=False)


def _final(answer: Answer, gold: str) -> FinalAnswer | None:
    """Return the marked final answer; where an option is asked for, one that names an option."""
    final = final_answer(answer.text, truncated=answer.truncated)
    if final and options(gold) and not _CHOICE.match(final.text):
        stated = last_statement(answer.text, truncated=answer.truncated)
        if stated and _CHOICE.match(stated):
            return FinalAnswer(text=stated, mark=Mark.STATED)
    return final


def same_or_compared(gold: str, said: str, golds: tuple[str, ...] = ()) -> Judgement | Comparison:
    """Compare a text that is the final answer and nothing else; of `golds` each must be given."""
    return decided(True, said) if said == gold else compared(gold, said, golds=golds)
