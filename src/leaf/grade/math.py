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
- `1.2e3` is not 1200, the word `four` not 4; `1101_{\text{two}}` cannot be read.
"""

import re

from leaf.grade.final import Mark, final_answer
from leaf.grade.grader import Grader, grader
from leaf.grade.judgement import (
    NOT_FINISHED,
    Comparison,
    Judgement,
    compared,
    decided,
    ungradable,
)
from leaf.records import Answer, Problem

TAIL = 2000
"""Characters at the end of a text without a marked answer in which one is searched for."""

_PROSE = re.compile(r"\$|\\\(|\\\[|(?<![\\A-Za-z{])[A-Za-z]{3,}")


@grader
class Math(Grader):
    """Right is the same mathematics."""

    name = "math"

    def judge(self, problem: Problem, answer: Answer) -> Judgement | Comparison:
        """Compare the final answer with the gold one as mathematics."""
        final = final_answer(answer.text, truncated=answer.truncated)
        if final is None and answer.truncated:
            return ungradable(NOT_FINISHED)
        gold = problem.answer.strip()
        if final is None:
            return Comparison(gold=gold, answer=answer.text[-TAIL:], whole=False)
        if final.mark is Mark.STATED and _PROSE.search(final.text):
            # With the word in front, math-verify takes what follows it and not what comes last.
            return Comparison(gold=gold, answer=f"answer: {final.text}", whole=False)
        return same_or_compared(gold, final.text)


def same_or_compared(gold: str, said: str, golds: tuple[str, ...] = ()) -> Judgement | Comparison:
    """Compare a text that is the final answer and nothing else; of `golds` each must be given."""
    return decided(True, said) if said == gold else compared(gold, said, golds=golds)
