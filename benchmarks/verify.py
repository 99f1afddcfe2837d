"""What verification costs: LeaF's way beside plain batched generation, in the same run.

    OMP_NUM_THREADS=1 .venv/bin/python -m benchmarks.verify --json

Problems of GSM8K's training set are answered by both Qwen models; those that enter detection
(student wrong, teacher right) lose a word, a clause and a sentence each, chosen by seed. Plain:
both models answer every variant by `generate`, batched and padded. Ours: the student first, the
teacher only where the student is right; shared beginnings are computed once, answers that end leave
the batch, and each model's answer to the uncut question is the draft. A model's

- seconds_ratio_to_plain is plain seconds over ours (total: both models, loading left out), and
  cpu_seconds_ratio_to_plain the same in processor time, which other work on the machine moves less;
- passes_ratio_to_plain compares the passes that the same texts took part in: plain over ours;
- undrafted.seconds_ratio_to_plain is that of our decoding without drafts on what the model was
  asked, so that what drafts add can be seen;
- identical_texts is the share of our texts that are plain's, character by character. Drafts change
  no text in exact arithmetic; in bfloat16 rounding decides between near-equal logits, and a text
  that has once parted goes on by itself. undrafted.identical_texts is that without any draft;
- same_outcomes is the share of equal grades.

Answers to the uncut questions are found again in --store; what is timed never is.
"""

import random
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cyclopts
import torch

from benchmarks._gsm_ic import MODELS, STUDENT, TEACHER
from benchmarks.common import ROOT, AsJson, out_console, print_json, start
from leaf.errors import LeafError, UsageError
from leaf.generate import HuggingFaceEngine
from leaf.generate.engine import Effort
from leaf.grade import open_graders
from leaf.models import load
from leaf.models.files import find
from leaf.models.load import Loaded, dtype_name, loaded
from leaf.models.prompt_format import PromptFormat
from leaf.pipeline.detection import Detection
from leaf.pipeline.session import Session
from leaf.progress import progress, table
from leaf.recipe import ModelSection, Recipe
from leaf.recipe.reading import check_recipe
from leaf.records import Answer, Problem
from leaf.store.store import Store
from leaf.tasks import load_problems
from leaf.text.units import may_go, pieces, without

UNITS = ("word", "clause", "sentence")

AFTER = "\nReason in a few short steps, and put your final answer within \\boxed{}."
"""With the usual request for steps two of five answers of these models reach the token limit."""

app = cyclopts.App(help=__doc__)


@app.default
def main(
    *,
    json_: AsJson = False,
    problems: int = 48,
    n: int = 36,
    max_new_tokens: int = 400,
    seed: int = 0,
    student: str = str(MODELS / f"{STUDENT}.gguf"),
    teacher: str = str(MODELS / f"{TEACHER}.gguf"),
    store: Path = ROOT / "runs" / "store",
    data: Path = ROOT.parent / "shared" / "data",
) -> None:
    """Measure passes and seconds of verification.

    Args:
        json_: End with one line of JSON for a program.
        problems: How many problems are answered to find those that enter detection.
        n: At most so many variants, as many of each unit.
        max_new_tokens: Longest answer in tokens.
        seed: Chooses the pieces that are cut.
        student: Hub id, local folder or GGUF file.
        teacher: Hub id, local folder or GGUF file.
        store: Where answers to the uncut questions are kept and found again.
        data: Folder with gsm8k/train.jsonl.
    """
    for name, value in (("problems", problems), ("n", n)):
        if value < 1:
            raise UsageError(f"--{name} {value}: must be at least 1")
    recipe = _recipe(student, teacher, data, problems, max_new_tokens)
    session = Session(recipe, Store(store))
    session.sources = {"student": find(recipe.student), "teacher": find(recipe.teacher)}
    uncut, said = _uncut(session, load_problems(recipe.data))
    variants = cut(uncut, n, seed=seed)
    asked: list[Problem] = list(variants)
    trials = {}
    for role, section in (("student", recipe.student), ("teacher", recipe.teacher)):
        with loaded(section, session.sources[role]) as model:
            trial = measure(model, recipe, section, variants, asked, said[role])
        trials[role] = trial
        asked = [problem for problem in asked if trial.drafted.right[problem.id]]
    show(trials)
    if json_:
        setting = _setting(recipe, session) | {"seed": seed, "problems_in_detection": len(uncut)}
        print_json("verify", setting, figures(trials))


@dataclass(frozen=True, kw_only=True, slots=True)
class Measured:
    """What one way of answering took, and what it said."""

    seconds: float
    cpu_seconds: float
    effort: Effort
    answers: Mapping[str, Answer]
    """By variant."""
    right: Mapping[str, bool]


@dataclass(frozen=True, kw_only=True, slots=True)
class Trial:
    """One model: plain answers to all variants, and two other ways on what it is asked."""

    plain: Measured
    drafted: Measured
    undrafted: Measured


# Variants.


def cut(problems: Sequence[Problem], count: int, *, seed: int) -> list[Problem]:
    """Take a word, a clause and a sentence out of each question, in turn, up to `count` variants.

    What asks stays, and so does a question that is one single piece.
    """
    rng = random.Random(seed)
    variants = []
    for problem in problems:
        for unit in UNITS:
            found = pieces(problem.question, unit)
            free = [(start, end) for start, end in found if may_go(problem.question[start:end])]
            if len(found) > 1 and free:
                question = without(problem.question, rng.choice(free))
                variants.append(replace(problem, id=f"{problem.id}/{unit}", question=question))
    return variants[:count]


def _uncut(
    session: Session, problems: Sequence[Problem]
) -> tuple[list[Problem], dict[str, dict[str, str]]]:
    """Return the problems that enter detection, and both models' answers to them."""
    # No draft is known, but so decoded answers that end leave the batch, which takes less time.
    graded = {
        role: session.answers_of(role, problems, drafts={}) for role in ("student", "teacher")
    }
    chosen = Detection(session, problems, graded["student"], graded["teacher"]).chosen
    if not chosen:
        raise LeafError(f"none of {len(problems)} problems entered detection: take more --problems")
    said = {
        role: {answer.problem_id: answer.text for answer in answers}
        for role, (answers, _) in graded.items()
    }
    return chosen, said


# Measuring.


def measure(
    model: Loaded,
    recipe: Recipe,
    section: ModelSection,
    variants: Sequence[Problem],
    asked: Sequence[Problem],
    said: Mapping[str, str],
) -> Trial:
    """Time the plain way on all variants, ours on those that the model is asked."""
    chat = PromptFormat(model.tokenizer, name=section.model, system=section.system)
    drafts = [said[problem.id.rpartition("/")[0]] for problem in asked]

    def run(problems: Sequence[Problem], drafts: Sequence[str] | None, label: str) -> Measured:
        with progress(f"{model.source.name}: {label}", len(problems), unit="variants") as tick:
            engine = HuggingFaceEngine(model, chat, recipe.generate, tick)
            wall, cpu = time.perf_counter(), time.process_time()
            answers = engine.answer(problems, drafts)
            wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        with open_graders(recipe.grade) as grader:
            scores = grader.grade(problems, answers)
        return Measured(
            seconds=wall,
            cpu_seconds=cpu,
            effort=engine.effort,
            answers={answer.problem_id: answer for answer in answers},
            right={score.problem_id: score.right for score in scores},
        )

    return Trial(
        plain=run(variants, None, "plain"),
        drafted=run(asked, drafts, "drafted"),
        undrafted=run(asked, [""] * len(asked), "undrafted"),
    )


# Numbers.


def figures(trials: Mapping[str, Trial]) -> dict[str, float]:
    """Name the numbers: `<role>.<measure>`, and `total.<measure>` over both models."""
    found: dict[str, float] = {}
    for role, trial in trials.items():
        found |= {f"{role}.{name}": value for name, value in figures_of(trial).items()}
    plain = [trial.plain for trial in trials.values()]
    ours = [trial.drafted for trial in trials.values()]
    found["total.seconds_ratio_to_plain"] = _ratio(plain, ours, "seconds")
    found["total.cpu_seconds_ratio_to_plain"] = _ratio(plain, ours, "cpu_seconds")
    texts = sum(len(one.answers) for one in ours)
    same = sum(_same_texts(trial, trial.drafted) for trial in trials.values())
    found["identical_texts"] = same / texts
    found["n"] = len(trials["student"].plain.answers)
    return found


def figures_of(trial: Trial) -> dict[str, float]:
    """Return one model's numbers; ratios of passes and texts are over what it was asked."""
    found = {
        "n": float(len(trial.drafted.answers)),
        "plain.seconds": trial.plain.seconds,
        "drafted.seconds": trial.drafted.seconds,
        "seconds_ratio_to_plain": _ratio([trial.plain], [trial.drafted], "seconds"),
        "cpu_seconds_ratio_to_plain": _ratio([trial.plain], [trial.drafted], "cpu_seconds"),
    }
    asked = len(trial.drafted.answers)
    if not asked:
        return found
    plain_passes = sum(trial.plain.answers[at].response_tokens for at in trial.drafted.answers)
    effort = trial.drafted.effort
    alike = sum(trial.plain.right[at] == right for at, right in trial.drafted.right.items())
    return found | {
        "undrafted.seconds_ratio_to_plain": _ratio([trial.plain], [trial.undrafted], "seconds"),
        "undrafted.cpu_seconds_ratio_to_plain": _ratio(
            [trial.plain], [trial.undrafted], "cpu_seconds"
        ),
        "plain.passes_per_text": plain_passes / asked,
        "drafted.passes_per_text": effort.row_passes / asked,
        "passes_ratio_to_plain": plain_passes / effort.row_passes,
        "proposed_per_token": effort.proposed / effort.tokens,
        "identical_texts": _same_texts(trial, trial.drafted) / asked,
        "undrafted.identical_texts": _same_texts(trial, trial.undrafted) / asked,
        "same_outcomes": alike / asked,
        "right": sum(trial.drafted.right.values()) / asked,
    }


def _ratio(plain: Sequence[Measured], ours: Sequence[Measured], what: str) -> float:
    """Return plain over ours; infinite where nothing was asked."""
    spent = sum(getattr(one, what) for one in ours)
    return float(sum(getattr(one, what) for one in plain) / spent) if spent else float("inf")


def _same_texts(trial: Trial, ours: Measured) -> int:
    plain = trial.plain.answers
    return sum(plain[at].text == answer.text for at, answer in ours.answers.items())


def show(trials: Mapping[str, Trial]) -> None:
    """Print what each way took."""
    rows = table("", "texts", "seconds", "passes", "passes a text", "tokens a text", "right")
    for role, trial in trials.items():
        for way in ("plain", "drafted", "undrafted"):
            one: Measured = getattr(trial, way)
            texts = len(one.answers) or 1
            rows.add_row(
                f"{role}, {way}",
                str(len(one.answers)),
                f"{one.seconds:.1f}",
                str(one.effort.passes),
                f"{one.effort.row_passes / texts:.1f}",
                f"{one.effort.tokens / texts:.1f}",
                str(sum(one.right.values())),
            )
    out_console.print(rows)


# Setting.


def _recipe(student: str, teacher: str, data: Path, problems: int, max_new_tokens: int) -> Recipe:
    path = data / "gsm8k" / "train.jsonl"
    if not path.is_file():
        raise UsageError(
            f"no {path}: name another folder with --data; the records are those of "
            "github.com/openai/grade-school-math"
        )
    return check_recipe(
        {
            "name": "verify",
            "student": {"model": student},
            "teacher": {"model": teacher},
            "data": {"task": "gsm8k", "path": str(path), "limit": problems, "after": AFTER},
            "generate": {"max_new_tokens": max_new_tokens},
            "evaluate": {"benchmarks": {}},
        },
        source="verification",
    )


def _setting(recipe: Recipe, session: Session) -> dict[str, Any]:
    device = load.best_device()
    found: dict[str, Any] = {
        role: {
            "model": Path(section.model).name,
            "fingerprint": session.sources[role].fingerprint,
            "dtype": dtype_name(load.resolve_dtype(section.dtype, device)),
        }
        for role, section in (("student", recipe.student), ("teacher", recipe.teacher))
    }
    return found | {
        "problems": recipe.data.limit,
        "max_new_tokens": recipe.generate.max_new_tokens,
        "max_batch": recipe.generate.max_batch,
        "device": device.type,
        "threads": torch.get_num_threads(),
    }


if __name__ == "__main__":
    start(app)
