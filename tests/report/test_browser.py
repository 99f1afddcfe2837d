"""The page in a real browser: the list of problems and each of its controls."""

import dataclasses
import re
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from leaf.distill.rows import contexts
from tests.report.conftest import score
from tests.report.made import build_report

Opened = Callable[..., tuple[Page, list[str]]]


@pytest.fixture
def crowd(transplanted: dict[str, Any]) -> dict[str, Any]:
    """A report of 60 problems: q0 verified, q1 took a transplant, q2 cut for nothing, others flat.

    Odd ones are of source `amc`; q2 asks about kangaroos.
    """
    first, names = transplanted["problems"][0], [f"q{i}" for i in range(60)]
    cuts, verdicts = transplanted["cuts"]["gradient"]
    moved = dict(zip(("q0", "q1", "q2"), ((1, 1), (3, 3), (0, 0)), strict=True))
    transplanted["problems"] = [
        dataclasses.replace(first, id=name, source="amc" if at % 2 else "gsm8k")
        for at, name in enumerate(names)
    ]
    asked = transplanted["problems"][2].question.replace("Tom", "Roo")
    transplanted["problems"][2] = dataclasses.replace(transplanted["problems"][2], question=asked)
    for name in ("attributions", "focus"):
        transplanted[name] = [
            dataclasses.replace(transplanted[name][0], problem_id=one) for one in names
        ]
    for name in ("student_answers", "teacher_answers"):
        transplanted[name] = [
            dataclasses.replace(transplanted[name][0], problem_id=one, text=f"said of {one}")
            for one in names
        ]
    for name, outcome in (("student_scores", "wrong"), ("teacher_scores", "right")):
        transplanted[name] = [score(one, outcome) for one in names]
    transplanted["cuts"]["gradient"] = (
        [
            dataclasses.replace(cuts[cut], id=f"{name}/x", problem_id=name)
            for name, (cut, _) in moved.items()
        ],
        [
            dataclasses.replace(verdicts[at], counterfactual_id=f"{name}/x", problem_id=name)
            for name, (_, at) in moved.items()
        ],
    )
    report: dict[str, Any] = build_report(**transplanted)
    return report


def ids(page: Page) -> list[str]:
    return page.locator("#list h3").all_text_contents()


def count(page: Page) -> Any:
    return expect(page.locator("#count"))


def test_the_page_loads_without_console_error_or_outside_request(
    run: dict[str, Any], opened: Opened
) -> None:
    run["notes"] = ["<img src=https://example.org/x.png onerror=alert(1)>", "lone \ud800"]
    page, seen = opened(build_report(**run))
    assert seen == []
    assert page.title() == "tiny · LeaF report"
    assert page.locator(".notes li").first.text_content() == run["notes"][0]


def test_only_some_rows_are_there_and_only_open_ones_have_content(
    crowd: dict[str, Any], opened: Opened
) -> None:
    page, seen = opened(crowd)
    count(page).to_have_text("60 of 60 problems")
    assert ids(page) == [f"q{i}" for i in range(25)]
    assert page.locator(".problem[open]").count() == page.locator(".question").count() == 3
    page.locator("#problem-q9 summary").first.click()
    expect(page.locator("#problem-q9 .question")).to_contain_text("Tom has 3 red pens")
    page.click("#more")
    assert len(ids(page)) == 50
    expect(page.locator("#problem-q25 > summary")).to_be_focused()
    page.click("#more")
    assert ids(page) == [f"q{i}" for i in range(60)]
    expect(page.locator("#more")).to_be_hidden()
    assert seen == []


@pytest.mark.parametrize(
    ("choice", "left"),
    [
        ("verified", ["q0"]),
        ("transplant", ["q1"]),
        ("unverified", ["q2"]),
    ],
)
def test_problems_are_filtered_by_what_became_of_them(
    crowd: dict[str, Any], opened: Opened, choice: str, left: list[str]
) -> None:
    page, _ = opened(crowd)
    page.select_option("[name=status]", choice)
    count(page).to_have_text(f"{len(left)} of 60 problems")
    assert ids(page) == left


def test_problems_are_filtered_by_source_and_by_what_their_removals_took(
    crowd: dict[str, Any], opened: Opened
) -> None:
    page, _ = opened(crowd)
    page.select_option("[name=source]", "amc")
    count(page).to_have_text("30 of 60 problems")
    page.click("#filters [type=reset]")
    count(page).to_have_text("60 of 60 problems")
    page.fill("[name=from]", "5")  # ` red` has 4 characters, ` and 4 hats` 11
    count(page).to_have_text("1 of 60 problems")
    assert ids(page) == ["q0"]
    page.fill("[name=from]", "")
    page.fill("[name=to]", "4")
    count(page).to_have_text("1 of 60 problems")
    assert ids(page) == ["q2"]


@pytest.mark.parametrize(
    ("text", "left"), [("Roo has", ["q2"]), ("SAID OF q59", ["q59"]), ("q31", ["q31"]), ("zzz", [])]
)
def test_a_search_looks_at_questions_answers_and_ids(
    crowd: dict[str, Any], opened: Opened, text: str, left: list[str]
) -> None:
    page, _ = opened(crowd)
    page.fill("[name=text]", text)
    count(page).to_have_text(f"{len(left)} of 60 problems")
    assert ids(page) == left


def test_problems_are_sorted(crowd: dict[str, Any], opened: Opened) -> None:
    page, _ = opened(crowd)
    page.select_option("[name=order]", "longest")
    expect(page.locator("#list h3").nth(1)).to_have_text("q2")
    assert ids(page)[:3] == ["q0", "q2", "q1"]
    page.select_option("[name=order]", "id")
    expect(page.locator("#list h3").nth(2)).to_have_text("q2")


@pytest.mark.parametrize("name", ["q55", "a/b c#?%&<\"'>é"])
def test_a_link_opens_its_problem_though_it_is_far_down_or_filtered_away(
    crowd: dict[str, Any], opened: Opened, name: str
) -> None:
    problem = next(one for one in crowd["distraction"]["problems"] if one["id"] == "q55")
    problem["id"] = name
    page, seen = opened(crowd)
    page.fill("[name=text]", name)
    count(page).to_have_text("1 of 60 problems")
    row = page.locator(".problem").first
    row.locator("summary").first.click()
    row.get_by_role("link", name="Link to this problem").click()
    page.fill("[name=text]", "")
    count(page).to_have_text("60 of 60 problems")
    for _ in range(2):
        page.reload()
        row = page.locator(".problem[open]")
        expect(row).to_have_count(4)  # the first three, and this
        expect(row.first.locator("h3")).to_have_text(name)
        expect(row.first.locator("summary").first).to_be_focused()
    page.select_option("[name=status]", "verified")
    count(page).to_have_text("1 of 60 problems")
    page.evaluate("location.hash = '#problem-q7'")
    expect(page.locator("#problem-q7 .question")).to_be_visible()
    assert seen == []


def test_a_hand_written_address_harms_nothing(crowd: dict[str, Any], opened: Opened) -> None:
    page, seen = opened(crowd, hash_="#problem-%E0%A4%A")
    count(page).to_have_text("60 of 60 problems")
    assert seen == []


def test_a_question_reads_back_from_its_heat_map_as_it_was(
    run: dict[str, Any], opened: Opened
) -> None:
    page, _ = opened(build_report(**run))
    assert page.locator(".question").text_content() == run["problems"][0].question
    assert page.locator(".removals del").all_text_contents() == [" and 4 hats", " red"]


def test_a_word_says_its_numbers_to_mouse_and_keyboard_with_one_tab_stop(
    run: dict[str, Any], opened: Opened
) -> None:
    page, _ = opened(build_report(**run))
    line = page.locator(".reading")
    assert line.get_attribute("aria-live") == "polite"
    assert page.locator(".question [tabindex='0']").count() == 1
    page.locator(".question .u").nth(1).hover()
    expect(line).to_have_text("and 4 hats student 0 · teacher 1 · gap 0.04 · taken out, verified")
    page.locator(".question .u").first.focus()
    expect(line).to_have_text("red student 1 · teacher 0 · gap 0 · taken out")
    page.keyboard.press("ArrowRight")
    expect(line).to_contain_text("and 4 hats")
    page.keyboard.press("ArrowRight")  # there is no further word
    expect(page.locator(".question .u").nth(1)).to_be_focused()
    page.keyboard.press("Home")
    expect(page.locator(".question .u").first).to_be_focused()
    assert page.locator(".question [tabindex='0']").count() == 1


def test_the_heat_map_changes_its_colours_by_keyboard(run: dict[str, Any], opened: Opened) -> None:
    page, _ = opened(build_report(**run))
    colour = "element => getComputedStyle(element).backgroundColor"
    red = page.locator(".question .u").first
    assert red.evaluate(colour) == "rgba(213, 94, 0, 0.7)"  # the student leans on it
    page.focus("#view-gap")
    page.keyboard.press("ArrowLeft")  # wraps to the last: teacher
    assert page.is_checked("#view-teacher")
    assert red.evaluate(colour) == "rgba(0, 114, 178, 0)"  # the teacher ignores it


def unfolded(opened: Opened, run: dict[str, Any], width: int) -> Page:
    """Open a report with every part of it unfolded."""
    page, _ = opened(build_report(**run), width=width)
    page.evaluate("document.querySelectorAll('details').forEach(part => { part.open = true })")
    return page


@pytest.mark.parametrize("width", [400, 1200])
def test_nothing_is_wider_than_the_window(
    many: dict[str, Any],
    transplanted: dict[str, Any],
    controlled: dict[str, Any],
    opened: Opened,
    width: int,
) -> None:
    many["notes"] = ["x" * 5000]
    many["cuts"] = transplanted["cuts"] | {"random": controlled["cuts"]["random"]}
    page = unfolded(opened, many, width)
    page.wait_for_timeout(100)
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_what_came_in_differs_from_what_went_out_by_more_than_colour(
    transplanted: dict[str, Any], opened: Opened
) -> None:
    page, _ = opened(build_report(**transplanted))
    line = "element => getComputedStyle(element).textDecorationLine"
    change = page.locator(".transplants .excerpt").first
    assert change.locator("del").evaluate(line) == "line-through"
    assert change.locator("ins").evaluate(line) == "underline"
    # The question as the models read it: what went out is not in it.
    change.evaluate("element => element.querySelector('del').remove()")
    made = transplanted["cuts"]["gradient"][0][2]
    assert change.text_content() == made.question


def test_what_is_printed_is_what_is_open_without_the_controls(
    crowd: dict[str, Any], opened: Opened
) -> None:
    page, _ = opened(crowd)
    page.emulate_media(media="print")
    expect(page.locator("#filters")).to_be_hidden()
    expect(page.locator("#more")).to_be_hidden()
    expect(page.locator("#problem-q0 .question")).to_be_visible()
    assert page.locator(".question:visible").count() == 3
    assert page.locator("#problem-q0 .answers .two").first.is_visible()
    teasers = page.locator(".problem:not([open]) .teaser")
    assert teasers.count()
    assert teasers.evaluate_all("all => all.every((one) => one.scrollWidth <= one.clientWidth)")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out_from_its_background_in_both_schemes(
    run: dict[str, Any], opened: Opened, scheme: str
) -> None:
    page, _ = opened(build_report(**run), scheme=scheme)
    ink, paper = (
        luminance(page.evaluate(f"getComputedStyle(document.body).{name}"))
        for name in ("color", "backgroundColor")
    )
    assert (max(ink, paper) + 0.05) / (min(ink, paper) + 0.05) > 7  # WCAG AAA
    assert (ink < paper) == (scheme == "light")


def luminance(colour: str) -> float:
    """WCAG relative luminance of `rgb(r, g, b)`."""
    channels = [int(part) / 255 for part in re.findall(r"\d+", colour)[:3]]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("millimetres", [186, 192])  # A4 and Letter between the page's margins
def test_on_paper_nothing_is_cut(
    many: dict[str, Any],
    transplanted: dict[str, Any],
    controlled: dict[str, Any],
    opened: Opened,
    millimetres: int,
) -> None:
    width = round(millimetres / 25.4 * 96)
    many["cuts"] = transplanted["cuts"] | {"random": controlled["cuts"]["random"]}
    page = unfolded(opened, many, width)
    page.emulate_media(media="print")
    beyond = page.evaluate(
        """() => [...document.querySelectorAll('body *')].filter((element) =>
            element.getBoundingClientRect().right > document.documentElement.clientWidth + 1
        ).map((element) => `${element.tagName} ${element.textContent.slice(0, 40)}`)"""
    )
    assert beyond == []


def test_on_a_phone_the_verdict_is_in_sight(run: dict[str, Any], opened: Opened) -> None:
    page, _ = opened(build_report(**run), width=390)
    page.set_viewport_size({"width": 390, "height": 844})
    said = page.locator(".verdict .figure").first.bounding_box()
    assert said
    assert said["y"] + said["height"] < 844


def test_a_row_of_two_contexts_stands_as_each_reads_it(
    transplanted: dict[str, Any], opened: Opened
) -> None:
    recipe = transplanted["recipe"]
    distill = recipe.distill.model_copy(update={"teacher_sees": "cut"})
    transplanted["recipe"] = recipe.model_copy(update={"distill": distill})
    page, _ = opened(build_report(**transplanted))
    problem = transplanted["problems"][0]
    for kind, at in (("transplants", 2), ("removals", 1)):
        made = transplanted["cuts"]["gradient"][0][at]
        row = page.locator(f".{kind} .contexts").first
        read = [each.text_content() for each in row.locator(".excerpt").all()]
        sides = contexts(problem, made, "cut")
        assert read == [side.question for side in sides], kind
        assert row.locator("h5").all_text_contents() == ["The student reads", "The teacher reads"]
