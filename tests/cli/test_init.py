"""`leaf init`: data as people have them become a recipe that loads, reads them and says why."""

import csv
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from leaf.recipe import Recipe, name_and_options
from leaf.recipe.reading import load_recipe
from leaf.records import Problem
from leaf.tasks import load_problems, read_problems
from tests.command_line import complaint, leaf


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def lines(name: str, records: Iterator[dict[str, Any]]) -> str:
    Path(name).write_text("".join(json.dumps(record) + "\n" for record in records))
    return name


def made(data: str, *words: str) -> tuple[Recipe, list[Problem], str]:
    """Return the recipe, what it trains on and what was printed."""
    done = leaf("init", data, "--out", "made.yaml", *words)
    assert (done.code, done.err) == (0, "")
    assert done.out.endswith("Next: leaf doctor made.yaml\n")
    recipe = load_recipe("made.yaml")
    return recipe, load_problems(recipe.data), done.out


def columns(recipe: Recipe) -> dict[str, Any]:
    return recipe.data.columns.model_dump(exclude_defaults=True)


def grader_of(recipe: Recipe) -> str:
    assert recipe.data.grader is not None
    return name_and_options(recipe.data.grader)[0]


def test_a_sheet_of_customers_questions_is_read_and_its_sentences_are_not_numbers() -> None:
    with Path("customers.csv").open("w", newline="", encoding="utf-8") as file:
        sheet = csv.writer(file)
        sheet.writerow(["Ticket", "Customer question", "Our reply"])
        for n in range(50):
            reply = f"We accept Visa, Mastercard and, in shop {n}, American Express."
            sheet.writerow([f"T{n}", f"Which cards, in shop {n}?", reply])
    recipe, problems, out = made("customers.csv")
    assert columns(recipe) == {"question": "Customer question", "answer": "Our reply"}
    assert (grader_of(recipe), problems[0].grader) == ("rouge_l", "rouge_l")
    assert "50 questions" in out
    # What is tested is not trained on, and all is one of the two.
    held_out = load_problems(recipe.evaluate.benchmarks["held-out"])
    train, test = ({problem.question for problem in side} for side in (problems, held_out))
    assert (len(train & test), len(train | test)) == (0, 50)
    assert len(train) > len(test) > 0


@pytest.mark.parametrize("form", ["openai", "sharegpt", "trl", "texts"])
def test_chat_records_of_every_form_are_read(form: str) -> None:
    def records() -> Iterator[dict[str, Any]]:
        for n in range(30):
            asked, said = f"What is {n} + {n}?", f"It is {2 * n}.\n#### {2 * n}"
            user, reply = {"role": "user", "content": asked}, {"role": "assistant", "content": said}
            yield {
                "openai": {"messages": [{"role": "system", "content": "Add."}, user, reply]},
                "sharegpt": {
                    "conversations": [
                        {"from": "human", "value": asked},
                        {"from": "gpt", "value": said},
                    ]
                },
                "trl": {"prompt": [user], "completion": [reply]},
                "texts": {"prompt": asked, "completion": said},
            }[form]

    recipe, problems, _ = made(lines("chat.jsonl", records()))
    assert grader_of(recipe) == "numbers"
    assert problems[0].solution.startswith("It is ")
    assert problems[0].answer == problems[0].solution.rpartition("#### ")[2]
    assert [turn.text for turn in problems[0].turns] == (["Add."] if form == "openai" else [])
    assert "boxed" in problems[0].after


def test_passages_are_context_and_test_data_beside_the_file_are_found() -> None:
    def records() -> Iterator[dict[str, Any]]:
        for n in range(20):
            docs = [[f"T{n}", f"Albert{n} came."], ["Weather", "It rains."]]
            facts = [[f"T{n}", 0]]
            yield {
                "question": f"Who came {n}?",
                "context": docs,
                "supporting_facts": facts,
                "answer": f"Albert{n}",
            }

    lines("my-test.jsonl", records())
    recipe, problems, _ = made(lines("my-train.jsonl", records()))
    assert columns(recipe)["context"] == "context"
    assert (grader_of(recipe), problems[0].grader) == ("qa", "qa")
    assert [problem.distractors[0].kind for problem in problems] == ["passage"] * 20
    assert recipe.evaluate.benchmarks["held-out"].path == "my-test.jsonl"
    assert recipe.prune.inject.sources == ["passages"]


@pytest.mark.parametrize(
    "options",
    [["A", "B", "C"], ["Option A", "Option B", "Option C"], ["choice_a", "choice_b", "choice_c"]],
)
def test_multiple_choice_in_columns_is_seen(options: list[str]) -> None:
    with Path("exam.tsv").open("w", newline="", encoding="utf-8") as file:
        sheet = csv.writer(file, delimiter="\t")
        sheet.writerow(["Problem", *options, "Correct"])
        for n in range(20):
            sheet.writerow([f"Which is {n}?", f"x{n}", f"y{n}", f"z{n}", "ABC"[n % 3]])
    recipe, problems, _ = made("exam.tsv")
    assert columns(recipe)["choices"] == options
    assert (grader_of(recipe), {problem.answer for problem in problems}) == ("choice", set("ABC"))


def test_nested_columns_and_several_golds_are_found() -> None:
    records = (
        {"data": {"question": f"Who was {n}?"}, "answers": {"text": [f"Al{n}", f"A. {n}"]}}
        for n in range(20)
    )
    recipe, problems, _ = made(lines("nested.jsonl", records))
    assert columns(recipe) == {"question": "data.question", "answer": "answers.text"}
    assert problems[0].golds == (f"A. {problems[0].answer[2:]}",)


def test_worked_answers_are_solutions_that_end_in_the_answer() -> None:
    records = ({"question": f"{n}?", "answer": f"So.\n#### {n}"} for n in range(20))
    recipe, problems, _ = made(lines("worked.jsonl", records))
    assert columns(recipe) == {"answer": None, "solution": "answer"}
    assert problems[0].answer == problems[0].solution[-1]


def test_models_are_taken_and_a_teacher_teaches() -> None:
    data = lines("sums.jsonl", ({"question": f"{n}?", "answer": n} for n in range(20)))
    recipe, _, _ = made(data, "--student", "./small", "--teacher", "org/large")
    assert (recipe.student.model, recipe.teacher.model) == ("./small", "org/large")
    assert (recipe.attribute.reference, recipe.distill.cross_entropy) == ("teacher", 0.0)
    alone, _, _ = made(data, "--overwrite")
    assert alone.alone
    assert not alone.teaches_nothing


def test_every_guess_has_its_reason_in_the_file_and_in_json() -> None:
    data = lines("sums.jsonl", ({"question": f"{n}?", "answer": n} for n in range(20)))
    done = leaf("init", data, "--json")
    found = json.loads(done.out)
    assert (found["file"], found["questions"], found["left_out"]) == ("sums.yaml", 20, [])
    text = Path("sums.yaml").read_text()
    for key, guess in found["guesses"].items():
        assert guess["why"]
        assert any(
            line.strip().startswith(f"{key.rpartition('.')[2]}: ") and guess["why"] in line
            for line in text.splitlines()
        )


def test_bad_records_are_counted_and_the_first_is_named() -> None:
    turns = [{"role": "user", "content": "1?"}, {"role": "assistant", "content": "1"}]
    records = [{"messages": turns}] * 9 + [{"messages": turns[:1]}]
    done = leaf("init", lines("chat.jsonl", iter(records)))
    said = "left out: 1 of 10 records, first: chat.jsonl:10: column `messages` ends with"
    assert said in done.out


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.jsonl", '{"n": 1}\n', "a.jsonl: no column looks like a question; there are: n"),
        ("a.jsonl", '{"question": "?"}\n', "a.jsonl: no column looks like an answer; there are:"),
        ("a.xlsx", "", "a.xlsx: a data file must end in"),
        ("a.csv", "question,answer\n", "a.csv: holds no records"),
        ("a.csv", 'question,answer\n"x,1\n', "a.csv:2: a quote is opened and never closed"),
    ],
)
def test_data_that_say_nothing_are_one_line(name: str, content: str, said: str) -> None:
    Path(name).write_text(content)
    assert complaint("init", name).startswith(said)
    assert not Path("a.yaml").exists()


def test_a_recipe_that_is_there_is_not_written_over() -> None:
    data = lines("sums.jsonl", ({"question": f"{n}?", "answer": n} for n in range(20)))
    Path("sums.yaml").write_text("mine")
    assert "is there already" in complaint("init", data)
    assert "must end in .yaml" in complaint("init", data, "--out", "sums.txt")
    assert Path("sums.yaml").read_text() == "mine"


def test_what_show_prints_can_be_run() -> None:
    data = lines("sums.jsonl", ({"question": f"{n}?", "answer": n} for n in range(20)))
    recipe, problems, _ = made(data)
    Path("whole.yaml").write_text(leaf("show", "made.yaml", "--yaml").out)
    assert load_recipe("whole.yaml") == recipe
    assert read_problems(load_recipe("whole.yaml").data) == (problems, [])


def test_a_model_that_is_not_here_is_said_and_the_recipe_written() -> None:
    data = lines("sums.jsonl", ({"question": f"{n}?", "answer": n} for n in range(20)))
    Path("there").mkdir()
    _, _, out = made(data, "--student", "./my-student", "--teacher", "./there")
    assert "student:  ./my-student is not here; correct `student: {model: ...}` in made.yaml" in out
    assert "teacher:" not in out
    for model in ("org/small", "package:playground/models/student"):
        _, _, out = made(data, "--student", model, "--overwrite")
        assert "is not here" not in out


def test_columns_can_be_named_and_a_wrong_name_is_one_line() -> None:
    records = ({"text": f"{n}?", "note": f"why {n}", "sum": n} for n in range(20))
    data = lines("sums.jsonl", records)
    recipe, problems, _ = made(data, "--question", "note", "--answer", "sum")
    assert columns(recipe) == {"question": "note", "answer": "sum"}
    assert problems[0].question == f"why {problems[0].answer}"
    numbered = lines("ids.jsonl", ({"question": f"{n}?", "id": n} for n in range(20)))
    recipe, _, _ = made(numbered, "--answer", "id", "--overwrite")
    assert columns(recipe) == {"answer": "id"}
    said = "--answer sums: sums.jsonl has no such column among text, note, sum; did you mean `sum`?"
    assert complaint("init", data, "--answer", "sums", "--overwrite") == said
    both = complaint("init", data, "--answer", "sum", "--question", "sum", "--overwrite")
    assert both == "--answer sum: is the column of --question, too; name another"


def test_an_id_is_neither_question_nor_answer() -> None:
    data = lines("ids.jsonl", ({"id": f"q{n}", "answer": "yes no"[n % 2 :]} for n in range(20)))
    said = "ids.jsonl: no column looks like a question; there are: id, answer; name it: --question"
    assert complaint("init", data).startswith(said)
    data = lines("bare.jsonl", ({"id": "same", "question": f"{n}?"} for n in range(20)))
    assert complaint("init", data).startswith("bare.jsonl: no column looks like an answer; ")


@pytest.mark.parametrize("form", ["marked", "bare", "chat"])
def test_what_was_rejected_is_never_the_answer(form: str) -> None:
    def said(n: int) -> Any:
        if form == "chat":
            turns = [("user", f"q {n}?"), ("assistant", f"#### {n}")]
            return [{"role": role, "content": text} for role, text in turns]
        return f"#### {n}" if form == "marked" else str(n)

    def records() -> Iterator[dict[str, Any]]:
        for n in range(20):
            asked = {} if form == "chat" else {"prompt": f"q {n}?"}
            yield {"rejected": said(n + 1), **asked, "chosen": said(n), "score_rejected": 0.1 * n}

    _, problems, out = made(lines("pairs.jsonl", records()))
    asked = {problem.question.strip("q? "): problem.answer for problem in problems}
    assert all(number == answer for number, answer in asked.items())
    assert "not used: rejected (filled in 20 of 20), score_rejected (filled" in out


def test_a_column_of_no_name_is_told_as_that_and_a_category_is_no_answer() -> None:
    records = [{"question": f"{n}?", "outcome": n % 3, "category": "sums"} for n in range(20)]
    recipe, _, out = made(lines("sums.jsonl", iter(records)))
    assert columns(recipe) == {"answer": "outcome"}
    assert "columns.answer: outcome  (the last column that is left; " in out
    _, _, out = made(
        lines("two.jsonl", ({**one, "state": "open"} for one in records)), "--overwrite"
    )
    assert "(the last column that is left, after outcome; --answer takes another; " in out
    bare = ({"question": one["question"], "category": "sums"} for one in records)
    assert "bare.jsonl: no column looks like an answer;" in complaint(
        "init", lines("bare.jsonl", bare)
    )


def test_a_nested_column_is_called_as_what_it_stands_in() -> None:
    records = ({"answer": {"text": f"{n}"}, "question": {"text": f"{n}?"}} for n in range(20))
    recipe, _, _ = made(lines("texts.jsonl", records))
    assert columns(recipe) == {"question": "question.text", "answer": "answer.text"}
    lists = ({"question": {"a": [f"{n}?"]}, "answer": {"b": {"c": f"{n}"}}} for n in range(20))
    data = lines("lists.jsonl", lists)
    assert "no column looks like a question; there are: question.a" in complaint("init", data)
    recipe, problems, _ = made(data, "--question", "question.a.0", "--overwrite")
    assert columns(recipe) == {"question": "question.a.0", "answer": "answer.b.c"}
    assert problems[0].question == f"{problems[0].answer}?"


@pytest.mark.parametrize(
    ("said", "gold"),
    [
        ({"answer": "a model's", "ground_truth": "2"}, "ground_truth"),
        ({"reward_model": {"style": "rule", "ground_truth": "2"}}, "reward_model.ground_truth"),
        ({"expected_output": "2", "created": "2024-01-01"}, "expected_output"),
    ],
)
def test_what_evaluations_call_the_truth_is_the_answer(said: dict[str, Any], gold: str) -> None:
    recipe, _, _ = made(lines("eval.jsonl", ({"question": f"{n}?", **said} for n in range(20))))
    assert recipe.data.columns.answer == gold


@pytest.mark.parametrize(
    ("odd", "left_out"),
    [
        ({"question": 5, "answer": "5"}, ""),
        ({"question": ["x"], "answer": "5"}, "must hold a text or a number"),
        ({"question": None, "answer": "5"}, "is empty"),
        ({"messages": "hello"}, "no column `question`"),
    ],
)
def test_one_odd_record_does_not_spoil_a_file(odd: dict[str, Any], left_out: str) -> None:
    records = [{"question": f"{n}?", "answer": f"{n}"} for n in range(12)]
    done = leaf("init", lines("sums.jsonl", iter([odd, *records])))
    assert done.code == 0
    assert ("left out: 1 of 13 records, first: sums.jsonl:1: " in done.out) == bool(left_out)
    assert left_out in done.out


def test_a_record_without_turns_does_not_spoil_conversations() -> None:
    turns = [{"role": "user", "content": "1?"}, {"role": "assistant", "content": "1"}]
    records: list[dict[str, Any]] = [{"messages": "hello"}, *[{"messages": turns}] * 12]
    done = leaf("init", lines("chat.jsonl", iter(records)))
    assert "left out: 1 of 13 records, first: chat.jsonl:1: has no solution" in done.out


def test_an_instruction_has_its_input_as_context_where_there_is_one() -> None:
    records = (
        {"instruction": f"Add {n}.", "input": f"I have {n}." * (n % 2), "output": f"{2 * n}"}
        for n in range(20)
    )
    recipe, problems, out = made(lines("alpaca.jsonl", records))
    assert columns(recipe) == {"question": "instruction", "context": "input", "answer": "output"}
    assert {problem.question for problem in problems} >= {
        "Add 2.",
        "I have 3.\n\nQuestion: Add 3.",
    }
    assert "what the instruction is about, filled in 10 of 20; e.g." in out
    assert "not used" not in out


def test_an_instruction_that_repeats_stands_before_what_it_is_about() -> None:
    records = (
        {"instruction": "Answer.", "input": f"{n} + {n}?", "output": f"{2 * n}"} for n in range(20)
    )
    recipe, problems, _ = made(lines("alpaca.jsonl", records))
    assert columns(recipe) == {"question": "input", "system": "instruction", "answer": "output"}
    assert len({problem.question for problem in problems}) == len(problems) > 10
    assert problems[0].turns[0].text == "Answer."


def test_a_context_that_few_have_is_used_and_what_is_not_used_is_told() -> None:
    records = (
        {
            "instruction": f"Who wrote {n}?",
            "context": f"Al wrote {n}." if n % 2 else "",
            "response": "Al",
            "category": "qa",
            "hint": "Al" * (n < 3),
        }
        for n in range(20)
    )
    data = lines("dolly.jsonl", records)
    recipe, _, out = made(data)
    assert columns(recipe)["context"] == "context"
    assert "columns.context: context  (by its name, filled in 10 of 20; e.g." in out
    assert "\nnot used: category (filled in 20 of 20), hint (filled in 3 of 20)\n" in out
    told = json.loads(leaf("init", data, "--json", "--out", "told.yaml").out)["not_used"]
    assert told == ["category (filled in 20 of 20)", "hint (filled in 3 of 20)"]


@pytest.mark.parametrize(
    ("header", "odd"),
    [
        ("What is 1+1?,2", "'What is 1+1?'"),
        ("question,2", "'2'"),
        ("question,-1.5%", "'-1.5%'"),
        ("question,answer 2", ""),
    ],
)
def test_a_record_in_place_of_the_header_is_told(header: str, odd: str) -> None:
    rest = "".join(f"What is {n}+1?,{n + 1}\n" for n in range(2, 9))
    Path("sums.csv").write_text(f"{header}\n{rest}")
    done = leaf("init", "sums.csv")
    said = f"header:   sums.csv:1: the first line names the columns, but {odd} looks like a value;"
    assert (said in done.out, "header" in done.out) == (bool(odd), bool(odd))


def test_without_a_recipe_an_encoding_is_named_by_its_option() -> None:
    Path("a.csv").write_bytes("question,answer\nWo ist Köln?,1\n".encode("latin-1"))
    said = complaint("init", "a.csv")
    assert said.startswith("a.csv:2: not UTF-8: ")
    assert "name its encoding with --encoding (Excel" in said
    assert complaint("init", "a.csv", "--encoding", "x").startswith("--encoding: 'x' is no encod")


def test_a_folder_is_told_that_a_file_is_wanted() -> None:
    Path("data").mkdir()
    lines("data/a.jsonl", iter([{"question": "1?"}]))
    lines("data/b.jsonl", iter([{"turns": 3}]))
    for folder in ("data", "."):
        assert "this is a folder: check `split`, or name a .jsonl" in complaint("init", folder)


def test_an_answer_with_empty_cells_is_named_with_the_first_of_them() -> None:
    Path("a.csv").write_text("question,answer\n1+1?,2\n2+2?,\n")
    assert complaint("init", "a.csv") == (
        "a.csv:3: column `answer` is called like an answer, but is empty here and in 1 of 2 "
        "records; fill it, or name another: --answer COLUMN"
    )
