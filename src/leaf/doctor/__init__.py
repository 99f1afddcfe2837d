"""What would stop or spoil a run, found before hours are spent.

Every check goes on by itself: a fault is a finding, and the next check runs. Model files are
brought to this machine as a run would bring them; weights are loaded once, for a rehearsal.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import ParamSpec, TypeVar

from leaf.distill.room import count_parameters
from leaf.doctor.cost import check_cost
from leaf.doctor.data import (
    check_cutoff,
    check_injections,
    check_lengths,
    check_number,
    check_overlap,
    check_positions,
    check_programs,
    check_refused,
    check_solutions,
    check_unshown,
    with_key,
)
from leaf.doctor.engines import check_engines, check_judge, check_weights
from leaf.doctor.files import (
    ModelFiles,
    check_pair,
    check_template,
    check_thinking,
    check_vocabularies,
    describe,
    describe_self,
    look,
    open_chat,
)
from leaf.doctor.finding import Finding
from leaf.doctor.golds import check_contradictions, check_golds, check_kinds, check_sentences
from leaf.doctor.machine import (
    check_devices,
    check_disk,
    check_extras,
    check_memory,
    check_runner,
    check_threads,
)
from leaf.doctor.paths import check_paths
from leaf.doctor.served import check_served
from leaf.errors import LeafError
from leaf.models.prompt_format import PromptFormat
from leaf.models.vocabulary import same_tokenizer
from leaf.pipeline.entering import shown
from leaf.recipe import DataSection, Recipe
from leaf.recipe.reading import arm_recipes
from leaf.recipe.schema import NOTHING_TAUGHT
from leaf.records import Problem
from leaf.tasks import read_problems

T = TypeVar("T")
P = ParamSpec("P")

__all__ = ["Finding", "examine"]


def examine(recipe: Recipe) -> list[Finding]:
    """Check a recipe on this machine; faults of any part become findings, in reading order.

    Of an arm that the recipe names only what is special of it is told.
    """
    findings = _examine(recipe)
    told = {_told(finding) for finding in findings}
    no_benchmark = recipe.evaluate.model_copy(update={"benchmarks": {}})
    for name, own in arm_recipes(recipe).items():
        found = _examine(own.model_copy(update={"evaluate": no_benchmark}))
        special = [
            finding
            for finding in found
            # The recipe's own lines are for all its students.
            if _told(finding) not in told and not finding.text.startswith(("disk: ", "time, train"))
        ]
        if not special:
            special = [Finding("good", "nothing else to look at than above")]
        findings += [Finding(one.level, f"arm {name}: {one.text}") for one in special]
    return findings


def _told(finding: Finding) -> tuple[str, str]:
    """Return what tells findings apart; what is free on this machine differs at every look."""
    return finding.level, re.split(r"; |, of |, but ", finding.text)[0]


def _examine(recipe: Recipe) -> list[Finding]:
    findings = [
        *check_devices(recipe),
        *check_threads(),
        *check_runner(recipe),
        *check_extras(recipe),
    ]
    student = _attempt(findings, look, recipe.student, "student")
    teacher = student if recipe.alone else _attempt(findings, look, recipe.teacher, "teacher")
    chats = _describe(findings, [student] if recipe.alone else [student, teacher])
    if student and recipe.alone:
        findings.append(describe_self(recipe.distill))
    if recipe.teaches_nothing:
        findings.append(Finding("warn", NOTHING_TAUGHT))
    tokenizers = [chat.tokenizer for _, chat in chats.values()]
    if (
        student
        and teacher
        and student is not teacher
        and (len(chats) < 2 or same_tokenizer(*tokenizers))
    ):
        findings.append(check_vocabularies(student, teacher))
    if len(chats) == 2:
        findings.extend(_guarded(check_pair(recipe, chats["student"][1], chats["teacher"][1])))
    train = _read(findings, "training data", recipe.data, chats)
    if train:
        findings.extend(check_solutions(recipe, train))
        findings.extend(_guarded(check_injections(recipe, train)))
        findings.extend(
            _guarded(check_lengths("training data", train, chats, *recipe.longest_answer()))
        )
        findings.extend(_guarded(check_positions(recipe, train, chats)))
        if "student" in chats:
            files, chat = chats["student"]
            findings.extend(_guarded(check_cutoff(recipe, train, chat, files.context)))
    for name, section in recipe.evaluate.benchmarks.items():
        test = _read(findings, f"benchmark {name}", section, chats)
        if test:
            left_out = recipe.evaluate.decontaminate
            findings.append(check_overlap(name, test, train or (), left_out=left_out))
            findings.extend(check_number(name, test))
            limit = recipe.longest_answer(name)
            findings.extend(_guarded(check_lengths(f"benchmark {name}", test, chats, *limit)))
    trained = student and _attempt(findings, count_parameters, student.source, recipe.distill)
    findings.extend(check_paths(recipe, [student, teacher], trained=trained is not None))
    if student and teacher and trained:
        findings.extend(check_memory(recipe, student, teacher, trained))
        findings.append(check_disk(recipe, student, trained))
        if train and "student" in chats:
            chat = chats["student"][1]
            findings.extend(_guarded(check_cost(recipe, student, teacher, train, chat)))
    findings.extend(check_engines(recipe))
    findings.extend(check_weights(recipe))
    findings.extend(check_served(recipe))
    return findings


def _describe(
    findings: list[Finding], models: Sequence[ModelFiles | None]
) -> dict[str, tuple[ModelFiles, PromptFormat]]:
    """Describe the models that were found; return those whose chat template can be used."""
    chats = {}
    for model in models:
        if model:
            findings.append(describe(model))
            chat = _attempt(findings, open_chat, model)
            if chat:
                chats[model.role] = (model, chat)
                findings.append(check_template(model, chat))
                findings.extend(check_thinking(model, chat))
    return chats


def _read(
    findings: list[Finding],
    label: str,
    section: DataSection,
    chats: Mapping[str, tuple[ModelFiles, PromptFormat]],
) -> list[Problem] | None:
    """Return problems; what is left out, and golds that their grader refuses, are findings."""
    try:
        problems, refused = read_problems(section)
    except LeafError as error:
        findings.append(Finding("bad", f"{label}: {with_key(label, error)}"))
        return None
    findings.extend(check_refused(label, problems, refused))
    if section.task == "table" and section.grader is None:
        grader = problems[0].grader
        findings.append(Finding("good", f"{label}: grader `{grader}` (none is set: by the golds)"))
    findings.extend(_guarded(check_kinds(label, problems)))
    findings.extend(_guarded(check_golds(label, problems)))
    findings.extend(_guarded(check_contradictions(label, problems)))
    findings.extend(check_sentences(label, problems))
    findings.extend(check_judge(problems))
    findings.extend(_guarded(check_programs(label, problems)))
    problems, unshown = shown(problems, [chat for _, chat in chats.values()])
    findings.extend(check_unshown(label, problems, unshown))
    return problems


def _attempt(
    findings: list[Finding], work: Callable[P, T], *args: P.args, **options: P.kwargs
) -> T | None:
    """Return what `work` gives; where it fails, None and one more finding that says why."""
    try:
        return work(*args, **options)
    except LeafError as error:
        findings.append(Finding("bad", str(error)))
        return None


def _guarded(check: Iterator[Finding]) -> Iterator[Finding]:
    """Pass findings on; a check that fails ends with a finding that says why."""
    try:
        yield from check
    except LeafError as error:
        yield Finding("bad", str(error))
