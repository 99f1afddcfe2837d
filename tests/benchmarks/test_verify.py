"""The verification benchmark: its cuts and arithmetic by hand, its way through tiny models."""

import json
from pathlib import Path

import pytest

from benchmarks import common, verify
from leaf.errors import UsageError
from leaf.generate.engine import Effort
from leaf.records import Answer, Problem


def problem(question: str, name: str = "p") -> Problem:
    return Problem(id=name, question=question, answer="4", solution="4")


# Cuts.


def test_each_question_loses_a_word_a_clause_and_a_sentence() -> None:
    question = "Bo has 4 pens, all new. He likes red. How many pens has Bo?"
    word, clause, sentence = verify.cut([problem(question)], 9, seed=0)
    assert [one.id for one in (word, clause, sentence)] == ["p/word", "p/clause", "p/sentence"]
    assert len(word.question.split()) == len(question.split()) - 1
    assert clause.question in {
        "all new. He likes red. How many pens has Bo?",
        "Bo has 4 pens, He likes red. How many pens has Bo?",
        "Bo has 4 pens, all new. How many pens has Bo?",
    }
    assert sentence.question in {
        "He likes red. How many pens has Bo?",
        "Bo has 4 pens, all new. How many pens has Bo?",
    }


def test_what_asks_is_never_cut_so_a_question_alone_loses_only_words() -> None:
    found = verify.cut([problem("How many pens has Bo?")], 9, seed=0)
    assert [one.id for one in found] == ["p/word"]
    assert found[0].question.endswith("Bo?")


def test_variants_are_counted_and_chosen_by_seed() -> None:
    questions = [problem(f"Bo has {n} red pens. How many pens?", f"p{n}") for n in range(5)]
    assert len(verify.cut(questions, 7, seed=0)) == 7
    assert verify.cut(questions, 7, seed=1) == verify.cut(questions, 7, seed=1)
    assert verify.cut(questions, 7, seed=1) != verify.cut(questions, 7, seed=2)


# Numbers.


def measured(seconds: float, effort: Effort, **texts: tuple[str, int, bool]) -> verify.Measured:
    return verify.Measured(
        seconds=seconds,
        cpu_seconds=seconds / 2,
        effort=effort,
        answers={
            name: Answer(
                problem_id=name,
                text=text,
                prompt_tokens=5,
                response_tokens=tokens,
                truncated=False,
            )
            for name, (text, tokens, _) in texts.items()
        },
        right={name: right for name, (_, _, right) in texts.items()},
    )


def trials() -> dict[str, verify.Trial]:
    """Two variants; the student is right on `a` alone, so the teacher is asked about `a` alone."""
    effort = Effort(answers=2, tokens=16, passes=6, row_passes=8, proposed=24)
    student = verify.Trial(
        plain=measured(30.0, Effort(), a=("4", 10, True), b=("7", 6, False)),
        drafted=measured(10.0, effort, a=("4", 10, True), b=("8", 6, True)),
        undrafted=measured(15.0, Effort(), a=("4", 10, True), b=("7", 6, False)),
    )
    alone = Effort(answers=1, tokens=20, passes=5, row_passes=5, proposed=30)
    teacher = verify.Trial(
        plain=measured(60.0, Effort(), a=("4.", 20, True), b=("9", 90, False)),
        drafted=measured(20.0, alone, a=("4.", 20, True)),
        undrafted=measured(40.0, Effort(), a=("4.", 20, True)),
    )
    return {"student": student, "teacher": teacher}


def test_ratios_are_plain_over_ours_and_passes_are_those_of_the_same_texts() -> None:
    found = verify.figures(trials())
    # (30 + 60) / (10 + 20).
    assert found["total.seconds_ratio_to_plain"] == pytest.approx(3.0)
    assert found["total.cpu_seconds_ratio_to_plain"] == pytest.approx(3.0)
    assert found["student.seconds_ratio_to_plain"] == pytest.approx(3.0)
    assert found["student.undrafted.seconds_ratio_to_plain"] == pytest.approx(2.0)
    assert found["student.passes_ratio_to_plain"] == pytest.approx((10 + 6) / 8)
    # The 90 tokens of `b`, which the teacher is not asked about, do not count.
    assert found["teacher.passes_ratio_to_plain"] == pytest.approx(20 / 5)
    assert found["teacher.proposed_per_token"] == pytest.approx(1.5)


def test_texts_are_compared_over_what_was_asked() -> None:
    found = verify.figures(trials())
    assert found["identical_texts"] == pytest.approx(2 / 3)
    assert found["student.identical_texts"] == pytest.approx(1 / 2)
    assert found["student.undrafted.identical_texts"] == 1.0
    assert found["student.same_outcomes"] == pytest.approx(1 / 2)
    assert found["teacher.identical_texts"] == 1.0
    assert (found["n"], found["teacher.n"]) == (2, 1)


def test_a_teacher_that_is_not_asked_has_no_ratio_in_the_last_line(
    capsys: pytest.CaptureFixture[str],
) -> None:
    asked = trials()
    nothing = measured(0.0, Effort())
    asked["teacher"] = verify.Trial(
        plain=asked["teacher"].plain, drafted=nothing, undrafted=nothing
    )
    common.print_json("verify", {}, verify.figures(asked))
    found = json.loads(capsys.readouterr().out)["figures"]
    assert found["total.seconds_ratio_to_plain"] == pytest.approx(9.0)
    assert not any(name.startswith("teacher.") and "ratio" in name for name in found)


# The whole way.


def test_two_tiny_models_are_measured_from_problems_to_the_last_line(
    cue_pair: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("LEAF_CACHE", str(tmp_path / "cache"))
    # These models know their questions alone.
    monkeypatch.setattr(verify, "AFTER", "")
    (tmp_path / "gsm8k").mkdir()
    questions = [json.loads(line) for line in (cue_pair / "train.jsonl").read_text().splitlines()]
    lines = [json.dumps({"question": one["question"], "answer": "#### 4"}) for one in questions]
    (tmp_path / "gsm8k" / "train.jsonl").write_text("\n".join(lines))
    verify.main(
        json_=True,
        problems=8,
        n=12,
        max_new_tokens=8,
        student=str(cue_pair / "student"),
        teacher=str(cue_pair / "teacher"),
        store=tmp_path / "store",
        data=tmp_path,
    )
    last = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert last["name"] == "verify"
    # Every second of the 8 problems misleads the student; each loses a word, a clause, a sentence.
    assert last["setting"]["problems_in_detection"] == 4
    assert last["figures"]["n"] == 12
    assert last["figures"]["student.n"] == 12
    # float32: the texts are the same.
    assert last["figures"]["identical_texts"] == 1.0
    assert last["figures"]["teacher.n"] == 12 * last["figures"]["student.right"]


def test_wrong_words_and_missing_data_are_refused_at_once(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"--n 0: must be at least 1"):
        verify.main(n=0)
    with pytest.raises(UsageError, match=r"train.jsonl: name another folder with --data"):
        verify.main(data=tmp_path)
