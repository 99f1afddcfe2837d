"""Grades answers, and asks the models behind graders.

A grader knows no engine: `Judges.ask` is handed to it (`leaf.grade.Ask`). What a judge said is kept
by model, prompt and answer, in the store's folder `judged`: a file a model, a line a prompt. Lines
are only ever added, and one that a kill cut in the middle is asked again.
"""

import contextlib
import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from leaf.generate import Unanswered, find_for, open_engine
from leaf.generate.engine import Engine
from leaf.grade import GRADERS, Graders, Unscored, grader_of
from leaf.grade import open_graders as open_without_judges
from leaf.models.files import Source
from leaf.pipeline.workers import AnswerWorker, in_words
from leaf.progress import Ticker, progress
from leaf.recipe import GenerateSection, GradeSection, ModelSection
from leaf.records import Answer, Problem, Score
from leaf.store.disk import space_guard
from leaf.store.keys import digest, plain, user_code_digest
from leaf.store.runner import Worker
from leaf.store.work import About, Work

JUDGED = "judged"
"""The folder of a store where judges' words are kept."""


@contextmanager
def open_graders(section: GradeSection, kept: Path | None = None) -> Iterator[Graders]:
    """Open all graders, those that ask a model too, until the block ends.

    Args:
        section: Limits.
        kept: Folder where judges' words are kept; None: nowhere.
    """
    with ExitStack() as stack:
        yield stack.enter_context(open_without_judges(section, Judges(kept, stack).ask))


def judges_of(problems: Iterable[Problem]) -> list[ModelSection]:
    """Return the models that the graders of problems ask, each once."""
    graders = {(one.grader, one.grader_options): one for one in problems}
    asked = (model for one in graders.values() for model in grader_of(one).asks())
    return list({model.model_dump_json(): model for model in asked}.values())


def find_judge(section: ModelSection) -> Source:
    """Find a judge's files, or its server."""
    return find_for(section, GenerateSection())


def grading(
    about: About, section: GradeSection, answers: str, problems: Sequence[Problem], root: Path
) -> "GradeWorker":
    """Return the work of grading the answers to some problems; arguments as of its fields.

    Args:
        about: Who was asked what.
        section: Limits.
        answers: Key of the answers.
        problems: What was asked.
        root: The store, where judges' words are kept too.

    Raises:
        ModelError: a judge cannot be found.
    """
    judges = tuple(find_judge(model).fingerprint for model in judges_of(problems))
    return GradeWorker(
        about=about, grade=section, answers=answers, judges=judges, kept=root / JUDGED
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class GradeWorker(Work[tuple[Problem, Answer], Score]):
    """Judges answers; apart from these, so that a new grader needs no new answers."""

    kind = "scores"
    version = 5
    """2 reads more notations of mathematics than 1 did, 3 a language below its fence, 4 numbers and
    mathematics as people write them in several languages; it passes thoughts and run-ons over. 5 is
    told by no number that an answer denies (`not 5`), marked or not."""
    record = Score
    unit = "answers"
    travels = False

    about: About
    grade: GradeSection
    answers: str
    """Key of the answers."""
    judges: tuple[str, ...] = ()
    """Fingerprints of the models that graders ask."""
    kept: Path | None = None
    """Where judges' words are kept; None: nowhere."""

    @property
    def title(self) -> str:
        """Whose answers are graded."""
        return f"grading {in_words(self.about)}"

    def settings(self, items: Sequence[tuple[Problem, Answer]]) -> dict[str, Any]:
        """Return the limits that a judgement can run into, and the code of a user's graders."""
        settings: dict[str, Any] = {"time_limit": self.grade.time_limit}
        if any(problem.tests for problem, _ in items):
            settings |= self.grade.model_dump(include={"code_time_limit", "code_memory"})
        for name in {problem.grader for problem, _ in items} & GRADERS.keys():
            code = user_code_digest(GRADERS[name])
            settings |= {f"{key} of {name}": value for key, value in code.items()}
        if any(problem.grader_options for problem, _ in items):
            settings["options"] = digest([problem.grader_options for problem, _ in items])
        if self.judges:
            settings["judges"] = list(self.judges)
        return settings

    def inputs(self, items: Sequence[tuple[Problem, Answer]]) -> list[str]:
        """Return the answers and the problems, which hold what is right."""
        return [self.answers, digest(plain([problem for problem, _ in items]))]

    def missing(self, record: Score) -> str:
        """Return why a judge's request failed, if it did."""
        return (record.reason or "") if isinstance(record, Unscored) else ""

    @contextmanager
    def open(self, tick: Ticker) -> Iterator[Worker[tuple[Problem, Answer], Score]]:
        """Open the graders."""
        with open_graders(self.grade, self.kept) as grader:

            def work(pairs: Sequence[tuple[Problem, Answer]]) -> list[Score]:
                scores = grader.grade([pair[0] for pair in pairs], [pair[1] for pair in pairs])
                tick(len(pairs))
                return scores

            yield work


class Judges:
    """The models behind graders: each is opened when an answer must be asked of it."""

    def __init__(self, kept: Path | None, stack: ExitStack) -> None:
        """Keep what they say in a folder (None: nowhere); `stack` closes them."""
        self._kept, self._stack = kept, stack
        self._opened: dict[str, _Judge] = {}

    def ask(
        self, model: ModelSection, prompts: Sequence[str], max_new_tokens: int
    ) -> list[Answer | str]:
        """Return what a model answers greedily to each prompt, or why its request failed."""
        name = f"{max_new_tokens} {model.model_dump_json()}"
        if name not in self._opened:
            generate = GenerateSection(max_new_tokens=max_new_tokens)
            room = max(generate.token_budget, 2 * max_new_tokens)
            generate = generate.model_copy(update={"token_budget": room})
            self._opened[name] = _Judge(model, generate, self._kept, self._stack)
        return self._opened[name].ask(prompts)


class _Judge:
    """One model, how it answers, and what it has said."""

    def __init__(
        self,
        section: ModelSection,
        generate: GenerateSection,
        kept: Path | None,
        stack: ExitStack,
    ) -> None:
        self._section, self._generate, self._stack = section, generate, stack
        self._source = find_judge(section)
        self._engine: Engine | None = None
        self._said: dict[str, Answer] = {}
        self._file: Path | None = None
        self._work = AnswerWorker(
            about=About(role="judge"), section=section, source=self._source, generate=generate
        )
        if kept is not None:
            self._file = kept / f"{digest([self._source.fingerprint])}.jsonl"
            self._said = _read(self._file)

    def ask(self, prompts: Sequence[str]) -> list[Answer | str]:
        """Answer each prompt, those that were never answered by the model."""
        problems = {prompt: self._problem(prompt) for prompt in prompts}
        keys = {prompt: self._work.key([problem]) for prompt, problem in problems.items()}
        new = [prompt for prompt in problems if keys[prompt] not in self._said]
        failed: dict[str, str] = {}
        if new:
            with progress(f"judge {self._section.model}", len(new), unit="answers") as tick:
                asked = ((problems[prompt], "") for prompt in new)
                for at, answer in self._open().stream(asked):
                    tick(1)
                    if isinstance(answer, Unanswered):
                        failed[new[at]] = answer.failure or ""
                    else:
                        self._keep(keys[new[at]], answer)
        return [failed[one] if one in failed else self._said[keys[one]] for one in prompts]

    def _problem(self, prompt: str) -> Problem:
        return Problem(id=digest([prompt]), question=prompt, answer="", solution="")

    def _open(self) -> Engine:
        if self._engine is None:
            opened = open_engine(self._section, self._source, self._generate)
            self._engine = self._stack.enter_context(opened)
        return self._engine

    def _keep(self, key: str, answer: Answer) -> None:
        self._said[key] = answer
        if self._file is None:
            return
        line = json.dumps({"key": key, **asdict(answer)}, ensure_ascii=False)
        with space_guard(self._file):
            self._file.parent.mkdir(parents=True, exist_ok=True)
            with self._file.open("a", encoding="utf-8", errors="replace") as file:
                # In one piece, on a line of its own whatever was cut before.
                file.write(f"\n{line}\n")


def _read(path: Path) -> dict[str, Answer]:
    """Return what was said by its key; a line that is none is passed over."""
    said = {}
    lines = path.read_bytes().splitlines() if path.is_file() else []
    for line in lines:
        with contextlib.suppress(ValueError, TypeError, KeyError):
            values = json.loads(line)
            key = values.pop("key")
            said[key] = Answer(**values)
    return said
