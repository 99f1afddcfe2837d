"""Examples of the commands' help: each is a command line that is understood."""

import inspect
import re
import shlex
from collections.abc import Iterator
from dataclasses import fields

import pytest
from cyclopts import App

from leaf.cli.main import app, main
from leaf.errors import UsageError
from leaf.recipe.reading import load_recipe
from leaf.study.lab import Choices
from leaf.study.studies import STUDIES


def commands(parent: App, words: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], App]]:
    """Yield every command with its words, those below it after it."""
    for name in parent:
        if not name.startswith("-"):
            yield (*words, name), parent[name]
            yield from commands(parent[name], (*words, name))


EVERY = dict(commands(app))


@pytest.mark.parametrize("words", EVERY, ids=" ".join)
def test_every_example_is_understood(words: tuple[str, ...]) -> None:
    examples = re.findall(r"^ *Example: leaf (.*)$", EVERY[words].help, re.MULTILINE)
    assert examples
    for example in examples:
        _, bound, ignored = app.parse_args(
            shlex.split(example), exit_on_error=False, print_error=False
        )
        assert tuple(shlex.split(example)[: len(words)]) == words
        assert not ignored
        for name in ("recipe", "run_or_recipe"):
            if name in bound.arguments:
                load_recipe(bound.arguments[name])


@pytest.mark.parametrize("name", STUDIES)
def test_a_study_takes_the_options_that_it_goes_by(name: str) -> None:
    command = EVERY["study", name].default_command
    assert command
    taken = inspect.signature(command).parameters.keys()
    every = {"seeds", "first_seed", *(field.name for field in fields(Choices))}
    assert taken & every == set(STUDIES[name].options)


def test_a_threshold_is_refused_where_nothing_is_swept(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as leaving:
        main(["study", "main", "--recipe", "demo", "--taus", "0.1"])
    assert leaving.value.code == UsageError.exit_code
    assert capsys.readouterr().err.startswith("leaf: `leaf study main` has no option `--taus`")
