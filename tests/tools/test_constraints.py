"""constraints.txt pins what pyproject.toml asks for."""

import itertools
import re
import tomllib
from importlib.metadata import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS = PROJECT["optional-dependencies"]
DIRECT = [*PROJECT["dependencies"], *EXTRAS["dev"], *EXTRAS["ray"]]
"""What `make install` installs."""
LINES = [
    line for line in (ROOT / "constraints.txt").read_text().splitlines() if not line.startswith("#")
]


def pins() -> dict[str, str]:
    pairs = [line.split("==") for line in LINES]
    return {canonicalize_name(name): version for name, version in pairs}


@pytest.mark.parametrize("direct", DIRECT)
def test_a_direct_dependency_is_pinned_inside_its_range(direct: str) -> None:
    requirement = Requirement(direct)

    version = pins().get(canonicalize_name(requirement.name))

    assert version is not None, f"{requirement.name} has no pin"
    assert requirement.specifier.contains(version)


def test_what_an_extra_shares_with_dev_has_the_same_range() -> None:
    others = itertools.chain(*(found for name, found in EXTRAS.items() if name != "dev"))
    ranges = {Requirement(line).name: line for line in EXTRAS["dev"]}

    assert [line for line in others if line != ranges.get(Requirement(line).name, line)] == []


def test_every_line_is_one_exact_public_version() -> None:
    # A local version such as 2.13.0+cpu exists on some machines only.
    odd = [line for line in LINES if not re.fullmatch(r"[\w.-]+==\d[\w.]*", line)]

    assert odd == []


def test_a_pin_takes_the_oldest_python_that_we_promise() -> None:
    # Debian 12 has 3.11.2; pymdown-extensions 13 wanted 3.11.5, and `make dev` ended there.
    oldest = re.sub(r"[^\d.]", "", PROJECT["requires-python"]) + ".0"
    needs = {name: metadata(name)["Requires-Python"] for name in pins()}

    assert oldest == "3.11.0"
    assert {
        name: need
        for name, need in needs.items()
        if need and not SpecifierSet(need).contains(oldest)
    } == {}
