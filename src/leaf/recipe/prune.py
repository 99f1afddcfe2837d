"""The section `prune`: what is cut, and what is put in."""

from typing import Annotated, Any, Literal, get_args

from pydantic import BeforeValidator, Field

from leaf.recipe.base import Count, Section, Seed, Share
from leaf.recipe.names import SourceName
from leaf.text.units import UnitName

Strategy = Literal["span", "collective", "transplant", "substitute", "inject"]
"""How changed questions are made."""

_ORDER: tuple[Strategy, ...] = get_args(Strategy)
_Sides = Annotated[list[Literal["in", "out"]], Field(min_length=1)]


def _as_list(value: Any) -> Any:
    """Read `span+transplant`, as version 0.1.0 wrote it, and a name alone."""
    return value.split("+") if isinstance(value, str) else value


class InjectSection(Section):
    """Distractors that strategy `inject` puts into questions, where nothing was taken out.

    `topic`, `role` and `number` are the axes of GSM-IC (Shi et al., 2023).
    """

    sources: Annotated[list[SourceName], Field(min_length=1)] = Field(
        ["templates", "problems"],
        description="where texts come from: verified (verified cuts of this run), needless (pieces"
        " of solved problems that do nothing for the answer, by ablation), templates (our own"
        " bank), measures (of the bank, where a measure changes), problems (sentences of other"
        " problems), passages (of other records, for questions with passages)",
    )
    looked_at: Count = Field(
        500, description="needless: so many problems that the student solves are looked through"
    )
    per: Count = Field(2, description="insertions that are tried for each question")
    together: Count = Field(
        1,
        description="at most so many texts are put into one question: with 2, every second"
        " insertion of a question holds two, at places of their own",
    )
    hosts: Literal["solved", "all"] = Field(
        "solved",
        description="questions that take some: those that the student answers right, where a"
        " failure shows that the text misleads it, or all",
    )
    share: Share = Field(
        0.5, description="at most so many insertions are kept, as a share of all problems"
    )
    forms: Annotated[list[Literal["sentence", "clause"]], Field(min_length=1)] = Field(
        ["sentence", "clause"],
        description="templates, measures: whole sentences, half ones within a sentence (`, who is 9"
        " years old,`)",
    )
    topic: _Sides = Field(
        ["in", "out"],
        description="templates, measures: about things of the problem (in), or others (out)",
    )
    role: _Sides = Field(
        ["in", "out"], description="templates, measures: about a person of the problem, or others"
    )
    number: Annotated[list[Literal["in", "out", "none"]], Field(min_length=1)] = Field(
        ["in", "out", "none"],
        description="templates, measures, problems: with a number in the range of the problem's,"
        " out of it, or without one",
    )
    passages: Count = Field(
        1, description="passages: so many go in side by side, as one insertion, the hardest first"
    )
    seed: Seed = Field(0, description="seed of what goes where")


class PruneSection(Section):
    """Stage 1: what is cut."""

    levels: Annotated[list[Literal["instruction", "response"]], Field(min_length=1)] = Field(
        ["instruction"],
        description="where: the instruction, the beginning of the reference response, or both",
    )
    segments: Literal[2, 3] = Field(
        2, description="response level: how many segments a reference is cut into"
    )
    response_threshold: Share | None = Field(
        None, description="threshold at response level; null: as threshold"
    )
    rule: Literal["value", "quantile"] = Field(
        "value", description="value: min-maxed gap <= threshold (Eq. 5); quantile: lowest share"
    )
    threshold: Share = Field(0.10, description="tau of Eq. 5, or the share of the quantile rule")
    units: Annotated[list[UnitName], Field(min_length=1)] = Field(
        ["token"],
        description="what is ranked and cut whole; each unit named makes changed questions of its"
        " own",
    )
    strategy: Annotated[list[Strategy], Field(min_length=1), BeforeValidator(_as_list)] = Field(
        ["span"],
        description="span: one changed question a span; collective: one with every span removed;"
        " transplant: verified cuts put into other problems; substitute: a neutral filler in place"
        " of each span; inject: distractors put into problems",
    )
    substitutes: Count = Field(1, description="fillers that are tried in place of each span")
    whole: list[Literal["word", "number"]] = Field(
        [], description="refuse spans that would cut inside one of these, or join two; counted"
    )
    transplants: Count = Field(
        4,
        description="of each verified cut: so many replacements by other verified cuts, and so"
        " many insertions into problems that the student solves",
    )
    inject: InjectSection = Field(InjectSection(), description="distractors put in")
    share: Share | None = Field(
        None,
        description="at most so many transplants and insertions are kept, as a share of all"
        " problems, hard ones first and first one a problem; null: as many as there are",
    )
    seed: Seed = Field(0, description="seed of transplants and substitutes")
    bridge_whitespace: bool = Field(
        False, description="join two spans that only whitespace tokens separate"
    )

    @property
    def strategies(self) -> frozenset[Strategy]:
        """What `strategy` names."""
        return frozenset(self.strategy)

    @property
    def cuts_spans(self) -> bool:
        """Whether each span is cut alone: for itself, or for what is made of verified cuts."""
        needed = "inject" in self.strategies and "verified" in self.inject.sources
        return needed or not self.strategies <= {"collective", "substitute", "inject"}

    @property
    def cuts(self) -> bool:
        """Whether anything is cut at all."""
        return self.cuts_spans or self.strategies != {"inject"}

    def without(self, *names: Strategy) -> list[Strategy]:
        """Return the strategies but these, in order; `span` where none is left."""
        return [name for name in _ORDER if name in self.strategies - {*names}] or ["span"]
