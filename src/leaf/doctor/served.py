"""Checks of a teacher's server."""

from collections.abc import Iterator

from leaf.distill.served import check_model, missing_served, open_client
from leaf.doctor.finding import Finding
from leaf.errors import ServerError
from leaf.recipe import Recipe

_PATIENCE = 2.0
"""Seconds that a server has to answer."""


def check_served(recipe: Recipe) -> Iterator[Finding]:
    """Ask a served teacher's server whether it is there and has the model."""
    distill = recipe.distill
    if distill.teacher != "served" or not distill.needs_teacher:
        return
    section = distill.served
    if missing_served(section):
        return  # `check_extras` says it
    name = section.model or recipe.teacher.model
    try:
        with open_client(section, retries=0, timeout=_PATIENCE) as client:
            check_model(section, client, name)
    except ServerError as error:
        yield Finding("bad", str(error))
    else:
        text = f"teacher's server: {section.url} has model {name}; it must allow"
        yield Finding("good", f"{text} {distill.top_k} prompt log-probabilities a token")
