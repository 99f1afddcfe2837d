"""What a recipe needs on this machine beyond the plain installation: packages and keys."""

from collections.abc import Collection, Iterator, Sequence

from leaf.distill.optim import missing_8bit
from leaf.distill.served import missing_served
from leaf.distill.tracking import missing_trackers
from leaf.errors import UsageError
from leaf.generate import engine_of
from leaf.generate.llamacpp import missing_llamacpp
from leaf.generate.openai import EXTRA, USE, access_of
from leaf.generate.vllm import missing_vllm
from leaf.grade import check_sandbox
from leaf.models import server
from leaf.pipeline.grading import find_judge, judges_of
from leaf.pipeline.positions import check_positions
from leaf.pipeline.rehearsal import rehearse_all
from leaf.pipeline.session import Session
from leaf.recipe import DistillSection, GenerateSection, ModelSection
from leaf.records import Problem


def missing_to_answer(section: ModelSection, engine: str) -> str | None:
    """Say in one line what an engine needs to answer for a model and does not find here."""
    if engine == "vllm":
        return missing_vllm()
    if engine == "llamacpp":
        return missing_llamacpp(section)
    if engine == "openai":
        return server.missing(access_of(section), use=USE, extra=EXTRA)
    return None


def check_graders(problems: Sequence[Problem]) -> None:
    """Look for what graders need, so that it does not show after long work: sandbox and judges.

    Raises:
        SandboxError: as `leaf.grade.check_sandbox`.
        UsageError: an engine misses something; says what, and how it is had.
        ModelError: a model cannot be found.
    """
    check_sandbox(problems)
    for section in judges_of(problems):
        if missing := missing_to_answer(section, engine_of(section, GenerateSection())):
            raise UsageError(f"judge {section.model}: {missing}")
        find_judge(section)


def missing_to_train(section: DistillSection) -> Iterator[str]:
    """Say in a line each what training needs and does not find here."""
    wanted = [missing_trackers(section.tracking)]
    if section.optimizer == "adamw_8bit":
        wanted.append(missing_8bit())
    if section.teacher == "served" and section.needs_teacher:
        wanted.append(missing_served(section.served))
    yield from filter(None, wanted)


def check_needs(
    session: Session, asked: Collection[str], problems: Sequence[Problem], *, training: bool
) -> None:
    """Look for all that a run needs, so that its last stage does not fail for a missing package.

    Then rows are held against positions, and the models are rehearsed.

    Args:
        session: Of the resolved recipe, with both models found.
        asked: Who has to answer: `student`, `teacher`.
        problems: The training problems.
        training: Whether a student is trained.

    Raises:
        DataError: a model has no positions for some of them.
        UsageError: something is missing; says what, and how it is had.
        ModelError: a model cannot be used as it has to be; says why.
    """
    recipe = session.recipe
    for role, section in (("student", recipe.student), ("teacher", recipe.teaching)):
        missing = missing_to_answer(section, engine_of(section, recipe.generate))
        if missing and role in asked:
            raise UsageError(f"{role}: {missing}")
    for line in missing_to_train(recipe.distill) if training else ():
        raise UsageError(line)
    check_positions(session, asked, problems)
    rehearse_all(recipe, session.sources, asked, training=training)
