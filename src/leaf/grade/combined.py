"""Several graders in one: `any` is right where one of them says so, `all` where each does.

    data.grader: {any: [numbers, {judge: {model: Qwen/Qwen2.5-7B-Instruct}}]}
    data.grader: {all: [qa, {rouge_l: {against: solution, threshold: 0.3}}]}

What one of them cannot grade is open, as in logic with three values: `any` is wrong where all say
wrong and `all` where one does, and what the others leave open is not gradable. Graders that ask a
model (`judge`) are asked last, and only about what the others leave open; their measures are not
reported then. Every other measure is, and `pass` is that of the combination.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, Any, ClassVar

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from leaf.grade.free import PASS
from leaf.grade.grader import GRADERS, Grader, Tools, grader
from leaf.grade.judgement import Judgement, Unjudged
from leaf.recipe import GraderChoice, ModelSection, Section, name_and_options
from leaf.records import Answer, Measure, Outcome, Problem


class _Several(Grader):
    """What `any` and `all` have in common."""

    class Options(Section):
        """Which graders; `any: [numbers, math]` is short for `any: {of: [numbers, math]}`."""

        of: Annotated[list[GraderChoice], Field(min_length=1)] = Field(
            description="graders, each a name or a name with its options"
        )

        @model_validator(mode="before")
        @classmethod
        def _a_list_is_enough(cls, values: Any) -> Any:
            if isinstance(values, list):
                return {"of": values}
            if not values or not isinstance(values, dict | Section):
                raise PydanticCustomError(
                    "graders", "Input should be a list of graders, such as [numbers, qa]"
                )
            return values

    options: Options
    decisive: ClassVar[Outcome]
    """What decides by itself, whatever the others say."""

    def __init__(self, options: Section | None = None) -> None:
        super().__init__(options)
        chosen = [name_and_options(one) for one in self.options.of]
        graders = [GRADERS[name](GRADERS[name].Options(**own)) for name, own in chosen]
        self._graders = sorted(graders, key=lambda one: bool(one.asks()))

    def asks(self) -> tuple[ModelSection, ...]:
        """Return the models that its graders ask."""
        return tuple(model for one in self._graders for model in one.asks())

    def grade_many(
        self, problems: Sequence[Problem], answers: Sequence[Answer], tools: Tools
    ) -> list[Judgement]:
        """Let each grader judge, a model only what is still open."""
        said: list[list[tuple[Grader, Judgement]]] = [[] for _ in problems]
        for one in self._graders:
            asked = [
                at
                for at, found in enumerate(said)
                if not (one.asks() and any(j.outcome is self.decisive for _, j in found))
            ]
            judged = one.grade_many(
                [problems[at] for at in asked], [answers[at] for at in asked], tools
            )
            for at, judgement in zip(asked, judged, strict=True):
                said[at].append((one, judgement))
        return [self._together(found) for found in said]

    def _together(self, found: Sequence[tuple[Grader, Judgement]]) -> Judgement:
        judgements = [judgement for _, judgement in found]
        weight = {self.decisive: 2, Outcome.UNGRADABLE: 1}
        main = max(judgements, key=lambda one: weight.get(one.outcome, 0))
        if main.outcome is Outcome.UNGRADABLE:
            # One whose request failed is asked again.
            main = next((one for one in judgements if isinstance(one, Unjudged)), main)
        reasons = [f"{one.name}: {j.reason or j.outcome}" for one, j in found]
        measured: dict[str, Measure] = {}
        for one, judgement in found:
            if not one.asks():
                for each in judgement.measures:
                    measured.setdefault(each.name, each)
        measured.pop(PASS, None)
        passes = Measure(name=PASS, value=float(main.outcome is Outcome.RIGHT))
        return replace(
            main,
            reason="; ".join(reasons),
            measures=(passes, *measured.values()) if measured else (),
        )

    def unfit(self, gold: str) -> str:
        """Say what a gold is that its graders cannot take."""
        found = [one.unfit(gold) for one in self._graders]
        needed = any if self.decisive is Outcome.WRONG else all
        return next(filter(None, found), "") if needed(found) else ""

    def gold_text(self, problem: Problem) -> str:
        """Say the gold as each grader would have it."""
        return "\n".join(dict.fromkeys(one.gold_text(problem) for one in self._graders))


@grader
class AnyOf(_Several):
    """Right is what one of several graders calls right."""

    name = "any"
    decisive = Outcome.RIGHT


@grader
class AllOf(_Several):
    """Right is what each of several graders calls right."""

    name = "all"
    decisive = Outcome.WRONG
