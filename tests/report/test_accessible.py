"""axe-core, in light and dark, on every kind of report; and the labels that it cannot judge."""

from collections.abc import Callable
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

from tests.report.made import build_report

Opened = Callable[..., tuple[Page, list[str]]]
NOTHING = (
    "problems",
    "student_answers",
    "teacher_answers",
    "student_scores",
    "teacher_scores",
    "attributions",
    "focus",
    "training",
    "estimates",
    "comparisons",
)


def faults(page: Page) -> list[str]:
    """Serious and critical faults that axe-core finds, with everything unfolded."""
    page.evaluate("document.querySelectorAll('details').forEach(part => { part.open = true })")
    page.wait_for_timeout(200)
    page.evaluate("document.querySelectorAll('details').forEach(part => { part.open = true })")
    found = Axe().run(page).response["violations"]
    return [
        f"{one['id']}: {node['html'][:200]}"
        for one in found
        if one["impact"] in {"serious", "critical"}
        for node in one["nodes"]
    ]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("kind", ["full", "unfinished", "empty"])
def test_axe_finds_no_serious_fault(
    many: dict[str, Any],
    transplanted: dict[str, Any],
    controlled: dict[str, Any],
    opened: Opened,
    kind: str,
    scheme: str,
) -> None:
    values = many | {
        "cuts": transplanted["cuts"] | {"random": controlled["cuts"]["random"]},
    }
    if kind == "unfinished":
        cuts = {name: (cuts, None) for name, (cuts, _) in values["cuts"].items()}
        values |= {"cuts": cuts, "training": None, "estimates": None, "comparisons": None}
    if kind == "empty":
        values |= dict.fromkeys(NOTHING) | {"cuts": {}, "drops": [], "logs": []}
    page, seen = opened(build_report(**values), scheme=scheme)
    assert faults(page) == []
    assert seen == []


def test_axe_would_find_a_fault(run: dict[str, Any], opened: Opened) -> None:
    page, _ = opened(build_report(**run))
    page.evaluate("document.querySelector('#count').style.color = '#ddd'")
    assert [fault.split(":")[0] for fault in faults(page)] == ["color-contrast"]


def test_every_control_has_a_name_and_the_count_is_announced(
    run: dict[str, Any], opened: Opened
) -> None:
    page, _ = opened(build_report(**run))
    controls = page.get_by_role("search", name="Problems")
    assert controls.get_by_role("searchbox", name="Search").is_visible()
    assert controls.get_by_role("combobox", name="Sort by").is_visible()
    for end in ("Fewest", "Most"):
        assert controls.get_by_role("spinbutton", name=f"{end} characters cut").is_visible()
    assert controls.get_by_role("button", name="Clear").is_visible()
    assert controls.get_by_role("status").text_content() == "1 of 1 problem"
