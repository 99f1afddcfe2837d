"""A judge's prompt, what is read in its words, and that it is asked nothing twice."""

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

from leaf.grade import Unscored, grader_of
from leaf.grade.asked import verdict
from leaf.pipeline.grading import open_graders
from leaf.recipe import GradeSection
from leaf.records import Answer, Problem, Protected, Score
from tests.generate.chat_server import ChatServer, Reply, refused, said

QUESTION = "Document [1] Cards are taken.\n\nHow long may I send it back?"
PROBLEM = Problem(
    id="p",
    question=QUESTION,
    answer="thirty days",
    golds=("a month",),
    solution="",
    grader="judge",
    protected=(Protected(start=31, end=len(QUESTION), what="question"),),
)


def answer(text: str, *, truncated: bool = False) -> Answer:
    return Answer(
        problem_id="p", text=text, prompt_tokens=1, response_tokens=1, truncated=truncated
    )


def with_judge(server: ChatServer, **options: object) -> Problem:
    own = {"model": "m", "server": {"url": server.url, "retries": 0}, **options}
    return replace(PROBLEM, grader_options=json.dumps(own))


def graded(problem: Problem, *answers: Answer, kept: Path | None = None) -> list[Score]:
    with open_graders(GradeSection(), kept) as graders:
        return graders.grade([problem] * len(answers), answers)


def prompts(server: ChatServer) -> list[str]:
    found = [body["messages"][-1]["content"] for body in server.asked]
    return [prompt for prompt in found if prompt != "Hello"]


def by_the_answer(prompt: str, before: int) -> Reply:
    match = re.search(r"<answer>\n(.*)\n</answer>", prompt)
    assert match
    return said("Right." if match[1] in ("30 days", "a month") else "wrong")


@pytest.mark.parametrize(
    ("words", "score"),
    [
        ("right", 1),
        ("**Wrong**", 0),
        ("Right, though it is long.", 1),
        ("Wrong: the right answer is 5.", 0),
        ("It says 5, which is correct.", 1),
        ("This is not correct.", None),
        ("The right one is 5, so it is wrong.", None),
        ("First I thought it wrong.\nVerdict: right", 1),
        ("Verdict: right\nNo, it misses one.\n**Verdict:** [wrong]", 0),
        ("Verdict: I cannot say", None),
        ("right or wrong", None),
        ("Verdict: [right or wrong]", None),
        ("Verdict: [right or wrong]\nVerdict: wrong", 0),
        ("It will be bright.", None),
        ("", None),
    ],
)
def test_a_verdict_is_read_where_the_words_give_one(words: str, score: float | None) -> None:
    assert verdict(words, None) == score


@pytest.mark.parametrize(
    ("words", "score"),
    [
        ("7", 0.7),
        ("7/10", 0.7),
        ("10 of 10", 1),
        ("It has 3 of the points.\nScore: 4", 0.4),
        ("I give it 3.", 0.3),
        ("11", None),
        ("7.5", None),
        ("either 3 or 4", None),
        ("0 to 10", None),
        ("none", None),
    ],
)
def test_a_grade_is_a_share_of_the_scale(words: str, score: float | None) -> None:
    assert verdict(words, 10) == score


def test_the_judge_sees_what_asks_every_gold_the_answer_and_the_rubric() -> None:
    own = replace(PROBLEM, grader_options='{"model": "m", "rubric": "Days or months."}')
    prompt = grader_of(own).prompt(own, answer("30 days\n\nQuestion: and cards?\nAnswer: yes"))  # type: ignore[attr-defined]
    assert "How long may I send it back?" in prompt and "Cards" not in prompt
    assert "thirty days\na month\n" in prompt and "Days or months." in prompt
    # Not the next question that a base model asks itself.
    assert "<answer>\n30 days\n</answer>" in prompt
    assert prompt.endswith("Reply with one word: right or wrong.")


def test_its_words_are_kept_and_no_answer_is_asked_about_twice(tmp_path: Path) -> None:
    texts = ["30 days", "a week", "30 days"]
    with ChatServer(by_the_answer) as server:
        first = graded(with_judge(server), *map(answer, texts), kept=tmp_path)
        assert [score.outcome for score in first] == ["right", "wrong", "right"]
        assert [score.reason for score in first[:2]] == ["judge: Right.", "judge: wrong"]
        assert len(prompts(server)) == 2
        # Another process, another order, one more answer.
        graded(with_judge(server), *map(answer, ["a week", "a month", "30 days"]), kept=tmp_path)
        assert len(prompts(server)) == 3
        graded(with_judge(server, rubric="Exactly."), answer("30 days"), kept=tmp_path)
        assert len(prompts(server)) == 4
        (file,) = tmp_path.iterdir()
        text = file.read_text()
        file.write_text(text[: text.rindex("prompt_tokens")])
        again = graded(with_judge(server, rubric="Exactly."), answer("30 days"), kept=tmp_path)
        assert again[0].right and len(prompts(server)) == 5
        graded(with_judge(server, rubric="Exactly."), answer("30 days"), kept=tmp_path)
        assert len(prompts(server)) == 5


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        (said("Maybe?"), "the judge gave no verdict: Maybe?"),
        (said("I think", end="length"), "the judge was cut at its token limit before a verdict:"),
    ],
)
def test_a_judge_that_answers_nonsense_gives_no_outcome(reply: Reply, reason: str) -> None:
    with ChatServer(lambda *_: reply) as server:
        (score,) = graded(with_judge(server), answer("30 days"))
    assert score.outcome == "ungradable" and not isinstance(score, Unscored)
    assert (score.reason or "").startswith(reason)


def test_a_failed_request_is_no_score_and_a_cut_answer_is_not_wrong(tmp_path: Path) -> None:
    with ChatServer(lambda *_: refused(502, "bad gateway")) as server:
        (score,) = graded(with_judge(server), answer("30 days"), kept=tmp_path)
    assert isinstance(score, Unscored) and "bad gateway" in (score.reason or "")
    assert list(tmp_path.iterdir()) == []
    with ChatServer(by_the_answer) as server:
        (score,) = graded(with_judge(server), answer("a we", truncated=True))
    assert score.outcome == "ungradable"


def test_a_scale_is_measured_and_passes_from_its_threshold_on() -> None:
    with ChatServer(lambda *_: said("6")) as server:
        (low,) = graded(with_judge(server, scale=10, threshold=0.7), answer("30 days"))
        (high,) = graded(with_judge(server, scale=10), answer("30 days"))
    assert (low.outcome, high.outcome) == ("wrong", "right")
    assert {one.name: one.value for one in high.measures} == {"pass": 1.0, "judge": 0.6}
