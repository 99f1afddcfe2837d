"""Rows of more tokens than there are positions: models that learned theirs die of them."""

from collections.abc import Collection, Sequence

from leaf.errors import ChatError, DataError
from leaf.models import load
from leaf.models.prompt_format import PromptFormat
from leaf.models.rehearsal import rehearse_copy
from leaf.pipeline.session import Session
from leaf.recipe import Recipe
from leaf.records import Problem


def past_positions(
    recipe: Recipe, name: str, config: object, chat: PromptFormat, problems: Sequence[Problem]
) -> str | None:
    """Say in one line which training rows a model has no positions for; None: it has for all.

    Rotation goes on past the length that a model was made for, a table of positions ends there.
    Such rows are left out, and counted, where `distill.cutoff` says so.

    Args:
        recipe: The resolved recipe.
        name: The model's.
        config: Its configuration.
        chat: Its prompt format.
        problems: The training problems; of those with a solution that is trained on, all of it.
    """
    positions = load.context_of(config)
    if recipe.distill.cutoff <= positions or not rehearse_copy(config).bounded:
        return None
    lengths = {problem.id: _length(recipe, chat, problem) for problem in problems}
    longer = {found: length for found, length in lengths.items() if length > positions}
    if not longer:
        return None
    longest = max(longer, key=longer.__getitem__)
    return (
        f"{name}: has {positions} positions and no more, but {len(longer)} of {len(problems)} "
        f"training rows are longer, such as {longest} ({longer[longest]} tokens); set "
        f"distill.cutoff: {positions} to leave them out, or take a model with more positions"
    )


def _length(recipe: Recipe, chat: PromptFormat, problem: Problem) -> int:
    """Return the tokens of a row, as far as it is known; of a prompt one more, for the answer."""
    try:
        if recipe.attribute.reference == "gold" and problem.solution:
            row = chat.encode(problem.content, problem.solution, turns=problem.turns)
            return len(row.ids)
        return len(chat.prompt_ids(problem.content, turns=problem.turns)) + 1
    except ChatError:
        return 0  # left out elsewhere, and counted there


def check_positions(session: Session, asked: Collection[str], problems: Sequence[Problem]) -> None:
    """Refuse training rows that a model has no positions for.

    Args:
        session: Of the resolved recipe, with both models found.
        asked: Who has to answer: `student`, `teacher`.
        problems: The training problems.

    Raises:
        DataError: there are such rows; says how many, names one and the way out.
    """
    chats = {"student": session.student_chat, "teacher": session.teacher_chat}
    for role in asked:
        source = session.sources[role]
        if source.files is None and source.held is None:
            continue  # a server has its own limit
        config = load.load_config(source)
        line = past_positions(session.recipe, source.name, config, chats[role], problems)
        if line:
            raise DataError(f"{role}: {line}")
