"""Checks of the data: what loads, what fits, what overlaps."""

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from leaf.doctor.files import ModelFiles
from leaf.doctor.finding import Finding
from leaf.errors import LeafError
from leaf.grade import check_sandbox
from leaf.models.prompt_format import PromptFormat
from leaf.pipeline.benchmarks import with_name
from leaf.pipeline.positions import past_positions
from leaf.prune import injections
from leaf.prune.inject import Host
from leaf.recipe import Recipe
from leaf.records import Problem
from leaf.tasks.overlap import overlap

_HOSTS = 500
"""Problems that something is put into, to see whether it can be."""

_FOUND_IN_RUN = ("verified", "needless")
"""Sources of `prune.inject` that have no text before the run."""


def check_solutions(recipe: Recipe, problems: Sequence[Problem]) -> Iterator[Finding]:
    """Count training problems, and those without the solution that `gold` needs."""
    yield Finding("good", f"training data: {len(problems)} problems")
    bare = sum(not problem.solution for problem in problems)
    if recipe.attribute.reference != "gold":
        if recipe.attribute.fallback:
            yield Finding(
                "warn" if bare == len(problems) else "good",
                f"training data: {len(problems) - bare} of {len(problems)} problems have a solution"
                f", y where attribute.reference: {recipe.attribute.reference} has no right answer",
            )
        return
    if bare == len(problems):
        other = "self" if recipe.alone else "teacher"
        yield Finding(
            "bad",
            "training data: no problem has a solution, which attribute.reference: gold needs; name "
            f"its column in data.columns.solution, or set attribute.reference: {other}",
        )
    elif bare:
        yield Finding(
            "warn",
            f"training data: {bare} of {len(problems)} problems have no solution and are left out "
            "of detection and training (attribute.reference: gold)",
        )


def check_injections(recipe: Recipe, problems: Sequence[Problem]) -> Iterator[Finding]:
    """Put something into some problems, and count those that take nothing, with the reason."""
    if "inject" not in recipe.prune.strategies:
        return
    yield from _check_found_in_run(recipe, problems[:_HOSTS])
    section = recipe.prune.inject
    sources = [name for name in section.sources if name not in _FOUND_IN_RUN]
    if not sources:
        return
    every = sources == section.sources
    section = section.model_copy(update={"sources": sources, "per": 1})
    tried = {problem.id: problem for problem in problems[:_HOSTS]}
    found = injections(tried, [], list(tried.values()), section)
    reasons = Counter(item.skipped for item in found if item.skipped)
    none = sum(reasons.values())
    what = "prune.inject" if every else f"prune.inject.sources {', '.join(sources)}"
    text = f"{what}: {len(found) - none} of {len(found)} problems take a text"
    if not none:
        yield Finding("good", text)
        return
    (reason, count), *_ = reasons.most_common(1)
    what = f"{text}; of the others mostly: {str(reason).partition(': ')[2]} ({count})"
    if none == len(found):
        alone = every and recipe.prune.strategies == {"inject"}
        # A question of one sentence takes none, whatever the source.
        sources_too = (
            "" if _with_room(problems[:_HOSTS]) == 0 else "other prune.inject.sources, or "
        )
        yield Finding("bad" if alone else "warn", f"{what}; name {sources_too}another strategy")
    else:
        yield Finding("good" if none < len(found) / 2 else "warn", what)


def _check_found_in_run(recipe: Recipe, problems: Sequence[Problem]) -> Iterator[Finding]:
    """Say what is known before the run of sources whose texts it finds: who could take one."""
    section = recipe.prune.inject
    sources = [name for name in section.sources if name in _FOUND_IN_RUN]
    alone = recipe.prune.strategies == {"inject"} and sources == section.sources
    if "needless" in sources:
        unit = getattr(recipe.attribute.options("ablation"), "unit", None)
        if unit in ("token", "word"):
            sources.remove("needless")
            yield Finding(
                "bad" if alone and not sources else "warn",
                f"prune.inject.sources needless: finds nothing, since ablation takes away a {unit} "
                "at a time; set attribute.ablation.unit to phrase, clause or sentence",
            )
    if not sources:
        return
    room = _with_room(problems)
    text = (
        f"prune.inject.sources {', '.join(sources)}: the run finds the texts; {room} of "
        f"{len(problems)} problems have more than the sentence that asks, and so a place for one"
    )
    if room:
        yield Finding("good" if room > len(problems) / 2 else "warn", text)
    else:
        yield Finding("bad" if alone else "warn", f"{text}; name another strategy")


def _with_room(problems: Sequence[Problem]) -> int:
    return sum(len(Host(problem).sentences) > 1 for problem in problems)


def with_key(label: str, error: LeafError) -> str:
    """Return what an error says, the keys of `benchmark X` with its name in them."""
    return with_name(label.removeprefix("benchmark "), error)


def check_refused(
    label: str, problems: Sequence[Problem], refused: Sequence[LeafError]
) -> Iterator[Finding]:
    """Count the records that cannot be read; a run leaves them out."""
    if refused:
        every = len(problems) + len(refused)
        left_out = f"{len(refused)} of {every} records are left out"
        yield Finding("warn", f"{label}: {left_out}, the first: {with_key(label, refused[0])}")


def check_unshown(
    label: str, problems: Sequence[Problem], unshown: Sequence[str]
) -> Iterator[Finding]:
    """Count the problems whose text a chat template changes: a run asks none of them."""
    if unshown:
        every = len(problems) + len(unshown)
        what = f"{len(unshown)} of {every} problems cannot be asked"
        text = f"{label}: {what}, the first: {unshown[0]}"
        yield Finding("warn" if problems else "bad", text)


def check_programs(label: str, problems: Sequence[Problem]) -> Iterator[Finding]:
    """Try the sandbox where answers are programs; raises when there is none."""
    check_sandbox(problems)
    programs = sum(problem.tests is not None for problem in problems)
    if programs:
        yield Finding(
            "good", f"{label}: the programs of {programs} problems can be run in a sandbox"
        )


def check_lengths(
    label: str,
    problems: Sequence[Problem],
    chats: Mapping[str, tuple[ModelFiles, PromptFormat]],
    room: int,
    limit: str,
) -> Iterator[Finding]:
    """Hold prompts, and prompts with the longest answer (`limit`), against each model's context."""
    for role, (model, chat) in chats.items():
        lengths = [
            len(chat.prompt_ids(problem.content, turns=problem.turns)) for problem in problems
        ]
        longest = f"{label}: longest prompt for the {role} {max(lengths)} tokens"
        lost = sum(length >= model.context for length in lengths)
        short = sum(length + room > model.context for length in lengths) - lost
        if lost or short:
            each = (
                (lost, "do not fit and count as not gradable"),
                (short, f"leave less than {room} tokens for the answer"),
            )
            faults = ", ".join(f"{n} of {len(problems)} {what}" for n, what in each if n)
            yield Finding(
                "warn",
                f"{longest}, context {model.context}: {faults}; "
                f"lower {limit}, shorten the prompts, or take a {role} with a longer context",
            )
        else:
            yield Finding("good", f"{longest}, with {room} for the answer within {model.context}")


def check_positions(
    recipe: Recipe,
    problems: Sequence[Problem],
    chats: Mapping[str, tuple[ModelFiles, PromptFormat]],
) -> Iterator[Finding]:
    """Refuse training rows that a model has no positions for."""
    for role, (model, chat) in chats.items():
        if model.source.files is not None:
            line = past_positions(recipe, model.section.model, model.config, chat, problems)
            if line:
                yield Finding("bad", f"{role}: {line}")


def check_cutoff(
    recipe: Recipe, problems: Sequence[Problem], chat: PromptFormat, context: int
) -> Iterator[Finding]:
    """Count training rows beyond the cutoff, or beyond the student's context.

    A teacher's responses are not known before the run.
    """
    cutoff = min(recipe.distill.cutoff, context)
    gold = recipe.attribute.reference == "gold"
    rows = [problem for problem in problems if problem.solution or not gold]
    if not rows:
        return
    responses = [problem.solution if gold else "" for problem in rows]
    lengths = [
        len(chat.encode(problem.content, response, turns=problem.turns).ids)
        for problem, response in zip(rows, responses, strict=True)
    ]
    longer = sum(length > cutoff for length in lengths)
    limit = "distill.cutoff" if cutoff == recipe.distill.cutoff else "the student's context of"
    writes = "teacher" if recipe.attribute.reference == "teacher" else "student"
    what = "rows" if gold else f"rows without their response (the {writes} writes it)"
    text = f"training {what}: longest {max(lengths)} tokens, {limit} {cutoff}"
    if longer:
        yield Finding("warn", f"{text}: {longer} of {len(rows)} are longer and left out")
    else:
        yield Finding("good", f"{text}: none is longer")


_FEW = 30
"""Test problems below which hardly a difference can be shown."""


def check_number(name: str, test: Sequence[Problem]) -> Iterator[Finding]:
    """Warn where a benchmark has too few problems to show what training changes."""
    bases = len({problem.base or problem.id for problem in test})
    if bases < _FEW:
        # The widest half of a 95% interval, at 50% right.
        points = min(0.98 / math.sqrt(bases), 0.5)
        yield Finding(
            "warn",
            f"benchmark {name}: on {bases} problem{'s' * (bases > 1)} a share of right answers is "
            f"uncertain by up to {100 * points:.0f} points; take a hundred or more",
        )


def check_overlap(
    name: str, test: Sequence[Problem], train: Sequence[Problem], *, left_out: bool = False
) -> Finding:
    """Count a benchmark's problems that are training problems too, word for word or nearly.

    `left_out` says that the run leaves those training problems out.
    """
    shared = overlap(test, train)
    text = f"benchmark {name}: {len(test)} problems, {shared}"
    if left_out and (shared.exact or shared.near):
        return Finding("good", f"{text}; these are not trained on (evaluate.decontaminate)")
    return Finding("warn" if shared.exact or shared.near else "good", text)
