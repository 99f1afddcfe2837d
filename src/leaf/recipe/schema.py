"""The whole recipe: models, data, stage 1, evaluation and where the work is done."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, get_args

from pydantic import BeforeValidator, Field, SerializeAsAny, ValidationInfo, model_validator
from pydantic_core import PydanticCustomError

from leaf.errors import UsageError
from leaf.recipe.attribute import AttributeSection, read_attribute, read_plugins
from leaf.recipe.base import Count, Section, Seed
from leaf.recipe.data import DataSection
from leaf.recipe.detectors import detector_class
from leaf.recipe.distill import DistillSection
from leaf.recipe.engine import GenerateSection, ServerSection
from leaf.recipe.majority import MajoritySection
from leaf.recipe.names import EngineName
from leaf.recipe.prune import PruneSection
from leaf.recipe.verify import VerifySection

_Spread = Literal["auto", "balanced", "balanced_low_0", "sequential"]


def _words_or_map(value: Any) -> Any:
    """Refuse in one sentence what is neither: a union would tell the rules of each by itself."""
    if value is None or value in get_args(_Spread):
        return value
    if (
        isinstance(value, Mapping)
        and value
        and all(type(each) in (int, str) for each in value.values())
    ):
        return value
    raise PydanticCustomError(
        "places",
        "Input should be auto, balanced, balanced_low_0, sequential, or a map of the model's"
        " modules to cpu, disk or the number of a GPU",
    )


_Places = Annotated[_Spread | dict[str, int | str] | None, BeforeValidator(_words_or_map)]


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
    device_map: _Places = Field(
        None,
        description="spreads a model that is too big for one device over all of them, memory and"
        " disk, while it answers and scores (accelerate's words, or a map of its modules)",
    )
    tensor_parallel: Count = Field(1, description="GPUs that engine vllm spreads this model over")
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


def _by_keys(values: Any, info: ValidationInfo) -> Any:
    """Read `teacher: self` as a section; no other text is one."""
    if not isinstance(values, str):
        return values
    if info.field_name == "teacher" and values == SELF:
        return {"model": SELF}
    name, alone = info.field_name, ", or self" if info.field_name == "teacher" else ""
    raise ValueError(f"`{name}` must be keys, as in `{name}: {{model: {values}}}`{alone}")


_Model = Annotated[ModelSection, BeforeValidator(_by_keys)]


class BenchmarkSection(DataSection):
    """Where a benchmark's problems come from, and how it is measured."""

    samples: Count = Field(
        1, description="answers to each problem; more than one needs a temperature"
    )
    pass_at: list[Count] = Field(
        [],
        description="k of pass@k (chance that one of k answers is right), each at most `samples`",
    )
    majority: MajoritySection | None = Field(
        None, description="let the answers to each problem vote, as in `{stop: dirichlet}`"
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
        if self.majority is None:
            return self
        if self.samples == 1:
            raise ValueError("majority: one answer is no vote; set samples, such as 10")
        if max(self.majority.at, default=1) > self.samples:
            raise ValueError(
                f"majority.at {max(self.majority.at)} needs as many samples, but samples is "
                f"{self.samples}"
            )
        if self.majority.stop and self.pass_at:
            raise ValueError(
                "pass_at needs every sample, which majority.stop leaves out; take out one of them"
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
    seed: Seed = Field(0, description="seed of the bootstrap")


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
    student: _Model = Field(description="the model that learns")
    teacher: _Model = Field(
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

    def longest_answer(self, benchmark: str = "") -> tuple[int, str]:
        """Return the tokens of the longest answer, of a benchmark if one is named, and its key."""
        section = self.evaluate.benchmarks.get(benchmark)
        if section is not None and section.max_new_tokens is not None:
            return section.max_new_tokens, f"evaluate.benchmarks.{benchmark}.max_new_tokens"
        return self.generate.max_new_tokens, "generate.max_new_tokens"

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
            detector = detector_class(name)(self.attribute.options(name))
            try:
                detector.roles(teacher=False)
            except UsageError as error:
                raise ValueError(f"teacher: self: {error}") from None
            if detector.chooses_places:
                raise ValueError(
                    f"teacher: self: `attribute.{name}.proposals` are chosen by the gradient of "
                    "both models; set it to null, and every piece is looked at"
                )
        return self

    @model_validator(mode="after")
    def _tensor_parallel_is_of_vllm(self) -> "Recipe":
        for role, section in (("student", self.student), ("teacher", self.teacher)):
            engine = section.engine or self.generate.engine
            if section.tensor_parallel > 1 and engine != "vllm":
                raise ValueError(
                    f"`{role}.tensor_parallel` has no use with engine {engine}: set {role}.engine:"
                    f" vllm, or spread it by {role}.device_map"
                )
        return self

    @model_validator(mode="after")
    def _weights_need_the_model(self) -> "Recipe":
        asked = {"student": self.student}
        if self.evaluate.teacher:
            asked["teacher"] = self.teaching
        served = [
            role
            for role, section in asked.items()
            if (section.engine or self.generate.engine) == "openai"
        ]
        for name, benchmark in self.evaluate.benchmarks.items():
            if benchmark.majority and benchmark.majority.weights != "none" and served:
                raise ValueError(
                    f"`evaluate.benchmarks.{name}.majority.weights` needs the weights of the"
                    f" {served[0]}, which a server has: set weights: none"
                )
        return self

    @model_validator(mode="after")
    def _teacher_may_be_enough_context(self) -> "Recipe":
        if self.generate.token_budget <= self.generate.max_new_tokens:
            raise ValueError(
                f"generate.token_budget ({self.generate.token_budget}) must exceed "
                f"generate.max_new_tokens ({self.generate.max_new_tokens})"
            )
        return self
