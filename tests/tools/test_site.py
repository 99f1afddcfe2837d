"""The docs site as it is built: opened from disk in a real browser."""

import contextlib
import os
import subprocess
import sys
from pathlib import Path

import pytest
from playwright.sync_api import Browser, TimeoutError

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, built strictly: a link, an anchor or a name that leads nowhere ends it."""
    folder = tmp_path_factory.mktemp("site")
    built = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(folder)],
        cwd=ROOT,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert built.returncode == 0, built.stderr[-2000:]
    return folder


@pytest.mark.parametrize(("scheme", "width"), [("dark", 400)])
def test_no_page_asks_for_anything_outside_or_runs_over_its_side(
    site: Path, browser: Browser, scheme: str, width: int
) -> None:
    pages = sorted(site.glob("*.html"))
    faults: list[str] = []
    page = browser.new_page(viewport={"width": width, "height": 800}, color_scheme=scheme)
    page.on("request", lambda asked: faults.append(asked.url) if "http" in asked.url[:4] else None)
    page.on("pageerror", lambda error: faults.append(str(error)))
    for path in pages:
        page.goto(path.as_uri())
        room = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        if page.evaluate(room) > 0:
            faults.append(f"{path.name} is wider than {width}")
    page.close()

    assert len(pages) > 20
    assert faults == []


_FOUND = {
    "csv": "own-data",
    "notebook": "python",
    "TRL": "trainer",
    "vLLM": "engines",
    "GPU": "scale",
}
"""What is typed into the search, to the page that has to come first."""


def test_the_search_works_from_disk(site: Path, browser: Browser) -> None:
    page = browser.new_page(viewport={"width": 1280, "height": 800})
    page.goto((site / "index.html").as_uri())
    query = page.locator("[data-md-component=search-query]")
    first = page.locator(".md-search-result__item").first
    for words, name in _FOUND.items():
        # Waited for, not looked at once: the list is drawn anew for every letter.
        found = first.locator(f"a[href^='file://'][href*='/{name}.html']").first
        # As a person does whose first letters came before the page's script was there: type again.
        for _ in range(4):
            query.fill("")
            query.press_sequentially(words)
            with contextlib.suppress(TimeoutError):
                found.wait_for(timeout=15_000)
                break
        else:
            pytest.fail(f"the search for {words} does not find {name} first")
    page.close()
