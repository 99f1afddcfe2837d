"""From a user's own records to a student and a report, by the public names alone."""

import ast
import json
from collections.abc import Callable
from pathlib import Path

import leaf
from tests.examples.conftest import EXAMPLES


def test_the_example_ends_with_a_student_and_a_report(
    run_example: Callable[[str, Path], str], tmp_path: Path
) -> None:
    printed = run_example("own_data", tmp_path)

    assert "leaf " in printed
    assert (tmp_path / "run" / "student" / "config.json").is_file()
    report = json.loads((tmp_path / "run" / "report.json").read_text())
    assert report["recipe"]


def test_every_public_name_is_there() -> None:
    assert all(getattr(leaf, name) is not None for name in leaf.__all__)


def test_the_examples_use_public_names_of_the_package_only() -> None:
    for path in sorted(EXAMPLES.glob("*.py")):
        used = {
            node.attr
            for node in ast.walk(ast.parse(path.read_text()))
            if isinstance(node, ast.Attribute)
            and isinstance(node.value, ast.Name)
            and node.value.id == "leaf"
        }
        assert used <= set(dir(leaf)), path.name
