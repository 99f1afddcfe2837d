"""Takes the docs' pictures of the demo's page, in headless Chromium.

.venv/bin/leaf run demo
.venv/bin/python tools/pictures.py runs/demo
"""

import shutil
import sys
from pathlib import Path
from typing import Any

import cyclopts
from playwright.sync_api import FloatRect, Page, sync_playwright

ROOT = Path(__file__).resolve().parents[1]


def main(run: Path, *, problem: str = "playground-train-838", width: int = 860) -> None:
    """Write question.png, problem.png and report.png into docs/images.

    Args:
        run: A run's folder, with its report.html.
        problem: The question that is shown.
        width: Of the window, in CSS pixels.
    """
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        sys.exit("pictures need Chromium: sudo apt-get install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": width, "height": 900}, device_scale_factor=1.5)
        page.set_default_timeout(120_000)
        page.goto(f"{(run / 'report.html').resolve().as_uri()}#problem-{problem}")
        shown = page.locator(f"#problem-{problem}")
        shown.locator(".removals > li").first.wait_for()
        # The focus that a link gives would be drawn as a ring.
        page.evaluate("document.activeElement.blur()")
        title = shown.locator("summary").first
        save(page, "problem", title, shown.locator(".removals > li").first)
        # What a pointer does is of no use in a crop.
        page.add_style_tag(content=".reading { display: none }")
        save(page, "question", title, shown.locator(".question").first)
        page.set_viewport_size({"width": 1160, "height": 900})
        save(page, "report", page.locator("#results-title"), page.locator(".scroll").first)
        browser.close()


def save(page: Page, name: str, first: Any, last: Any, margin: float = 12) -> None:
    """Save what stands between the top of one element and the bottom of another."""
    top, bottom = first.bounding_box(), last.bounding_box()
    scrolled = page.evaluate("scrollY")
    high, low = top["y"] + scrolled - margin, bottom["y"] + bottom["height"] + scrolled + margin
    left = max(top["x"] - 2 * margin, 0)
    width = page.evaluate("innerWidth") - 2 * left
    clip = FloatRect(x=left, y=high, width=width, height=low - high)
    path = ROOT / "docs" / "images" / f"{name}.png"
    page.screenshot(path=path, full_page=True, clip=clip)
    print(f"{path}: {path.stat().st_size / 1e3:.0f} kB")


if __name__ == "__main__":
    cyclopts.run(main)
