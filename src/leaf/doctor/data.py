"""Checks of the data: what loads, what fits, what overlaps."""

from collections.abc import Iterator, Mapping, Sequence

from leaf.chat import Chat
from leaf.config import Recipe
from leaf.doctor.files import ModelFiles
from leaf.doctor.finding import Finding
from leaf.records import Problem


def check_solutions(recipe: Recipe, problems: Sequence[Problem]) -> Iterator[Finding]:
    """Count training problems, and those without the solution that `gold` needs."""
    yield Finding("good", f"training data: {len(problems)} problems")
    if recipe.attribute.reference != "gold":
        return
    bare = sum(not problem.solution for problem in problems)
    if bare == len(problems):
        yield Finding(
            "bad",
            "training data: no problem has a solution, which attribute.reference: gold needs; name "
            "its column in data.columns.solution, or set attribute.reference: teacher",
        )
    elif bare:
        yield Finding(
            "warn",
            f"training data: {bare} of {len(problems)} problems have no solution and are left out "
            "of detection and training (attribute.reference: gold)",
        )


def check_lengths(
    label: str,
    problems: Sequence[Problem],
    recipe: Recipe,
    chats: Mapping[str, tuple[ModelFiles, Chat]],
) -> Iterator[Finding]:
    """Hold prompts, and prompts with the longest answer, against each model's context."""
    room = recipe.generate.max_new_tokens
    for role, (model, chat) in chats.items():
        lengths = [len(chat.prompt_ids(problem.content)) for problem in problems]
        longest = f"{label}: longest prompt for the {role} {max(lengths)} tokens"
        lost = sum(length >= model.context for length in lengths)
        short = sum(length + room > model.context for length in lengths) - lost
        if lost or short:
            yield Finding(
                "warn",
                f"{longest}, context {model.context}: {lost} of {len(problems)} prompts do not fit "
                f"and count as not gradable, {short} leave less than {room} tokens for the answer",
            )
        else:
            yield Finding("good", f"{longest}, with {room} for the answer within {model.context}")


def check_cutoff(recipe: Recipe, problems: Sequence[Problem], chat: Chat) -> Iterator[Finding]:
    """Count training rows beyond the cutoff; a teacher's responses are not known before the run."""
    cutoff = recipe.distill.cutoff
    gold = recipe.attribute.reference == "gold"
    rows = [problem for problem in problems if problem.solution or not gold]
    if not rows:
        return
    responses = [problem.solution if gold else "" for problem in rows]
    lengths = [
        len(chat.conversation(problem.content, response).ids)
        for problem, response in zip(rows, responses, strict=True)
    ]
    longer = sum(length > cutoff for length in lengths)
    what = "rows" if gold else "rows without their response (the teacher writes it)"
    text = f"training {what}: longest {max(lengths)} tokens, distill.cutoff {cutoff}"
    if longer:
        yield Finding("warn", f"{text}: {longer} of {len(rows)} are longer and left out")
    else:
        yield Finding("good", f"{text}: none is longer")


def check_overlap(name: str, test: Sequence[Problem], train: Sequence[Problem]) -> Finding:
    """Count a benchmark's problems whose question is a training question too."""
    known = {problem.question for problem in train}
    shared = sum(problem.question in known for problem in test)
    text = f"benchmark {name}: {len(test)} problems"
    if shared:
        return Finding("warn", f"{text}, {shared} of them are in the training data word for word")
    return Finding("good", f"{text}, none of them in the training data word for word")
