r"""Scores answers that are mathematics: fractions, sets, intervals, matrices, words, options.

The final answer is the marked one (`leaf.grade.final`), else what math-verify finds near the end of
the text. Equal texts are right at once; all else is compared by math-verify
(`leaf.grade.symbolic`). Its known limits are ours: it ignores the base of `2516_8`, and takes
`10\%` for both 10 and 0.1. A gold answer that lists alternatives is out of scope.
"""

import re

from leaf.grade.final import Mark, final_answer
from leaf.grade.judgement import NOT_FINISHED, Comparison, Judgement, decided, ungradable
from leaf.records import Answer, Problem

_TAIL = 2000
"""Characters at the end of a text without a marked answer in which one is searched for."""

_PROSE = re.compile(r"\$|\\\(|\\\[|(?<![\\A-Za-z{])[A-Za-z]{3,}")


def judge(problem: Problem, answer: Answer) -> Judgement | Comparison:
    """Compare the final answer with the gold one as mathematics."""
    gold = problem.answer.strip()
    final = final_answer(answer.text, truncated=answer.truncated)
    if final is None and answer.truncated:
        return ungradable(NOT_FINISHED)
    if final is None:
        return Comparison(gold=gold, answer=answer.text[-_TAIL:], whole=False)
    if final.text == gold:
        return decided(True, final.text)
    if final.mark is Mark.STATED and _PROSE.search(final.text):
        # With the word in front, math-verify takes what follows it and not what comes last.
        return Comparison(gold=gold, answer=f"answer: {final.text}", whole=False)
    return Comparison(gold=gold, answer=final.text, whole=True)
