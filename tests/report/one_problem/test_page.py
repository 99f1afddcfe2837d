"""The page of one prompt, in a real browser."""

import dataclasses
import re
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

from leaf.progress import visible
from leaf.recipe import Recipe
from leaf.recipe.reading import check_recipe
from leaf.report import write_explanation
from leaf.report.one_problem import explanation
from leaf.report.plain import TEXT_LIMIT, plain
from leaf.store.ledger import Entry, Said
from tests.report.attacks import ATTACKS


def written(entry: Entry, recipe: Recipe, folder: Path) -> Path:
    return write_explanation(explanation(entry, recipe, "here"), folder / "p.html")


def opened(browser: Browser, path: Path, width: int = 1100) -> tuple[Page, list[str]]:
    """Open a page file; the list fills with console messages, script errors and requests."""
    page = browser.new_page(viewport={"width": width, "height": 900})
    seen: list[str] = []
    page.on("console", lambda message: seen.append(message.text))
    page.on("pageerror", lambda error: seen.append(str(error)))
    page.on("request", lambda request: seen.append(request.url))
    page.goto(path.as_uri())
    return page, [url for url in seen if url != path.as_uri() and not url.startswith("data:")]


def test_hostile_text_is_text_and_nothing_is_fetched_or_said(
    entry: Entry, recipe: Recipe, tmp_path: Path, browser: Browser
) -> None:
    hostile = "<script>alert(1)</script><img src=https://example.org/x.png onerror=alert(2)>"
    changed = dataclasses.replace(
        entry,
        problem_id=hostile,
        answer=hostile,
        student=Said(text=hostile, outcome=entry.student.outcome),
    )
    page, seen = opened(browser, written(changed, recipe, tmp_path))
    assert seen == []
    assert page.locator("h1").text_content() == hostile
    assert page.locator("img").count() == 0
    assert page.locator("script").count() == 3  # settings, the problem, the page's own


def test_an_attack_is_text_wherever_it_stands(
    entry: Entry, recipe: Recipe, tmp_path: Path, browser: Browser
) -> None:
    # The report puts every attack through the same script: here every third one is enough.
    for text in ATTACKS[::3]:
        said = Said(text=text, outcome=entry.student.outcome)
        models = {
            role: getattr(recipe, role).model_copy(update={"model": text})
            for role in ("student", "teacher")
        }
        variants = (
            dataclasses.replace(entry.variants[0], student=said, teacher=said, reason=text),
            dataclasses.replace(entry.variants[2], inserted=text, donor=text, student=said),
            dataclasses.replace(entry.variants[3], reason=text),
        )
        changed = dataclasses.replace(
            entry,
            problem_id=text,
            answer=text,
            question=entry.question + text,
            student=said,
            teacher=said,
            variants=variants,
        )
        page, seen = opened(browser, written(changed, recipe.model_copy(update=models), tmp_path))
        shown = visible(str(plain(text[:TEXT_LIMIT])))
        assert seen == []
        assert page.evaluate("window.__hit") is None
        assert page.evaluate("document.documentElement.scrollWidth") <= 1100
        assert page.locator("script").count() == 3
        assert (page.locator("h1").text_content() or "").startswith(shown)
        question = visible(str(plain((entry.question + text)[:TEXT_LIMIT])))
        assert (page.locator(".question").first.text_content() or "").startswith(question)
        answers = page.locator("#answers .text").all_text_contents()
        assert len(answers) == 5
        assert all(one.startswith(shown) for one in answers)
        page.close()


def test_each_heat_map_reads_back_as_the_question_in_its_own_colour(
    entry: Entry, recipe: Recipe, tmp_path: Path, browser: Browser
) -> None:
    page, _ = opened(browser, written(entry, recipe, tmp_path))
    colour = "element => getComputedStyle(element).backgroundColor"
    red = {}
    for view in ("by-student", "by-teacher", "by-gap"):
        question = page.locator(f".question.{view}")
        assert question.text_content() == entry.question
        red[view] = question.locator(".u").nth(2).evaluate(colour)
    # The student leans on ` red` with all its weight, the teacher not at all.
    assert red == {
        "by-student": "rgba(213, 94, 0, 0.7)",
        "by-teacher": "rgba(0, 114, 178, 0)",
        "by-gap": "rgba(213, 94, 0, 0.7)",
    }


def test_a_sentence_that_was_ranked_is_coloured_as_a_sentence(
    by_sentence: tuple[Entry, Recipe], tmp_path: Path, browser: Browser
) -> None:
    page, seen = opened(browser, written(*by_sentence, tmp_path))
    assert seen == []
    (caption,) = page.locator(".view figcaption").all_text_contents()
    assert caption == "Ranked by ablation, sentence by sentence"
    units = page.locator(".view .question .u")
    assert units.all_text_contents() == ["Ben has 3 red pens.", "How many?"]
    colours = [units.nth(at).evaluate("u => getComputedStyle(u).backgroundColor") for at in (0, 1)]
    # The deepest of six steps of the student's orange, and none.
    assert colours == ["rgba(213, 94, 0, 0.7)", "rgba(0, 0, 0, 0)"]
    assert "freed" in (units.first.get_attribute("class") or "")
    units.first.hover()
    assert (
        page.locator(".reading").inner_text() == "Ben has 3 red pens. score 1 · taken out, verified"
    )


def test_what_was_taken_out_is_struck_through_and_what_freed_the_student_underlined(
    entry: Entry, recipe: Recipe, tmp_path: Path, browser: Browser
) -> None:
    page, _ = opened(browser, written(entry, recipe, tmp_path))
    line = "elements => elements.map(e => getComputedStyle(e).textDecorationLine)"
    struck = page.locator(".question.by-gap .u").evaluate_all(line)
    assert struck == ["line-through", "none", "line-through", "none"]
    shadow = "elements => elements.map(e => getComputedStyle(e).boxShadow !== 'none')"
    underlined = page.locator(".question.by-gap .u").evaluate_all(shadow)
    assert underlined == [False, False, True, False]


@pytest.mark.parametrize("width", [400, 1100])
def test_nothing_is_wider_than_the_window(
    entry: Entry, recipe: Recipe, tmp_path: Path, browser: Browser, width: int
) -> None:
    long = dataclasses.replace(entry, problem_id="x" * 300, answer="y" * 900)
    page, _ = opened(browser, written(long, recipe, tmp_path), width)
    page.evaluate("document.querySelectorAll('details').forEach(part => { part.open = true })")
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_the_answers_of_what_did_not_pass_are_folded_away(
    entry: Entry, recipe: Recipe, tmp_path: Path, browser: Browser
) -> None:
    page, _ = opened(browser, written(entry, recipe, tmp_path))
    shown = page.locator("#answers .text:visible").all_text_contents()
    assert shown == ["first I said 7", "it is 3", "now 3", "still 3"]
    page.locator("#answers summary").click()
    assert page.locator("#answers .text:visible").count() == len(shown) + 2


def test_a_problem_without_scores_says_why(entry: Entry, recipe: Recipe, tmp_path: Path) -> None:
    lost = dataclasses.replace(entry, units=(), skipped="too long", variants=())
    page = written(lost, recipe, tmp_path).read_text()
    assert "It has no scores: too long." in page
    assert "Nothing was tried on it." in page
    host = dataclasses.replace(entry, units=(), entered=False, variants=())
    assert "It only took transplants." in written(host, recipe, tmp_path).read_text()


def test_the_page_needs_nothing_outside_itself(
    entry: Entry, recipe: Recipe, tmp_path: Path
) -> None:
    page = written(entry, recipe, tmp_path).read_text()
    assert not re.search(r"(src|href)=\"(?!data:|#)", page)
    assert "default-src &#39;none&#39;" in page


def test_a_prompt_explained_without_a_teacher_has_no_place_for_one(
    entry: Entry, recipe: Recipe, tmp_path: Path, browser: Browser
) -> None:
    values = {**recipe.model_dump(by_alias=True), "teacher": {"model": recipe.student.model}}
    values["attribute"]["detector"] = "ablation"
    values["attribute"]["controls"] = []
    variants = [
        dataclasses.replace(item, detector="ablation", teacher=None) for item in entry.variants
    ]
    alone = dataclasses.replace(entry, teacher=None, variants=tuple(variants))
    page, seen = opened(browser, written(alone, check_recipe(values, source="alone"), tmp_path))
    assert seen == []
    said = page.inner_text("header.page") + page.inner_text("#tried") + page.inner_text("#answers")
    assert "eacher" not in said
