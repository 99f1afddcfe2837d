"""The whole recipe: models, data, stage 1, evaluation and where the work is done."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, SerializeAsAny, model_validator

from leaf.errors import UsageError
from leaf.recipe.attribute import AttributeSection, read_attribute, read_plugins
from leaf.recipe.base import Count, Section, Share
from leaf.recipe.choice import GraderChoice
from leaf.recipe.detectors import detector_class
from leaf.recipe.distill import DistillSection
from leaf.recipe.engine import GenerateSection, ServerSection
from leaf.recipe.names import EngineName
from leaf.recipe.prune import PruneSection
from leaf.recipe.verify import VerifySection


class ModelSection(Section):
    """A model and how it is loaded."""

    model: str = Field(description="hub id, local folder or GGUF file")
    revision: str | None = Field(None, description="branch, tag or commit of a hub id")
    adapter: str | None = Field(
        None, description="folder of a LoRA adapter, as PEFT saves them, that is put onto it"
    )
    dtype: Literal["auto", "bfloat16", "float16", "float32"] = Field(
        "auto", description="weights while answering and scoring; auto: bfloat16 where it is fast"
    )
    system: str | None = Field(
        None, description="system prompt; null leaves it to the model's own template"
    )
    template: dict[str, Any] = Field(
        {},
        description="arguments of its chat template, as in `{enable_thinking: false}`; leaf doctor"
        " names those that it takes",
    )
    engine: EngineName | None = Field(
        None, description="who generates this model's answers; null: as generate.engine"
    )
    server: ServerSection | None = Field(
        None, description="where this model is served, for engine openai"
    )


SELF = "self"
"""What `teacher` says where there is none: the student as it was teaches."""


NOTHING_TAUGHT = (
    "teacher: self on the student's own prompt teaches nothing, the two agree: set "
    "distill.teacher_sees: cut, or a distill.cross_entropy"
)
"""Said of a recipe that `teaches_nothing`."""


def _teacher(values: Any) -> Any:
    """Read `teacher: self` as a section."""
    return {"model": SELF} if values == SELF else values


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
    seed: int = Field(0, description="seed of which are drawn")


class WorldSection(Section):
    """The problems that the task `playground` makes; test splits look at size and seed alone."""

    size: Annotated[int, Field(ge=1, le=20_000)] = Field(1000, description="how many problems")
    cues: Share = Field(0.8, description="share of problems with a cue")
    agreement: Share = Field(0.9, description="share of the cues that agree with the operation")
    asides: Share = Field(0.2, description="share of problems with a numeric distractor")
    seed: int = Field(0, description="seed of everything random in the problems")


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
    seed: int = Field(0, description="seed of that order")


class BenchmarkSection(DataSection):
    """Where a benchmark's problems come from, and how it is measured."""

    samples: Count = Field(
        1, description="answers to each problem; more than one needs a temperature"
    )
    pass_at: list[Count] = Field(
        [],
        description="k of pass@k (chance that one of k answers is right), each at most `samples`",
    )
    temperature: Annotated[float, Field(ge=0)] | None = Field(
        None, description="of this benchmark's answers; null: as generate.temperature"
    )
    max_new_tokens: Count | None = Field(
        None, description="longest answer of this benchmark; null: as generate.max_new_tokens"
    )
    against: str | None = Field(
        None,
        description="the benchmark that holds the problems of which these are variants: the drop"
        " against it is measured",
    )

    @model_validator(mode="after")
    def _samples_are_enough(self) -> "BenchmarkSection":
        if self.pass_at and max(self.pass_at) > self.samples:
            raise ValueError(
                f"pass_at {max(self.pass_at)} needs as many samples, but samples is {self.samples}"
            )
        return self


class EvaluateSection(Section):
    """How the students are compared."""

    benchmarks: dict[str, BenchmarkSection] = Field(
        description="name: where its problems come from and how it is measured"
    )
    teacher: bool = Field(False, description="evaluate the teacher as well")
    decontaminate: bool = Field(
        False,
        description="leave training problems out that a benchmark has too, word for word or nearly",
    )
    resamples: Annotated[int, Field(ge=100)] = Field(
        9999, description="bootstrap resamples of the paired difference"
    )
    seed: int = Field(0, description="seed of the bootstrap")


class GradeSection(Section):
    """How answers are judged."""

    time_limit: Annotated[float, Field(gt=0)] = Field(
        2.0, description="seconds for one symbolic comparison, then it counts as not gradable"
    )
    workers: Count = Field(2, description="processes that compare, and sandboxes that run programs")
    code_time_limit: Annotated[float, Field(gt=0)] = Field(
        30.0, description="seconds for all tests of one program, then it has failed"
    )
    code_memory: Annotated[int, Field(ge=64)] = Field(
        1024, description="MiB of memory for one program"
    )


class StoreSection(Section):
    """How stage results are kept."""

    shard_size: Count = Field(
        64, description="problems in a shard; a kill costs the shards that are not finished"
    )


class RaySection(Section):
    """Where the work of `runner: ray` is done; nothing here changes a result."""

    workers: Count = Field(2, description="processes, each with the stage's model in memory")
    gpus: Annotated[float, Field(ge=0)] | None = Field(
        None,
        description="GPUs of a worker, such as 0.5 where two share one; null: one where there are"
        " any",
    )


class Recipe(Section):
    """Everything that decides a run."""

    name: str = Field(description="name of the run folder")
    description: str = Field("", description="one sentence for people")
    student: ModelSection = Field(description="the model that learns")
    teacher: Annotated[ModelSection, BeforeValidator(_teacher)] = Field(
        description="the model it learns from; self: no other, the student as it was, shown the"
        " question without what distracts"
    )
    data: DataSection = Field(description="training problems")
    generate: GenerateSection = Field(GenerateSection(), description="answers")
    grade: GradeSection = Field(GradeSection(), description="grading")
    attribute: Annotated[SerializeAsAny[AttributeSection], BeforeValidator(read_attribute)] = Field(
        AttributeSection(), description="detection"
    )
    prune: PruneSection = Field(PruneSection(), description="pruning")
    verify: VerifySection = Field(VerifySection(), description="verification")
    distill: DistillSection = Field(DistillSection(), description="distillation")
    evaluate: EvaluateSection = Field(description="evaluation")
    store: StoreSection = Field(StoreSection(), description="store")
    runner: Literal["local", "ray"] = Field(
        "local",
        description="who answers and scores: this process, or workers on Ray (the same results)",
    )
    ray: RaySection = Field(RaySection(), description="Ray")

    arms: dict[str, dict[str, Any]] = Field(
        {},
        description="more students to train and test beside, by name: the keys of this recipe that"
        " differ for each, as in `{self: {teacher: self}}`",
    )

    def __repr__(self) -> str:
        return (
            f"Recipe({self.name!r}: {self.student.model} learns from {self.teacher.model}, "
            f"data {self.data.path or self.data.task}, detector {self.attribute.detector})"
        )

    __str__ = __repr__

    @model_validator(mode="before")
    @classmethod
    def _plugins_come_first(cls, values: Any) -> Any:
        """Read plugins before any section: `data` may name a grader that one of them brings."""
        if isinstance(values, Mapping):
            read_plugins(values.get("attribute"))
        return values

    @property
    def alone(self) -> bool:
        """Whether there is no teacher but the student itself (`teacher: self`)."""
        return self.teacher.model == SELF

    @property
    def teaching(self) -> ModelSection:
        """The model that teaches: the teacher, or without one the student."""
        return self.student if self.alone else self.teacher

    @property
    def baseline(self) -> str:
        """The arm that LeaF is held against: `kd`, or `rft` without a teacher."""
        return "rft" if self.alone else "kd"

    @property
    def teaches_nothing(self) -> bool:
        """Whether LeaF is held against itself on its own prompt alone: a loss of 0."""
        section = self.distill
        shares = [section.cross_entropy_of(changed=changed) for changed in (False, True)]
        return self.alone and section.teacher_sees == "same" and not any(shares)

    @model_validator(mode="after")
    def _self_is_the_student(self) -> "Recipe":
        if not self.alone:
            return self
        if given := sorted(self.teacher.model_fields_set - {"model"}):
            # A dumped recipe has them all, at their defaults.
            plain = ModelSection(model=SELF)
            changed = [key for key in given if getattr(self.teacher, key) != getattr(plain, key)]
            if changed:
                raise ValueError(
                    f"`teacher.{changed[0]}` has no use with teacher: self, which is the student"
                )
        needs = {
            "attribute.reference: teacher": self.attribute.reference == "teacher",
            "distill.teacher: served": self.distill.teacher == "served",
        }
        for setting, is_set in needs.items():
            if is_set:
                raise ValueError(f"`{setting}` needs a teacher, but the recipe has teacher: self")
        for name in (self.attribute.detector, *self.attribute.controls):
            try:
                detector_class(name).roles(teacher=False)
            except UsageError as error:
                raise ValueError(f"teacher: self: {error}") from None
        return self

    @model_validator(mode="after")
    def _teacher_may_be_enough_context(self) -> "Recipe":
        if self.generate.token_budget <= self.generate.max_new_tokens:
            raise ValueError(
                f"generate.token_budget ({self.generate.token_budget}) must exceed "
                f"generate.max_new_tokens ({self.generate.max_new_tokens})"
            )
        return self
