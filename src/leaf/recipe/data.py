"""Where problems come from: files, columns, few-shot examples and the made world."""

from typing import Annotated, Literal

from pydantic import Field

from leaf.recipe.base import Count, Section, Seed, Share
from leaf.recipe.choice import GraderChoice


class ColumnsSection(Section):
    """Which column of your own records holds what."""

    question: str = Field(
        "question",
        description="column with the question, or a path such as data.text; a conversation"
        " (messages) asks with its last user turn and solves with the turn after it",
    )
    answer: str | None = Field(
        "answer",
        description="column with the final answer, or several that are as good; null: the end of"
        " the solution, after #### or Answer: or in a box, else all of it",
    )
    golds: str | None = Field(None, description="column with other answers that are as good")
    solution: str | None = Field(
        None, description="column with a worked solution, if there is one; text or one turn"
    )
    system: str | None = Field(
        None, description="column with a system prompt, in place of the model's own"
    )
    context: str | None = Field(
        None,
        description="column with passages or a text that stand before the question; scored and cut,"
        " while the question's own words are protected",
    )
    gold: str | None = Field(
        None,
        description="column that says which passages are needed: true or false of each, numbers"
        " from 0, titles or texts",
    )
    choices: str | list[str] | None = Field(
        None,
        description="column or columns with the options of a multiple choice; the answer is a"
        " label, a text or a number from 0",
    )
    id: str | None = Field(None, description="column with a unique id; null numbers the records")


class ShotsSection(Section):
    """Solved examples that stand before each question; never scored, never cut."""

    count: Count = Field(description="how many")
    path: str | None = Field(None, description="where they come from; null: as the problems")
    name: str | None = Field(None, description="configuration of a hub data set; null: as theirs")
    split: str | None = Field(None, description="split of a hub data set; null: as theirs")
    columns: ColumnsSection | None = Field(None, description="columns of a table; null: as theirs")
    layout: Literal["text", "turns"] = Field(
        "text", description="text: in the same message, as base models need; turns: a conversation"
    )
    seed: Seed = Field(0, description="seed of which are drawn")


class WorldSection(Section):
    """The problems that the task `playground` makes; test splits look at size and seed alone."""

    size: Annotated[int, Field(ge=1, le=20_000)] = Field(1000, description="how many problems")
    cues: Share = Field(0.8, description="share of problems with a cue")
    agreement: Share = Field(0.9, description="share of the cues that agree with the operation")
    asides: Share = Field(0.2, description="share of problems with a numeric distractor")
    seed: Seed = Field(0, description="seed of everything random in the problems")


class DataSection(Section):
    """Where problems come from."""

    task: str = Field(
        description="a name of `leaf tasks`, or table for records of your own",
    )
    path: str | None = Field(
        None,
        description="local .jsonl, .json, .csv, .tsv (all also .gz) or .parquet file, or a hub id;"
        " null: the task's own",
    )
    name: str | None = Field(None, description="configuration of a hub data set")
    split: str | None = Field(
        None, description="split of a hub data set, or of the task; null: the task's own"
    )
    columns: ColumnsSection = Field(ColumnsSection(), description="columns of a table")
    world: WorldSection = Field(WorldSection(), description="problems of the playground")
    sources: list[str] | None = Field(
        None,
        description="numina_math, problemathic: parts to take, such as amc_aime or simple; null:"
        " all of the task's",
    )
    per_source: Count | None = Field(
        None, description="numina_math: problems of each part, drawn by `seed`; null: all"
    )
    since: str | None = Field(
        None, description="leetcode, livecodebench: not published before, as 2024-08-01"
    )
    before_date: str | None = Field(
        None, description="leetcode, livecodebench: published before, as 2024-10-01"
    )
    passages: Count | None = Field(
        None,
        description="questions with passages: so many, the gold ones among them, others drawn by"
        " `seed`; null: all that the record has",
    )
    paraphrase: Literal["spa"] | None = Field(
        None,
        description="translate each question to this language and back: it says it in other"
        " words; null: as it is",
    )
    encoding: str | None = Field(
        None, description="of a text file, such as cp1252; null: UTF-8, or UTF-16 with its mark"
    )
    shots: ShotsSection | None = Field(
        None, description="few-shot examples, as in `{count: 4, path: examples.jsonl}`; null: none"
    )
    grader: GraderChoice | None = Field(
        None,
        description="how answers are judged, with options of its own as in `{close: {relative:"
        " 0.01}}`; null: the task's own",
    )
    before: str | None = Field(None, description="text put before each question, never scored")
    after: str | None = Field(
        None, description="text put after each question, never scored; null: the task's own"
    )
    part: Annotated[list[Share], Field(min_length=2, max_length=2)] | None = Field(
        None,
        description="from and to, in [0, 1], of all questions: [0.0, 0.8] trains what [0.8, 1.0]"
        " tests, a question is always on the same side; null: all",
    )
    limit: Count | None = Field(None, description="how many problems; null takes all")
    shuffle: bool = Field(False, description="take the problems in a seeded random order")
    seed: Seed = Field(0, description="seed of that order")
