r"""PROBLEMATHIC: school problems with and without a real distraction, from its folder (no hub id).

Line 2 of simple_adversarial_train.jsonl (with a distraction) and of its twin,
simple_non_adversarial_train.jsonl (without), hold
    id:         passage_1 in both
    prompt:     <<Passage>>Joan found 6 seashells on the beach, which increased her weight from 50
                kg to 60 kg. Jessica found 8 more seashells and her weight increased to 70 kg.
                <<Question>> How many seashells did they find together ?
                <<Passage>>Joan found 6 seashells and Jessica found 8 seashells on the beach
                <<Question>> How many seashells did they find together ?
    completion: ...<<Explanation>>Initially, Joan found 6 seashells. ...<<FinalAnswer>>14.0
and become two problems; of the first
    id:          simple-passage_1-distracted; of the clean one simple-passage_1
    question:    Joan found 6 seashells on the beach, which ... How many seashells did they find
                 together?
    answer:      14
    solution:    Initially, Joan found 6 seashells. ... which is 14.
                 The final answer is \boxed{14}.
    after:       a request for the steps and the final answer in \boxed{}
    distractors: what the clean question does not say (`leaf.text.added`), of kind `phrase`:
                 "which increased her weight from 50 kg to 60 kg", ...
    base:        simple-passage_1; of the clean one ""

A passage gets the full stop that some lack, and no space stands before a comma or a mark. A worked
solution that does not hold its own answer is no solution: "". An answer of more than three decimals
is compared by `close`, any other by `numbers`.

The data have no test set: `split` says which part is read (null: `train`). A hash of the clean
question puts 30% of the pairs into `test` and 13.5% into `validation`, the rest into `train`; these
names mean the clean problems, `test_distracted` the distracted ones, `train_mixed` half of each,
every pair once. `sources` chooses kinds (`simple`, `complex`); the parts are the same whichever are
asked for. Left out and counted as bad records are: one without its twin, a pair with two answers, a
clean question that an earlier pair has too, and in `validation` and `train` what is nearly a
question of the parts before (`leaf.tasks.overlap`).
"""

import hashlib
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from leaf.errors import DataError, nearest
from leaf.recipe import DataSection
from leaf.records import Distractor, Problem
from leaf.tasks.overlap import overlap
from leaf.tasks.reading import Row, each, read_rows, text_of
from leaf.tasks.task import no_path, task
from leaf.text.added import added

AFTER = "\nReason in a few short steps, and put your final answer within \\boxed{}."
"""What follows each question: the steps are asked for, but few, so that answers end in time."""

KINDS = ("simple", "complex")

PARTS = {"test": 0.3, "validation": 0.435, "train": 1.0}
"""A part, and where it ends among the hashes of clean questions, in (0, 1]."""

_FORMS = ("clean", "distracted", "mixed")
_FILES = {"distracted": "{}_adversarial_train.jsonl", "clean": "{}_non_adversarial_train.jsonl"}

_PROMPT = re.compile(r"<<Passage>>(.*?)<<Question>>(.*)", re.S)
_ANSWER = re.compile(r".*<<Explanation>>(.*)<<FinalAnswer>>\s*(-?[0-9]+(?:\.[0-9]+)?)\s*", re.S)
_NUMBER = re.compile(r"[0-9][0-9,]*(?:\.[0-9]+)?")
_DECIMALS = 3
"""Decimals of an answer that is still compared exactly."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Pair:
    """A problem, with and without its distraction."""

    place: str
    clean: Problem
    distracted: Problem
    text: str
    """The clean question as the record has it, `nan` for what is missing: it decides the part."""

    @property
    def hash(self) -> bytes:
        return hashlib.sha256(_normal(self.text).encode()).digest()

    @property
    def part(self) -> str:
        share = int.from_bytes(self.hash[:4], "big") / 2**32
        return next(part for part, end in PARTS.items() if share < end)

    def in_form(self, form: str) -> Problem:
        """Return the clean or the distracted problem; of `mixed` either, by hash."""
        if form == "mixed":
            form = ("clean", "distracted")[self.hash[4] % 2]
        if form == "clean":
            return self.clean
        places = added(self.distracted.question, self.clean.question)
        known = tuple(Distractor(kind="phrase", start=start, end=end) for start, end in places)
        return replace(self.distracted, distractors=known)


@task("problemathic")
def problemathic(section: DataSection) -> list[Problem | DataError]:
    """Read one part of the folder `section.path`, simple problems first, in the order of the files.

    Raises:
        DataError: no path, a file that is not there, an unknown split or source.
    """
    part, form = _part_and_form(section.split or "train")
    folder, kinds = _folder_and_kinds(section)
    there = [kind for kind in KINDS if kind in kinds or _file(folder, "clean", kind).is_file()]
    pairs = {kind: _pairs(folder, kind) for kind in there}
    left_out = _left_out([one for found in pairs.values() for one in found])
    problems: list[Problem | DataError] = []
    for pair in (one for kind in kinds for one in pairs[kind]):
        if isinstance(pair, DataError):
            problems.append(pair)
        elif pair.part == part:
            reason = left_out.get(pair.clean.id)
            problems.append(DataError(f"{pair.place}: {reason}") if reason else pair.in_form(form))
    return problems


def _part_and_form(split: str) -> tuple[str, str]:
    known = {
        f"{part}_{form}".removesuffix("_clean"): (part, form) for part in PARTS for form in _FORMS
    }
    if split not in known:
        raise DataError(
            f"task `problemathic`: there is no split `{split}`{nearest(split, known) or ';'} "
            f"there are: {', '.join(known)}"
        )
    return known[split]


def _folder_and_kinds(section: DataSection) -> tuple[Path, list[str]]:
    """Return where the files lie, and the kinds that are asked for, in their order."""
    if section.path is None:
        raise no_path("problemathic", section, "the folder of its four .jsonl files")
    path, wanted = Path(section.path).expanduser(), section.sources or list(KINDS)
    if path.suffix == ".jsonl":  # one of the files: its kind
        path, wanted = path.parent, section.sources or [path.name.partition("_")[0]]
    for name in wanted:
        if name not in KINDS:
            raise DataError(
                f"task `problemathic`: there is no source `{name}`{nearest(name, KINDS) or ';'} "
                f"there are: {', '.join(KINDS)}"
            )
    return path, [kind for kind in KINDS if kind in wanted]


def _file(folder: Path, form: str, kind: str) -> Path:
    return folder / _FILES[form].format(kind)


def _pairs(folder: Path, kind: str) -> list[_Pair | DataError]:
    """Join the two files of a kind by `id`, in the order of the clean one."""
    rows: dict[str, dict[str, Row]] = {}
    found: list[_Pair | DataError] = []
    for form in ("clean", "distracted"):
        for row in read_rows(str(_file(folder, form, kind)), name=None, split=""):
            try:
                if isinstance(row, DataError):
                    raise row
                twins = rows.setdefault(text_of(row, "id"), {})
                if form in twins:
                    raise DataError(f"{row.place}: its id stands in {twins[form].place} already")
                twins[form] = row
            except DataError as error:
                found.append(error)
    return found + each(list(rows.items()), lambda named: _pair(f"{kind}-{named[0]}", named[1]))


def _pair(name: str, twins: dict[str, Row]) -> _Pair:
    place = next(iter(twins.values())).place
    if len(twins) == 1:
        raise DataError(f"{place}: only the {next(iter(twins))} half of this pair is there")
    clean = _problem(twins["clean"], name)
    distracted = replace(_problem(twins["distracted"], f"{name}-distracted"), base=name)
    if clean.answer != distracted.answer:
        raise DataError(
            f"{place}: the answer is {clean.answer}, but {distracted.answer} in "
            f"{twins['distracted'].place}: no pair"
        )
    text = " ".join(_asked(twins["clean"]))
    return _Pair(place=place, clean=clean, distracted=distracted, text=text)


def _asked(row: Row) -> tuple[str, str]:
    """Return passage and question."""
    asked = _PROMPT.fullmatch(text_of(row, "prompt"))
    if asked is None:
        raise DataError(f"{row.place}: column `prompt` must be <<Passage>>...<<Question>>...")
    return _tidy(asked[1]), _tidy(asked[2])


def _problem(row: Row, name: str) -> Problem:
    worked = _ANSWER.fullmatch(text_of(row, "completion"))
    if worked is None:
        raise DataError(
            f"{row.place}: column `completion` must end in "
            "<<Explanation>>...<<FinalAnswer>> and a number"
        )
    # A data frame wrote `nan` for the passage, or the question, of 71 problems that have none.
    passage, question = ("" if text == "nan" else text for text in _asked(row))
    if not passage and not question:
        raise DataError(f"{row.place}: column `prompt` has neither a passage nor a question")
    answer = re.sub(r"\.0+$", "", worked[2])
    return Problem(
        id=name,
        question=f"{passage}{'.' * passage[-1:].isalnum()} {question}".strip(),
        answer=answer,
        solution=_solution(worked[1].strip(), answer),
        after=AFTER,
        grader="close" if len(answer.partition(".")[2]) > _DECIMALS else "numbers",
    )


def _solution(steps: str, answer: str) -> str:
    """Return the worked solution, "" where it comes to something else."""
    said = (float(number.replace(",", "")) for number in _NUMBER.findall(steps))
    value = abs(float(answer))
    if not any(abs(number - value) <= 1e-6 * value for number in said):
        return ""
    return f"{steps}\nThe final answer is \\boxed{{{answer}}}."


def _tidy(text: str) -> str:
    return re.sub(r"\s+([,.?!;:])(?=\s|$)", r"\1", " ".join(text.split()))


def _normal(question: str) -> str:
    """Return a question without case, marks and space, as it is hashed and compared."""
    return " ".join(re.findall(r"\w+", question.casefold()))


def _left_out(pairs: Iterable[_Pair | DataError]) -> dict[str, str]:
    """Return why pairs are in no part, by the id of the clean problem."""
    reasons: dict[str, str] = {}
    first: set[str] = set()
    parts: dict[str, list[Problem]] = {part: [] for part in PARTS}
    for pair in pairs:
        if isinstance(pair, DataError):
            continue
        normal = _normal(pair.clean.question)
        if normal in first:
            reasons[pair.clean.id] = "an earlier pair has the same clean question"
        else:
            first.add(normal)
            parts[pair.part].append(pair.clean)
    held: list[Problem] = []
    for problems in parts.values():
        near = set(_near(problems, held)) if held else set()
        reasons |= dict.fromkeys(near, "nearly a question of a part that is tested on")
        held += [problem for problem in problems if problem.id not in near]
    return reasons


def _near(problems: list[Problem], held: list[Problem]) -> Iterator[str]:
    """Yield the ids of the problems that are nearly held ones."""
    # Both ways round: the runs that are looked for are those of the first, short where it is short.
    shared = overlap(problems, held)
    near = {one.test_id for one in (*shared.exact, *shared.near)}
    while near:
        yield from near
        problems = [problem for problem in problems if problem.id not in near]
        shared = overlap(held, problems)
        near = {one.train_id for one in (*shared.exact, *shared.near)}
