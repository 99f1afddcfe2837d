"""Trained students that are kept in the repository: how they lie there, written and read.

    results/pair1/questions/simple.jsonl.gz          a test's questions, with what is right
    results/pair1/A/seed-1/kd/recipe.yaml            pair, setting, seed of the training, arm
                             /manifest.json          models, versions, rows, seconds, tests
                             /metrics.jsonl          each step of its training
                             /adapter/               LoRA, as `leaf evaluate --adapter` reads it
                             /answers/simple.jsonl.gz    each answer with its verdict

An arm that is not trained (`before`, `teacher`) has no adapter and no metrics. Names of files on
the machine that trained are cut to their last two parts.
"""

import dataclasses
import gzip
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks._numbers import COUNTED, count_in
from leaf.errors import DataError, UsageError
from leaf.grade import open_graders
from leaf.models.files import ADAPTER_WEIGHTS
from leaf.recipe import GradeSection
from leaf.records import Answer, Problem, Score

_LEAST = 30
"""Questions of so many numbers that a test has at least, or these have no figure."""

PLACE = re.compile(r"(pair[0-9]+)/([A-Za-z0-9_-]+)/seed-([0-9]+)")


@dataclass(frozen=True, kw_only=True, slots=True)
class Student:
    """One model on the tests of its pair."""

    pair: str
    setting: str
    seed: int
    arm: str
    folder: Path
    manifest: Mapping[str, Any]

    @property
    def tests(self) -> list[str]:
        """The tests that it answered."""
        return list(self.manifest["tests"])

    @property
    def seconds(self) -> float | None:
        """What its training took; None where it was not trained."""
        found: float | None = (self.manifest.get("training") or {}).get("seconds")
        return found


def read_students(results: Path) -> list[Student]:
    """Return every student below a folder, by pair, setting, arm and seed.

    Raises:
        UsageError: there is no such folder.
        DataError: a manifest that cannot be read.
    """
    if not results.is_dir():
        raise UsageError(f"{results}: there is no such folder; --keep lays students there")
    found = [student_of(path.parent) for path in results.glob("pair*/*/seed-*/*/manifest.json")]
    return sorted(found, key=lambda one: (one.pair, one.setting, one.arm, one.seed))


def student_of(folder: Path) -> Student:
    """Return what a folder holds; raises `DataError` where it is not a student's."""
    match = PLACE.fullmatch("/".join(folder.resolve().parts[-4:-1]))
    path = folder / "manifest.json"
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
        tests = manifest["tests"]
    except (OSError, ValueError, KeyError, TypeError):
        raise DataError(f"{path}: not a student's manifest; keep the run again") from None
    if match is None or not isinstance(tests, dict):
        raise DataError(f"{path}: not where a student is kept (pair1/A/seed-1/kd)")
    return Student(
        pair=match[1],
        setting=match[2],
        seed=int(match[3]),
        arm=folder.name,
        folder=folder,
        manifest=manifest,
    )


def student_at(path: Path, *, trained: bool = True) -> Student:
    """Return the student of a folder, or of the folder with its adapter.

    Raises:
        UsageError: there is none, or none that was trained.
    """
    folder = path.resolve().parent if path.name == "adapter" else path.resolve()
    if trained and not (folder / "adapter" / ADAPTER_WEIGHTS).is_file():
        raise UsageError(f"{path}: holds no trained student, such as results/pair1/A/seed-1/leaf")
    return student_of(folder)


def questions_folder(student: Student) -> Path:
    """Return where the questions of a student's pair lie."""
    return student.folder.parents[2] / "questions"


def questions_of(student: Student, test: str) -> list[Problem]:
    """Return a test's questions; raises as `answers_of`."""
    path = questions_folder(student) / f"{test}.jsonl.gz"
    return [
        Problem(**{"answer": "", "solution": "", **line, "golds": tuple(line.get("golds", ()))})
        for line in _lines(path)
    ]


def answers_of(student: Student, test: str) -> list[Answer]:
    """Return a student's answers to a test, in the order of its questions.

    Raises:
        DataError: a file or an answer is not there, or does not fit the questions.
    """
    path = student.folder / "answers" / f"{test}.jsonl.gz"
    asked = [problem.id for problem in questions_of(student, test)]
    answers = [
        Answer(
            problem_id=line["id"],
            text=line.get("text", ""),
            prompt_tokens=0,
            response_tokens=line["tokens"],
            truncated=line["cut"],
            failure=line.get("failure"),
        )
        for line in _lines(path)
    ]
    answered = [answer.problem_id for answer in answers]
    if answered != asked:
        lacks = next((name for name in asked if name not in set(answered)), None)
        what = f"no answer to {lacks}" if lacks else "answers of other questions, or twice"
        raise DataError(f"{path}: {len(asked)} questions, {len(answered)} answers: {what}")
    return answers


def outcomes_of(student: Student, test: str) -> list[str]:
    """Return the verdicts that were kept with the answers."""
    path = student.folder / "answers" / f"{test}.jsonl.gz"
    return [str(line["outcome"]) for line in _lines(path)]


@dataclass(frozen=True, kw_only=True, slots=True)
class Graded:
    """One student's answers to one test, with their grades made anew."""

    student: Student
    test: str
    problems: list[Problem]
    answers: list[Answer]
    scores: list[Score]

    def parts(self) -> "Iterator[Graded]":
        """Yield the whole test, then its parts.

        Each that its data name, as `svamp.plain`, and clean questions by how many numbers they
        have, as `svamp.three_numbers`.
        """
        yield self
        named = [problem.source for problem in self.problems]
        if len(set(named) - {""}) > 1:
            yield from self._split(named, sorted(set(named) - {""}))
        counts = [count_in(problem) for problem in self.problems]
        yield from self._split(counts, COUNTED.values(), least=_LEAST)

    def _split(
        self, names: Sequence[str], parts: Iterable[str], least: int = 1
    ) -> "Iterator[Graded]":
        """Yield the questions of each part, where there are enough of them."""
        for name in parts:
            places = [at for at, other in enumerate(names) if other == name]
            if len(places) < least:
                continue
            yield dataclasses.replace(
                self,
                test=f"{self.test}.{name}",
                problems=[self.problems[at] for at in places],
                answers=[self.answers[at] for at in places],
                scores=[self.scores[at] for at in places],
            )


def graded(students: Sequence[Student]) -> Iterator[Graded]:
    """Grade every answer of some students; raises as `answers_of`."""
    with open_graders(GradeSection()) as graders:
        for student, test in ((one, test) for one in students for test in one.tests):
            problems, answers = questions_of(student, test), answers_of(student, test)
            scores = graders.grade(problems, answers)
            yield Graded(
                student=student, test=test, problems=problems, answers=answers, scores=scores
            )


def _lines(path: Path) -> list[dict[str, Any]]:
    try:
        text = gzip.decompress(path.read_bytes()).decode("utf-8")
        lines = [json.loads(line) for line in text.splitlines()]
    except FileNotFoundError:
        raise DataError(f"{path}: not there; keep the run again") from None
    except (OSError, EOFError, ValueError) as error:
        raise DataError(f"{path}: damaged ({error}); keep the run again") from None
    return lines


def packed(lines: Sequence[Mapping[str, Any]]) -> bytes:
    """Return JSON lines, what says nothing left out; the same bytes for the same lines."""
    empty: tuple[object, ...] = (None, "", [], ())
    told = ({key: one for key, one in line.items() if one not in empty} for line in lines)
    text = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in told)
    return gzip.compress(text.encode("utf-8", errors="replace"), mtime=0)
