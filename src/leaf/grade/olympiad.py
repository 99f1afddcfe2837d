r"""Scores answers to OlympiadBench: several answers in any order, units, a tolerance.

One gold answer is judged as `leaf.grade.math` does, with the error that the problem allows
(`Problem.tolerance`). Of several (`Problem.golds`) each must be given exactly once, in any order:
in one box (`1, 3`, `1 \text{ and } 3`, `\{1, 3\}`, `x = 1 \text{ or } x = 3`, `\pm 2`), or one a
box; then all boxes of the text count, as they do for the judge that OlympiadBench ships. Without a
mark it is the formulas of the last line, as there.

Where we differ from that judge (`eval/auto_scoring_judge.py`): it takes a number for right when it
is 100 times too large or too small (percent), we only where a percent sign is written; equal to
10^-8, we to six decimals as math-verify.
"""

import re
from dataclasses import replace

from leaf.grade.final import FinalAnswer, Mark, final_answer, spoken
from leaf.grade.grader import grader
from leaf.grade.judgement import Comparison, Judgement
from leaf.grade.math import TAIL, Math, same_or_compared
from leaf.records import Answer, Problem
from leaf.text.latex import boxes, parts

_FORMULA = re.compile(r"\$([^$]+)\$")


@grader
class Olympiad(Math):
    """Right is every one of several answers, with units and tolerance."""

    name = "olympiad"

    def judge(self, problem: Problem, answer: Answer) -> Judgement | Comparison:
        """Compare the final answer, or answers, with all that the problem asks for."""
        if len(problem.golds) > 1:
            answer = spoken(answer)
            final = final_answer(answer.text, truncated=answer.truncated)
            said = _listed(answer.text, final) if final else ""
            if not final and not answer.truncated:
                said = _inline(problem, answer)
            if said:
                return same_or_compared(problem.answer.strip(), said, problem.golds)
        judged = super().judge(problem, answer)
        if isinstance(judged, Comparison):
            return replace(judged, tolerance=problem.tolerance)
        return judged

    def gold_text(self, problem: Problem) -> str:
        """Say all gold answers in one box."""
        return f"\\boxed{{{', '.join(problem.golds) or problem.answer}}}"

    def as_gold(self, problem: Problem, said: str) -> Problem:
        """Return a problem all of whose golds are what a model said, in any order."""
        several = parts(said) if len(problem.golds) > 1 else []
        return replace(problem, answer=said, golds=tuple(several))


def _inline(problem: Problem, answer: Answer) -> str:
    """Return the formulas of the last line as a list where they are as many as asked for."""
    last_line = answer.text[-TAIL:].rstrip().rpartition("\n")[2]
    listed = ", ".join(_FORMULA.findall(last_line))
    return listed if len(parts(listed)) == len(problem.golds) else ""


def _listed(text: str, final: FinalAnswer) -> str:
    every = list(dict.fromkeys(boxes(text))) if final.mark is Mark.BOXED else []
    is_one_a_box = len(every) > 1 and len(parts(final.text)) == 1
    return ", ".join(every) if is_one_a_box else final.text
