"""Asks a model whether an answer is right: `judge`, for what no rule can compare.

    data.grader: {judge: {model: Qwen/Qwen2.5-7B-Instruct, rubric: "Right names both causes."}}

The judge may be any model that our engines answer with: `engine`, `server`, `dtype` and the like
are keys beside `model`, as of the student. It sees the question without the passages before it,
every gold, the whole response and the rubric, answers greedily, and says `right` or `wrong`; with
`scale: 10` a whole number from 0 to 10, of which a share of `threshold` is right. `reasons: true`
lets it reason first, which costs more.

Its verdict is read from the last `Verdict: ...`, else from the beginning of what it says, else from
all of it where that is of one kind. Anything else is not gradable; its words stand in the score
(`reason`) either way. What it said is kept by model, prompt and answer, so that nothing is asked
twice. A request that failed is no verdict (`Unjudged`): it is never kept.
"""

import re
from collections.abc import Sequence
from typing import Annotated

from pydantic import Field

from leaf.grade.final import spoken, without_reasoning
from leaf.grade.free import PASS, Mark
from leaf.grade.grader import Grader, Tools, grader
from leaf.grade.judgement import (
    JUDGE_CUT,
    NO_VERDICT,
    NOT_FINISHED,
    Judgement,
    Unjudged,
    ungradable,
)
from leaf.grade.qa import golds_of
from leaf.recipe import EngineName, ModelSection
from leaf.recipe.base import Count
from leaf.records import Answer, Measure, Outcome, Problem

RUBRIC = (
    "The answer is right if its final result says the same as the known one, in whatever words or"
    " form. It is wrong if it says something else, contradicts itself or leaves the result open."
)

_PROMPT = """Judge whether an answer to a question is right. {rubric}

<question>
{question}
</question>

Known to be right{several}:
<known>
{golds}
</known>

The answer to judge:
<answer>
{answer}
</answer>

{request}"""

_NO_GOLD = "(The question cannot be answered: an answer that says so is right.)"

_RIGHT = {"right", "correct", "yes"}
_VERDICT = r"right|wrong|correct|incorrect|yes|no"
_NUMBER = r"(?<![\d.])\d{1,6}"
_ECHO = rf"(?!\s?(?:or|/|\|)\s?(?:{_VERDICT})\b)"
_RANGE = r"(?!\s?(?:or|to|-)\s?\d)"
"""Not in a verdict: a judge that says `right or wrong` repeats what it was asked."""
# Every pattern here takes time linear in the text: a judge's words are read in our own process.
_MARK = r"\b(?:verdict|grade|score|rating)\b[\s*_:=\[(]{0,9}"
_DENIED = re.compile(
    r"\b(?:not|isn['’]t|neither|never)\s+(?:\w+\s+)?(?:right|wrong|correct)\b", re.I
)


@grader
class Judge(Grader):
    """Right is what a model says is right."""

    name = "judge"

    class Options(ModelSection):
        """Who judges, and by what."""

        engine: EngineName | None = Field(
            None,
            description="who generates the judge's words; null: openai with a server, llamacpp for"
            " a .gguf file, else hf",
        )
        rubric: str = Field(RUBRIC, description="what is right, in words for the judge")
        scale: Annotated[int, Field(ge=2, le=100)] | None = Field(
            None, description="the judge grades from 0 to this; null: it says right or wrong"
        )
        threshold: Mark = Field(0.5, description="with a scale: least share of it that is right")
        reasons: bool = Field(False, description="whether the judge says why before its verdict")
        max_new_tokens: Count = Field(256, description="longest reply of the judge, in tokens")

    options: Options

    def asks(self) -> tuple[ModelSection, ...]:
        """Return the judge, with its engine."""
        own = self.options
        fields = own.model_dump(include=set(ModelSection.model_fields))
        engine = own.engine or ("openai" if own.server else None)
        engine = engine or ("llamacpp" if own.model.endswith(".gguf") else "hf")
        return (ModelSection.model_validate(fields | {"engine": engine}),)

    def grade_many(
        self, problems: Sequence[Problem], answers: Sequence[Answer], tools: Tools
    ) -> list[Judgement]:
        """Ask the judge about all answers at once."""
        prompts = [self.prompt(*pair) for pair in zip(problems, answers, strict=True)]
        (section,) = self.asks()
        replies = tools.ask(section, prompts, self.options.max_new_tokens)
        return [self.read(reply, said) for reply, said in zip(replies, answers, strict=True)]

    def prompt(self, problem: Problem, answer: Answer) -> str:
        """Return what the judge is asked."""
        question = problem.prompt or problem.question[problem.asked.start :] + problem.after
        golds = [gold for gold in golds_of(problem) if gold]
        scale, about = self.options.scale, "one word: right or wrong"
        if scale is not None:
            about = f"one whole number from 0 (wrong) to {scale} (right)"
        request = f"Reply with {about}."
        if self.options.reasons:
            words = "right or wrong" if scale is None else f"a whole number from 0 to {scale}"
            request = f"Say briefly why. End with a line of this form:\nVerdict: [{words}]"
        return _PROMPT.format(
            question=question.strip(),
            several=" (each of these)" if len(golds) > 1 else "",
            golds="\n".join(golds) or _NO_GOLD,
            answer=spoken(answer).text.strip(),
            rubric=self.options.rubric.strip(),
            request=request,
        )

    def read(self, reply: Answer | str, answer: Answer) -> Judgement:
        """Return the judgement that the judge's words give; a text says why its request failed."""
        said = spoken(answer)
        if isinstance(reply, str):
            reason = f"judge: {reply}"
            return Unjudged(outcome=Outcome.UNGRADABLE, extracted=None, reason=reason)
        if reply.failure is not None:
            return ungradable(f"judge: {reply.failure}")
        words = reply.text.strip()
        score = verdict(without_reasoning(words), self.options.scale)
        if score is None:
            return ungradable(f"{JUDGE_CUT if reply.truncated else NO_VERDICT}: {words}")
        passes = score >= self.options.threshold
        if said.truncated and not passes:
            return ungradable(NOT_FINISHED, said.text.strip())
        measures = (Measure(name=PASS, value=float(passes)), Measure(name="judge", value=score))
        return Judgement(
            outcome=Outcome.RIGHT if passes else Outcome.WRONG,
            extracted=said.text.strip(),
            reason=f"judge: {words}",
            measures=measures if self.options.scale is not None else (),
        )


def verdict(words: str, scale: int | None) -> float | None:
    """Return the score in [0, 1] that a judge's words give, or None where they give none."""
    kind = _VERDICT if scale is None else _NUMBER
    end = "" if scale is None else rf"(?!\d|\.\d)(?:\s?/\s?{scale}\b)?"
    pattern = rf"({kind})\b{end}{_ECHO if scale is None else _RANGE}"
    marked = list(re.finditer(rf"{_MARK}{pattern}", words, re.IGNORECASE))
    first = re.match(rf"[\W_]{{0,9}}{pattern}", words, re.IGNORECASE)
    if marked or first:
        found = {(marked[-1] if marked else first)[1].lower()}  # type: ignore[index]
    elif scale is None and _DENIED.search(words):
        found = set()
    else:
        found = {said.lower() for said in re.findall(rf"\b({kind})\b{end}", words, re.IGNORECASE)}
    scores = {float(one in _RIGHT) if scale is None else int(one) / scale for one in found}
    return scores.pop() if len(scores) == 1 and max(scores) <= 1 else None
