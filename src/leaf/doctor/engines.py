"""Checks of who answers: what is installed, files of the right kind, servers that are there."""

from collections.abc import Iterator, Sequence

from leaf.doctor.finding import Finding
from leaf.errors import LeafError
from leaf.generate import check_trainable, engine_of
from leaf.generate.openai import EXTRA, USE, access_of
from leaf.models import server
from leaf.pipeline.detectors import detectors_of, takes_gradient
from leaf.pipeline.grading import find_judge, judges_of
from leaf.pipeline.levels import at_level
from leaf.pipeline.requirements import missing_to_answer
from leaf.recipe import GenerateSection, ModelSection, Recipe
from leaf.records import Problem

_PATIENCE = 2.0
"""Seconds that a server has to answer."""


def check_engines(recipe: Recipe) -> Iterator[Finding]:
    """Say who answers for each model where it is not `hf`, and whether that can be had."""
    for role, section in (("student", recipe.student), ("teacher", recipe.teacher)):
        engine = engine_of(section, recipe.generate)
        yield from _check(role, section, engine)
        if engine == "openai" and "response" in recipe.prune.levels:
            yield Finding(
                "bad",
                f"{role}: engine openai cannot go on with a response that is begun, which "
                "prune.levels: response asks for; take engine hf, vllm or llamacpp",
            )
    try:
        check_trainable(recipe.student, recipe.generate)
    except LeafError as error:
        yield Finding("bad", f"student: {error}")


def check_weights(recipe: Recipe) -> Iterator[Finding]:
    """Say what still reads weights here of a model that another engine answers for."""
    for role, section in (("student", recipe.student), ("teacher", recipe.teacher)):
        engine = engine_of(section, recipe.generate)
        if section.device_map is not None and engine != "hf":
            yield Finding(
                "warn",
                f"{role}.device_map: engine {engine} answers without it; it spreads the {role} "
                "only where its weights are read here",
            )
    if recipe.alone or engine_of(recipe.teacher, recipe.generate) != "openai":
        return
    loading, ways = [], []
    if measuring := _measure_teacher(recipe):
        loading.append(f"detection ({', '.join(measuring)})")
        ways.append(
            "attribute.detector: ablation with attribute.ablation.student_alone: true for a "
            "detection without it"
        )
    if recipe.distill.needs_teacher and recipe.distill.teacher != "served":
        loading.append(f"training (distill.teacher: {recipe.distill.teacher})")
        ways.append("distill.teacher: served for training")
    if loading:
        yield Finding(
            "warn",
            f"teacher: a server answers for it, but its weights are loaded here for "
            f"{' and '.join(loading)}; else set {', '.join(reversed(ways))}",
        )


def _measure_teacher(recipe: Recipe) -> list[str]:
    """Return the detectors whose measurements of the teacher a run takes."""
    if not any(at_level(recipe.prune, level).cuts for level in recipe.prune.levels):
        return []
    detectors = detectors_of(recipe.attribute)
    found = [each.name for each in detectors if "teacher" in each.roles()]
    if takes_gradient(detectors, alone=False):
        found.append("gradient")
    return list(dict.fromkeys(found))


def check_judge(problems: Sequence[Problem]) -> Iterator[Finding]:
    """Say which models judge, and whether they can be had; none is asked."""
    for section in judges_of(problems):
        role = f"judge {section.model}"
        engine = engine_of(section, GenerateSection())
        found = list(_check(role, section, engine))
        yield from found or [Finding("good", f"{role}: engine {engine} answers")]
        try:
            find_judge(section)
        except LeafError as error:
            yield Finding("bad", f"judge: {error}")


def _check(role: str, section: ModelSection, engine: str) -> Iterator[Finding]:
    if engine == "openai":
        yield _check_server(role, section)
    elif missing := missing_to_answer(section, engine):
        yield Finding("bad", f"{role}: {missing}")
    elif engine != "hf":
        yield Finding("good", f"{role}: engine {engine} answers")


def _check_server(role: str, section: ModelSection) -> Finding:
    """Ask a server whether it is there, and whether it lists the model."""
    try:
        access = server.checked(access_of(section), use=USE, extra=EXTRA)
        with server.connect(access, retries=0, timeout=_PATIENCE) as connection:
            known = server.models_of(access, connection)
    except LeafError as error:
        return Finding("bad", f"{role}: {error}")
    text = f"{role}: {access.url} is there"
    if access.model in known:
        return Finding("good", f"{text} and has model {access.model}")
    # Some servers list other names than they answer to, or none.
    listed = ", ".join(known[:5]) or "none"
    return Finding(
        "warn", f"{text}, but does not list model {access.model} (listed: {listed}): a run asks it"
    )
