from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from leaf.report import build_report, write_report


def opened(browser: Browser, page_file: Path, width: int = 1200) -> tuple[Page, list[str]]:
    """Open a page file; the list fills with console messages, script errors and requests."""
    page = browser.new_page(viewport={"width": width, "height": 900})
    seen: list[str] = []
    page.on("console", lambda message: seen.append(message.text))
    page.on("pageerror", lambda error: seen.append(str(error)))
    page.on("request", lambda request: seen.append(request.url))
    page.goto(page_file.as_uri())
    seen.remove(page_file.as_uri())
    return page, [url for url in seen if not url.startswith("data:")]


def test_the_page_loads_without_console_error_or_outside_request(
    run: dict[str, Any], tmp_path: Path, browser: Browser
) -> None:
    run["notes"] = ["<img src=https://example.org/x.png onerror=alert(1)>", "lone \ud800"]
    page, seen = opened(browser, write_report(build_report(**run), tmp_path))
    assert seen == []
    assert page.title() == "tiny · LeaF report"
    assert page.locator(".notes li").first.text_content() == run["notes"][0]


def test_a_question_reads_back_from_its_heat_map_as_it_was(
    run: dict[str, Any], tmp_path: Path, browser: Browser
) -> None:
    page, _ = opened(browser, write_report(build_report(**run), tmp_path))
    assert page.locator(".question").text_content() == run["problems"][0].question
    assert page.locator(".removals del").all_text_contents() == [" and 4 hats", " red"]


def test_the_heat_map_changes_its_colours_by_keyboard(
    run: dict[str, Any], tmp_path: Path, browser: Browser
) -> None:
    page, _ = opened(browser, write_report(build_report(**run), tmp_path))
    colour = "element => getComputedStyle(element).backgroundColor"
    red = page.locator(".question .u").first
    assert red.evaluate(colour) == "rgba(213, 94, 0, 0.7)"  # the student leans on it
    page.focus("#view-gap")
    page.keyboard.press("ArrowLeft")  # wraps to the last: teacher
    assert page.is_checked("#view-teacher")
    assert red.evaluate(colour) == "rgba(0, 114, 178, 0)"  # the teacher ignores it


@pytest.mark.parametrize("width", [400, 1200])
def test_nothing_is_wider_than_the_window(
    many: dict[str, Any],
    transplanted: dict[str, Any],
    controlled: dict[str, Any],
    tmp_path: Path,
    browser: Browser,
    width: int,
) -> None:
    many["notes"] = ["x" * 5000]
    many["cuts"] = transplanted["cuts"] | {"random": controlled["cuts"]["random"]}
    page, _ = opened(browser, write_report(build_report(**many), tmp_path), width)
    page.evaluate("document.querySelectorAll('details').forEach(part => { part.open = true })")
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_what_came_in_differs_from_what_went_out_by_more_than_colour(
    transplanted: dict[str, Any], tmp_path: Path, browser: Browser
) -> None:
    page, _ = opened(browser, write_report(build_report(**transplanted), tmp_path))
    line = "element => getComputedStyle(element).textDecorationLine"
    change = page.locator(".transplants .excerpt").first
    assert change.locator("del").evaluate(line) == "line-through"
    assert change.locator("ins").evaluate(line) == "underline"
    # The question as the models read it: what went out is not in it.
    change.evaluate("element => element.querySelector('del').remove()")
    made = transplanted["cuts"]["gradient"][0][2]
    assert change.text_content() == made.question


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out_from_its_background_in_both_schemes(
    run: dict[str, Any], tmp_path: Path, browser: Browser, scheme: str
) -> None:
    page, _ = opened(browser, write_report(build_report(**run), tmp_path))
    page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
    ink, paper = (
        luminance(page.evaluate(f"getComputedStyle(document.body).{name}"))
        for name in ("color", "backgroundColor")
    )
    assert (max(ink, paper) + 0.05) / (min(ink, paper) + 0.05) > 7  # WCAG AAA
    assert (ink < paper) == (scheme == "light")


def luminance(colour: str) -> float:
    """WCAG relative luminance of `rgb(r, g, b)`."""
    channels = [int(part) / 255 for part in colour[4:-1].split(",")]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
