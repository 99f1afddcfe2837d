"""What the stages share: both models, the store, and one way to compute any kind of result."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property, partial
from pathlib import Path
from typing import TypeVar

from leaf.attribute import Detector, detector_class, join
from leaf.distill import TrainingExample, encode_rows, originals_in, plan_steps
from leaf.models import load
from leaf.models.files import Source
from leaf.models.prompt_format import PromptFormat, prompt_format_of
from leaf.models.vocabulary import same_tokenizer
from leaf.pipeline.grading import grading
from leaf.pipeline.rounds import second_round
from leaf.pipeline.students import TrainedStudent
from leaf.pipeline.ungradable import many_ungradable
from leaf.pipeline.workers import AnswerWorker, ScoreWorker
from leaf.progress import say
from leaf.recipe import DistillSection, GenerateSection, ModelSection, Recipe
from leaf.records import Answer, Attribution, Outcome, Problem, Score, Sensitivity
from leaf.store.ray import RayRunner
from leaf.store.results import Graded
from leaf.store.runner import LocalRunner, Runner
from leaf.store.store import LOCAL, Store
from leaf.store.work import About, StageLog, Work

T = TypeVar("T")
R = TypeVar("R")


def as_sample(problem: Problem, number: int) -> Problem:
    """Return a problem asked for one of several sampled answers, under an id of its own."""
    return replace(problem, id=f"{problem.id}/s{number}", sample=number)


class Session:
    """Computes answers, scores, sensitivities and students of one recipe over a store."""

    def __init__(self, recipe: Recipe, store: Store) -> None:
        self.recipe = recipe
        self.store = store
        self.sources: dict[str, Source] = {}
        """`student` and `teacher`, once they are found."""
        self.called: dict[str, str] = {}
        """Arm to the name by which it is told, where that is another."""
        self.stage = ""
        """The stage of the run that asks."""
        self.logs: list[StageLog] = []
        self.notes: list[str] = []
        """What people should be told of answers that are missing, or cannot be graded."""
        self.runner: Runner = RayRunner(recipe.ray) if recipe.runner == "ray" else LocalRunner()
        """Works where a model is needed; the rest is too little to carry elsewhere."""

    def compute(self, work: Work[T, R], items: Sequence[T]) -> list[R]:
        """Return the records of one result, found in the store or computed now; it is logged.

        Args:
            work: What is computed, and who computes it.
            items: What it is computed of.

        Raises:
            StoreError: no space is left, a shard is damaged, or another process is at it.
            MissingError: more answers are missing than the run may go on without.
            LeafError: whatever the worker raises.
        """
        records, log = self.store.compute(
            work,
            items,
            shard_size=self.recipe.store.shard_size,
            runner=self.runner if work.travels else LOCAL,
            missing=self.recipe.generate.missing - sum(log.missing for log in self.logs),
        )
        self.logs.append(replace(log, stage=self.stage, tokens=work.tokens(records)))
        if log.missing:
            last = next(filter(None, map(work.missing, reversed(records))))
            self.notes.append(
                f"{log.title}: {log.missing} of {log.items} requests failed, the last: {last}; the "
                "run goes on without these answers, and the same command asks for them again"
            )
        return records

    def answers(
        self,
        section: ModelSection,
        source: Source,
        problems: Sequence[Problem],
        about: About,
        drafts: Mapping[str, str] | None = None,
        generate: GenerateSection | None = None,
    ) -> Graded:
        """Answer and grade problems.

        Args:
            section: The model's part of the recipe.
            source: Where it lies.
            problems: What is asked.
            about: Who is asked what.
            drafts: Likely answers by problem id: they make it faster and change nothing.
            generate: How; None: as the recipe says.
        """
        work = AnswerWorker(
            about=about,
            section=section,
            source=source,
            generate=generate or self.recipe.generate,
            drafts=drafts,
        )
        answers = self.compute(work, problems)
        key = self.logs[-1].key
        grades = grading(about, self.recipe.grade, key, problems, self.store.root)
        given = [pair for pair in zip(problems, answers, strict=True) if not work.missing(pair[1])]
        scores = iter(self.compute(grades, given))
        graded = (
            answers,
            [
                Score(
                    problem_id=answer.problem_id,
                    outcome=Outcome.UNGRADABLE,
                    extracted=None,
                    reason=f"no answer: {answer.failure}",
                )
                if work.missing(answer)
                else next(scores)
                for answer in answers
            ],
        )
        self.notes += many_ungradable(work, graded, self.recipe)
        return graded

    def answers_of(
        self,
        role: str,
        problems: Sequence[Problem],
        about: About | None = None,
        drafts: Mapping[str, str] | None = None,
    ) -> Graded:
        """Answer and grade problems by the recipe's student or teacher.

        Args:
            role: `student` or `teacher`.
            problems: What is asked.
            about: What these are; None: the whole training problems.
            drafts: As of `answers`.
        """
        about = replace(about or About(), role=role)
        return self.answers(self._section(role), self.sources[role], problems, about, drafts)

    def has_answers(self, role: str, problems: Sequence[Problem]) -> bool:
        """Whether all of `answers_of` is in the store."""
        work = AnswerWorker(
            about=About(role=role),
            section=self._section(role),
            source=self.sources[role],
            generate=self.recipe.generate,
        )
        key = self.store.key_of(work, problems, shard_size=self.recipe.store.shard_size)
        return self.store.is_done(work.kind, key)

    def _section(self, role: str) -> ModelSection:
        return self.recipe.student if role == "student" else self.recipe.teaching

    def detector(self, name: str) -> Detector:
        """Return a detector with the recipe's options for it."""
        detector: Detector = detector_class(name)(self.recipe.attribute.options(name))
        detector.units = tuple(self.recipe.prune.units)
        return detector

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
            detector: Whose measurement, by name.
            pairs: Problems and their reference responses.
            places: Problem id to the pieces that the detector chose to measure; None: all.
            source: Other weights of that model, such as a trained student's; None: its own.
        """
        in_response = any(problem.prompt for problem, _ in pairs)
        work = ScoreWorker(
            about=About(
                role=role if source is None else source.name,
                detector=detector,
                level="response" if in_response else "instruction",
            ),
            section=self._section(role),
            source=source or self.sources[role],
            detector=self.detector(detector),
            token_budget=self.recipe.attribute.token_budget,
            places=places,
            opening=self._chat(role).own_opening,
        )
        return self.compute(work, pairs)

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

    @cached_property
    def student_chat(self) -> PromptFormat:
        """The chat template that training rows are rendered with: the student's own."""
        return prompt_format_of(load.load_tokenizer(self.sources["student"]), self.recipe.student)

    @cached_property
    def teacher_chat(self) -> PromptFormat:
        """The teacher's own chat template."""
        return prompt_format_of(load.load_tokenizer(self.sources["teacher"]), self.recipe.teaching)

    def _chat(self, role: str) -> PromptFormat:
        return self.student_chat if role == "student" else self.teacher_chat

    def plan(
        self,
        rows: Sequence[TrainingExample],
        section: DistillSection,
        originals: int | None = None,
    ) -> list[list[int]]:
        """Return the rows of every optimiser step; `originals` as of `plan_steps`."""
        lengths = None
        if section.max_tokens is not None:
            samples, _ = encode_rows(self.student_chat, rows, section.cutoff)
            lengths = [sample.length for sample in samples]
        return plan_steps(rows, section, lengths, originals=originals)

    def as_long(
        self,
        rows: Sequence[TrainingExample],
        section: DistillSection,
        whole: Sequence[TrainingExample],
    ) -> DistillSection:
        """Return how an arm learns that is held against the one that trains on the rows `whole`.

        With as many steps, or as many originals seen, as `distill.same` says; with a limit of
        tokens, which is the same for all, as it is.
        """
        if section.max_tokens is not None:
            return section
        plan = self.plan(whole, section)
        if section.same == "originals":
            plan = self.plan(rows, section, originals_in(whole, plan))
        return section.model_copy(update={"max_steps": len(plan)})

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
        once = section.model_copy(update={"rounds": 1})
        first = self._trained(self.student_of(arm, self.plan(rows, once), once, held_out), rows)
        if section.rounds == 1:
            return first
        if not held_out:
            say(f"{arm}: no second round, since no problem is held out to judge it by")
            return first
        return second_round(
            arm,
            first,
            rows,
            section,
            ask=partial(self._own_answers, arm),
            fits=lambda row: self._misfit(row, section),
            train=lambda source, own, steps, how: self._trained(
                self.student_of(arm, steps, how, held_out, source), own
            ),
        )

    def _own_answers(
        self, arm: str, source: Source, asked: Sequence[Problem], number: int
    ) -> list[Answer]:
        """Let a student so far answer, at temperature 1; each refresh has a seed of its own."""
        seed = self.recipe.distill.seed + number
        own = {"temperature": 1.0, "top_p": 1.0, "seed": seed}
        work = AnswerWorker(
            about=About(role=self.called.get(arm, arm), asked=f"own answers {number + 1}"),
            section=self.recipe.student,
            source=source,
            generate=self.recipe.generate.model_copy(update=own),
        )
        return self.compute(work, asked)

    def _misfit(self, row: TrainingExample, section: DistillSection) -> str:
        """Return why a row cannot be trained on, else ""."""
        _, left_out = encode_rows(self.student_chat, [row], section.cutoff)
        return left_out[0].reason if left_out else ""

    def _trained(self, student: TrainedStudent, rows: Sequence[TrainingExample]) -> Path:
        """Return the folder of a student, found in the store or trained now."""
        key = student.key(rows)
        folder = self.store.folder(student.kind, key)
        computed = 0
        if not self.store.is_done(student.kind, key):
            self.runner.close()
            with self.store.building(student.kind, key):
                computed = student.train(rows, key, self.store)
        else:
            student.sweep(key, self.store)
        steps = self.store.checked(student.kind, key)["steps"]
        log = self.store.log(student, key, items=len(rows), records=steps, computed=computed)
        self.logs.append(replace(log, stage=self.stage))
        return folder

    def student_of(
        self,
        arm: str,
        steps: Sequence[Sequence[int]],
        section: DistillSection,
        held_out: Sequence[TrainingExample] = (),
        source: Source | None = None,
    ) -> TrainedStudent:
        """Return one student to be, with the rows of its optimiser steps.

        `source` is the student that it begins with; None: the recipe's.
        """
        chats = self.student_chat, self.teacher_chat
        return TrainedStudent(
            about=About(role=self.called.get(arm, arm)),
            recipe=self.recipe,
            distill=section,
            sources={**self.sources, "student": source or self.sources["student"]},
            steps=steps,
            held_out=held_out,
            after=source.fingerprint.partition("@")[2] if source else None,
            one_tokenizer=same_tokenizer(*(chat.tokenizer for chat in chats)),
            openings=tuple(chat.own_opening for chat in chats),
        )
