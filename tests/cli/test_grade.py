"""`leaf grade`: what was read in an answer, and why it is right or wrong."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.command_line import complaint, leaf
from tests.generate.chat_server import ChatServer, refused, said

CASES = Path(__file__).parents[1] / "grade" / "cases.jsonl"


def judged(*words: str | Path) -> list[dict[str, Any]]:
    done = leaf("grade", *words, "--json")
    assert done.code == 0, done.err
    found: list[dict[str, Any]] = json.loads(done.out)
    return found


def test_a_wrong_answer_is_told_with_what_was_read_and_why() -> None:
    done = leaf("grade", "--gold", "18", "First 17. The answer is 19.")
    assert done.code == 0
    assert [line.split(":")[0] for line in done.out.splitlines()] == [
        "outcome",
        "extracted",
        "reason",
    ]
    assert "read as `19`, which is not `18`" in done.out


def test_json_is_one_list_of_outcome_extracted_and_reason() -> None:
    right = {"outcome": "right", "extracted": "-5", "reason": None}
    assert judged("--gold", "-5", "-5") == [right]
    (none,) = judged("--gold", "5", "I do not know.")
    assert none == {
        "outcome": "ungradable",
        "extracted": None,
        "reason": "no final number found",
    }


def test_a_grader_takes_its_options_and_several_golds() -> None:
    (close,) = judged("--grader", "{close: {relative: 0.1}}", "--gold", "100", "#### 91")
    (alias,) = judged("--grader", "qa_exact", "--gold", "Paris", "--gold", "Lutetia", "Lutetia")
    assert (close["outcome"], alias["outcome"]) == ("right", "right")


def test_what_a_grader_measures_is_told_beside_the_outcome() -> None:
    words = ["--grader", "rouge_l", "--gold", "a b c", "a c"]
    # LCS 2 of 2 and 3 words: 2*2/5.
    assert judged(*words)[0]["measures"] == {"pass": 1.0, "ROUGE-L": 0.8}
    assert "ROUGE-L:   0.800" in leaf("grade", *words).out


def test_a_judge_is_asked_about_the_question_and_a_failed_request_is_no_verdict() -> None:
    with ChatServer(lambda text, _: said("right" if "How long?" in text else "wrong")) as server:
        judge = f"{{judge: {{model: m, server: {{url: '{server.url}', retries: 0}}}}}}"
        words = ["--grader", judge, "--question", "How long?", "--gold", "a month", "30 days"]
        assert judged(*words) == [
            {"outcome": "right", "extracted": "30 days", "reason": "judge: right"}
        ]
    with ChatServer(lambda *_: refused(500, "out of luck"), port=server.port):
        done = leaf("grade", *words)
    assert done.code == 1 and "1 of 1 requests failed, the last: judge: " in done.err


def test_a_file_of_cases_is_judged_in_its_order(tmp_path: Path) -> None:
    lines = CASES.read_text("utf-8").splitlines()[:26]
    file = tmp_path / "cases.jsonl"
    file.write_text("\n".join(lines), "utf-8")
    wanted = [json.loads(line)["right"] for line in lines]
    assert [one["outcome"] == "right" for one in judged("--cases", file)] == wanted
    assert "26 of 26 as the file's `right` says" in leaf("grade", "--cases", file).out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--gold", "5"], "give --gold and an answer, or a file of --cases"),
        (["5"], "give --gold and an answer, or a file of --cases"),
        (["--grader", "nubmers", "--gold", "5", "5"], "did you mean `numbers`?"),
        (["--grader", "{close: {relative", "--gold", "5", "5"], "write options as"),
        (["--grader", "code", "--gold", "5", "5"], "runs the tests of a data set"),
        (["--grader", "judge", "--gold", "5", "5"], "grader judge: `model` is required"),
        (["--grader", "{any: [numbers, x]}", "--gold", "5", "5"], "grader any: `of.1` must"),
        (
            ["--grader", "{any: numbers}", "--gold", "5", "5"],
            "grader any: must be a list of graders, such as [numbers, qa], but is 'numbers'",
        ),
        (["--grader", "any", "--gold", "5", "5"], "grader any: must be a list of graders"),
        (
            ["--grader", "{close: 3}", "--gold", "5", "5"],
            "grader close: must be a mapping of its keys, but is 3",
        ),
        (["--grader", "{rouge_l: {threshold: 2}}", "--gold", "5", "5"], "`threshold` must be less"),
        (["--cases", "none.jsonl"], "none.jsonl: no such data file"),
        (["--cases", "none.jsonl", "5"], "has answers and golds of its own"),
    ],
)
def test_what_cannot_be_judged_is_one_line(words: list[str], said: str) -> None:
    assert said in complaint("grade", *words)


@pytest.mark.parametrize(
    ("record", "said"),
    [
        ({"gold": "5"}, "`answer` must be a text, but is None"),
        ({"answer": "5"}, "`gold` must be a text or a list of texts, but is None"),
        ({"gold": [], "answer": "5"}, "`gold` must be a text or a list of texts, but is []"),
        ({"gold": "5", "answer": "5", "grader": "x"}, "grader: unknown `x`"),
        ({"gold": "5", "answer": "5", "truncated": 1}, "`truncated` must be true or false"),
    ],
)
def test_a_bad_case_is_named_by_its_line(tmp_path: Path, record: dict[str, Any], said: str) -> None:
    file = tmp_path / "cases.jsonl"
    file.write_text(json.dumps({"gold": "5", "answer": "5"}) + "\n" + json.dumps(record))
    message = complaint("grade", "--cases", file)
    assert f"{file}:2: " in message and said in message
