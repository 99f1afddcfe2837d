"""A grader of your own, with an option that recipes set.

    python examples/own_grader.py run demo --set data.grader.shown.equations=1 --out runs/shown

It takes every command of `leaf`. This grader wants the right number and some working: so many
equations. To use it, copy this file and write your own `judge`. Where a model judges, write
`grade_many(problems, answers, tools)` in its place, and open the model by `tools.keep`.
"""

from pydantic import Field

from leaf.cli.main import main
from leaf.grade import Grader, grader
from leaf.grade.judgement import Judgement, decided
from leaf.grade.numbers import final_number
from leaf.recipe import Section
from leaf.records import Answer, Problem
from leaf.text.number import read_number


@grader
class Shown(Grader):
    """Right is the gold number after so many equations."""

    name = "shown"

    class Options(Section):
        """What working is asked for."""

        equations: int = Field(1, description="fewest equations of a right answer")

    options: Options

    def judge(self, problem: Problem, answer: Answer) -> Judgement:
        """Read the final number of an answer and count its equations."""
        said = final_number(answer)
        if isinstance(said, Judgement):
            return said
        same = read_number(said) == read_number(problem.answer)
        return decided(same and answer.text.count("=") >= self.options.equations, said)


if __name__ == "__main__":
    main()
