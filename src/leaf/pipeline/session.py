"""What the stages share: each method computes one kind of result through the store."""

import contextlib
import json
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

from leaf.attribute import DETECTORS, join
from leaf.distill import TrainingExample, encode_rows, plan_steps
from leaf.distill.train_student import TrainingJob, run_job
from leaf.grade import GRADERS
from leaf.models import load
from leaf.models.files import Source
from leaf.models.prompt_format import PromptFormat, prompt_format_of
from leaf.models.vocabulary import same_tokenizer
from leaf.pipeline.cache_keys import answer_settings, detector_options, student_settings
from leaf.pipeline.workers import AnswerWorker, GradeWorker, ScoreWorker
from leaf.recipe import (
    DistillSection,
    GenerateSection,
    ModelSection,
    Recipe,
    measurement,
)
from leaf.records import Answer, Attribution, Counterfactual, Problem, Score, Sensitivity
from leaf.store.keys import digest, digest_of, plain, stage_key, user_code_digest
from leaf.store.ray import RayRunner
from leaf.store.runner import LocalRunner, Runner
from leaf.store.store import StageLog, Store, spent

T = TypeVar("T")

Graded = tuple[list[Answer], list[Score]]
"""Answers and their scores, in the same order."""


class Session:
    """Computes answers, scores, sensitivities and students of one recipe over a store."""

    def __init__(self, recipe: Recipe, store: Store) -> None:
        self.recipe = recipe
        self.store = store
        self.sources: dict[str, Source] = {}
        """`student` and `teacher`, once they are found."""
        self.logs: list[StageLog] = []
        self.runner: Runner = RayRunner(recipe.ray) if recipe.runner == "ray" else LocalRunner()
        """Works where a model is needed; the rest is too little to carry elsewhere."""

    def answers(
        self,
        section: ModelSection,
        source: Source,
        problems: Sequence[Problem],
        label: str,
        drafts: Mapping[str, str] | None = None,
        generate: GenerateSection | None = None,
    ) -> Graded:
        """Answer and grade problems; two stages, so that a new grader needs no new answers.

        Args:
            section: The model's part of the recipe.
            source: Where it lies.
            problems: What is asked.
            label: What is computed, for people.
            drafts: Likely answers by problem id: they make it faster and change nothing.
            generate: How; None: as the recipe says.
        """
        generate = generate or self.recipe.generate
        problems_key = digest(plain(problems))
        key = self._answers_key(section, source, generate, problems_key)
        job = AnswerWorker(
            section=section, source=source, generate=generate, label=label, drafts=drafts
        )
        answers, log = self.store.compute(
            "answers",
            key,
            problems,
            Answer,
            job.open,
            shard_size=self.recipe.store.shard_size,
            label=label,
            unit="problems",
            runner=self.runner,
        )
        self.logs.append(log)
        return answers, self._grade(problems, answers, [key, problems_key], label)

    def answers_of(
        self,
        role: str,
        problems: Sequence[Problem],
        label: str,
        drafts: Mapping[str, str] | None = None,
    ) -> Graded:
        """Answer and grade problems by the recipe's student or teacher."""
        return self.answers(self._section(role), self.sources[role], problems, label, drafts)

    def has_answers(self, role: str, problems: Sequence[Problem]) -> bool:
        """Whether all of `answers_of` is in the store."""
        key = self._answers_key(
            self._section(role),
            self.sources[role],
            self.recipe.generate,
            digest(plain(problems)),
        )
        return self.store.is_done("answers", key)

    def _answers_key(
        self, section: ModelSection, source: Source, generate: GenerateSection, problems_key: str
    ) -> str:
        settings = answer_settings(section, generate)
        return self._key("answers", settings, [source.fingerprint, problems_key])

    def _section(self, role: str) -> ModelSection:
        return self.recipe.student if role == "student" else self.recipe.teacher

    def _grade(
        self,
        problems: Sequence[Problem],
        answers: Sequence[Answer],
        inputs: Sequence[str],
        label: str,
    ) -> list[Score]:
        grade = self.recipe.grade
        limits: dict[str, Any] = {"time_limit": grade.time_limit}
        if any(problem.tests for problem in problems):
            limits |= grade.model_dump(include={"code_time_limit", "code_memory"})
        for name in {problem.grader for problem in problems} & GRADERS.keys():
            limits |= {
                f"{key} of {name}": code for key, code in user_code_digest(GRADERS[name]).items()
            }
        if any(problem.grader_options for problem in problems):
            limits["options"] = digest([problem.grader_options for problem in problems])
        # Version 2 reads more notations of mathematics than 1 did, 3 a language below its fence.
        key = self._key("scores", limits, inputs, version=3)
        scores, log = self.store.compute(
            "scores",
            key,
            list(zip(problems, answers, strict=True)),
            Score,
            GradeWorker(grade=grade).open,
            shard_size=self.recipe.store.shard_size,
            label=f"grading {label}",
            unit="answers",
        )
        self.logs.append(log)
        return scores

    def sensitivities(
        self,
        role: str,
        detector: str,
        pairs: Sequence[tuple[Problem, str]],
        places: Mapping[str, Sequence[tuple[int, int]]] | None = None,
        source: Source | None = None,
    ) -> list[Sensitivity]:
        """Score questions with their references under the student or the teacher.

        Args:
            role: `student` or `teacher`.
            detector: A key of `leaf.attribute.DETECTORS`.
            pairs: Problems and their reference responses.
            places: Problem id to the pieces that `ablation` takes away; None: every piece.
            source: Other weights of that model, such as a trained student's; None: its own.
        """
        section = self._section(role)
        attribute = self.recipe.attribute
        who = role if source is None else source.name
        source = source or self.sources[role]
        settings = {
            "detector": detector,
            "dtype": section.dtype,
            "system": section.system,
            **detector_options(detector, attribute),
            **user_code_digest(DETECTORS[detector]),
        }
        content = digest([[plain(problem), reference] for problem, reference in pairs])
        inputs = [source.fingerprint, content]
        if places is not None:
            inputs.append(digest(plain([places[problem.id] for problem, _ in pairs])))
        key = self._key("sensitivities", settings, inputs)
        in_response = any(problem.prompt for problem, _ in pairs)

        job = ScoreWorker(
            section=section,
            source=source,
            attribute=attribute,
            detector=detector,
            places=places,
        )
        found, log = self.store.compute(
            "sensitivities",
            key,
            pairs,
            Sensitivity,
            job.open,
            shard_size=self.recipe.store.shard_size,
            label=f"{who} {measurement(detector)}" + " in the response" * in_response,
            unit="problems",
            runner=self.runner,
        )
        self.logs.append(log)
        return found

    def attributions(
        self,
        detector: str,
        pairs: Sequence[tuple[Problem, str]],
        places: Mapping[str, Sequence[tuple[int, int]]] | None = None,
    ) -> list[Attribution]:
        """Score questions under both models, side by side; arguments as of `sensitivities`."""
        student = self.sensitivities("student", detector, pairs, places)
        teacher = self.sensitivities("teacher", detector, pairs, places)
        problems = [problem for problem, _ in pairs]
        return join(problems, [reference for _, reference in pairs], teacher, student)

    def counterfactuals(
        self,
        items: Sequence[T],
        work: Callable[[Sequence[T]], list[Counterfactual]],
        settings: Mapping[str, Any],
        label: str,
    ) -> list[Counterfactual]:
        """Make counterfactuals of items, shard by shard; `settings` is all else that decides."""
        named = digest_of(plain(item) for item in items)
        key = self._key("counterfactuals", settings, [named])
        found, log = self.store.compute(
            "counterfactuals",
            key,
            items,
            Counterfactual,
            lambda tick: contextlib.nullcontext(work),
            shard_size=self.recipe.store.shard_size,
            label=label,
            unit="problems",
        )
        self.logs.append(log)
        return found

    @cached_property
    def student_chat(self) -> PromptFormat:
        """The chat template that training rows are rendered with: the student's own."""
        return prompt_format_of(load.load_tokenizer(self.sources["student"]), self.recipe.student)

    @cached_property
    def teacher_chat(self) -> PromptFormat:
        """The teacher's own chat template."""
        return prompt_format_of(load.load_tokenizer(self.sources["teacher"]), self.recipe.teacher)

    def plan(self, rows: Sequence[TrainingExample], section: DistillSection) -> list[list[int]]:
        """Return the rows of every optimiser step."""
        lengths = None
        if section.max_tokens is not None:
            samples, _ = encode_rows(self.student_chat, rows, section.cutoff)
            lengths = [sample.length for sample in samples]
        return plan_steps(rows, section, lengths)

    def student(
        self,
        arm: str,
        rows: Sequence[TrainingExample],
        section: DistillSection,
        held_out: Sequence[TrainingExample] = (),
    ) -> Path:
        """Train one student on rows within the cutoff, or find it trained; return its folder.

        `held_out` are rows of problems that are not trained on, for validation.
        """
        steps = self.plan(rows, section)
        key = self._student_key(rows, steps, section, held_out)
        folder = self.store.folder("students", key)
        computed = 0
        if not self.store.is_done("students", key):
            self.runner.close()
            job = TrainingJob(
                label=f"training {arm}",
                student=self.recipe.student,
                student_source=self.sources["student"],
                teacher=self.recipe.teacher,
                teacher_source=self.sources["teacher"],
                distill=section,
                rows=rows,
                held_out=held_out,
                steps=steps,
                key=key,
                folder=folder,
                store=self.store.root,
                task=self.recipe.data.path or self.recipe.data.task,
            )
            with self.store.building("students", key):
                computed = run_job(job)
        done = json.loads((folder / "done.json").read_text())
        self.logs.append(
            StageLog(
                name=f"training {arm}",
                key=key,
                items=len(rows),
                records=done["steps"],
                computed=computed,
                **spent(folder),
            )
        )
        return folder

    def _student_key(
        self,
        rows: Sequence[TrainingExample],
        steps: Sequence[Sequence[int]],
        section: DistillSection,
        held_out: Sequence[TrainingExample],
    ) -> str:
        """Name a trained student by what decides its weights.

        Rows and steps stand for all that chooses and orders them.
        """
        one = same_tokenizer(self.student_chat.tokenizer, self.teacher_chat.tokenizer)
        settings = student_settings(
            section,
            self.recipe.student,
            self.recipe.teacher,
            counterfactuals=any(row.counterfactual for row in rows),
            one_tokenizer=one,
        )
        content = [plain(rows), [list(step) for step in steps]]
        if held_out:
            content.append(plain(held_out))
        prints = [self.sources[role].fingerprint for role in ("student", "teacher")]
        return stage_key("students", 1, settings, [digest(content), *prints])

    def _key(
        self, stage: str, settings: Mapping[str, Any], inputs: Sequence[str], version: int = 1
    ) -> str:
        settings = {**settings, "shard_size": self.recipe.store.shard_size}
        return stage_key(stage, version, settings, inputs)
