"""Short answers: SQuAD's EM and F1, SubEM, what counts as the final answer, and what as right."""

import random
import re
import string
import time
from collections.abc import Iterator
from itertools import islice

import pytest
from torchmetrics.functional.text import squad

from leaf.grade import GRADERS, Graders, qa
from leaf.grade.qa import final_text, golds_of, meet, normalised
from leaf.recipe import DataSection
from leaf.records import Answer, Measure, Outcome, Problem, Score
from leaf.tasks import read_problems
from tests.marks import DATA

RIGHT, WRONG, UNGRADABLE = Outcome.RIGHT, Outcome.WRONG, Outcome.UNGRADABLE
FILES = {
    "hotpotqa/dev_distractor_eval500.jsonl": "hotpotqa",
    "hotpotqa/dev_distractor_rest.jsonl": "hotpotqa",
    "hotpotqa/train_distractor_subset.jsonl": "hotpotqa",
    "2wiki/dev_official10_200.jsonl": "2wiki",
    "2wiki/train_official10_500.jsonl": "2wiki",
    "musique/dev_official20_200.jsonl": "musique",
    "musique/train_official20_100.jsonl": "musique",
    "nq/nq_open_10docs_rebuilt_bm25.jsonl.gz": "nq",
    "popqa/popqa_1000_with_passages.jsonl": "popqa",
    "squad2/dev-v2.0.json": "squad2",
}
real_files = pytest.mark.parametrize("name", FILES)


def judge(
    text: str, *golds: str, truncated: bool = False, grader: str = "qa"
) -> tuple[Outcome, dict[str, float]]:
    answer, *others = golds or ("",)
    problem = Problem(
        id="p", question="?", answer=answer, golds=tuple(others), solution="", grader=grader
    )
    judgement = GRADERS[grader]().judge(
        problem,
        Answer(problem_id="p", text=text, prompt_tokens=1, response_tokens=1, truncated=truncated),
    )
    assert isinstance(judgement, qa.Judgement)
    return judgement.outcome, {one.name: one.value for one in judgement.measures}


@pytest.mark.parametrize(
    ("text", "final"),
    [
        ("Answer: Chief of Protocol", "Chief of Protocol"),
        ("She played Corliss.\n**Answer:** Chief of Protocol\n", "Chief of Protocol"),
        ("**Answer: Paris**", "Paris"),
        ("Answer:\nParis\n\nI hope this helps.", "Paris"),
        ("Answer: Rome\nNo, that is wrong.\nAnswer: Paris", "Paris"),
        ("Answer: J. R. R. Tolkien", "J. R. R. Tolkien"),
        ("The answer is J. R. R. Tolkien. He wrote it.", "J. R. R. Tolkien"),
        ("The answer to the question is Paris. Paris lies in France.", "Paris"),
        # A sentence that speaks of an answer does not undo the line that was asked for.
        ("Answer: Paris\nThis answer is supported by document 2.", "Paris"),
        ("Paris\n\nParis is the capital.", "Paris"),
        ("\n  Paris is it.", "Paris is it."),
        ("Answer: *", "*"),
        ("Answer:", ""),
    ],
)
def test_the_final_answer_is_found(text: str, final: str) -> None:
    assert final_text(text).text == final


def test_f1_em_and_subem_of_one_answer_by_hand() -> None:
    # p: [cat, sat, on, mat] (4 words), g: [cat, on, red, mat, today] (5): 3 in common,
    # P = 3/4, R = 3/5, F1 = 2 * 3 / (4 + 5) = 2/3.
    outcome, measures = judge("Answer: The cat sat on a mat.", "a cat on the red mat today")
    assert outcome is WRONG
    assert measures == {"EM": 0.0, "F1": pytest.approx(2 / 3), "SubEM": 0.0}
    outcome, measures = judge("Answer: The cat, it sat.", "cat it")
    assert outcome is RIGHT
    assert measures == {"EM": 0.0, "F1": pytest.approx(0.8), "SubEM": 1.0}


def test_the_best_gold_counts_for_each_measure() -> None:
    outcome, measures = judge("Answer: New York City", "the city", "New York City!", "York")
    assert (outcome, measures) == (RIGHT, {"EM": 1.0, "F1": 1.0, "SubEM": 1.0})


def test_subem_looks_at_the_whole_response_and_em_at_the_final_answer() -> None:
    text = "It could be Paris.\nAnswer: Rome"
    assert judge(text, "Paris") == (RIGHT, {"EM": 0.0, "F1": 0.0, "SubEM": 1.0})
    assert judge(text, "Paris", grader="qa_exact")[0] is WRONG
    assert judge("Answer: the paris.", "Paris", grader="qa_exact")[0] is RIGHT


@pytest.mark.parametrize(
    ("text", "gold"), [("I do not know.", "no"), ("In 1957.", "7"), ("Venom", "no")]
)
def test_a_gold_inside_another_word_is_a_hit_of_subem_but_not_right(text: str, gold: str) -> None:
    outcome, measures = judge(text, gold)
    assert (outcome, measures["SubEM"]) == (WRONG, 1.0)


@pytest.mark.parametrize(
    "text",
    [
        "Answer: unanswerable",
        "The documents do not say.\nAnswer: Unanswerable.",
        "Answer: There is no answer in the documents",
        "The question cannot be answered.",
        "This can't be answered from the text.",
    ],
)
@pytest.mark.parametrize("grader", ["qa", "qa_exact"])
def test_a_question_without_an_answer_is_right_when_the_answer_says_so(
    text: str, grader: str
) -> None:
    all_one = {"EM": 1.0, "F1": 1.0, "SubEM": 1.0}
    assert judge(text, "", grader=grader) == (RIGHT, all_one)


def test_a_question_without_an_answer_is_wrong_when_one_is_given() -> None:
    none = {"EM": 0.0, "F1": 0.0, "SubEM": 0.0}
    assert judge("It is not unanswerable.\nAnswer: Rollo", "") == (WRONG, none)
    assert judge("Answer: unanswerable", "Rollo") == (WRONG, none)


def test_a_gold_without_words_is_compared_as_it_is_written() -> None:
    assert judge("Answer: *", "*")[0] is RIGHT
    assert judge("**Answer:** Paris", "*")[0] is WRONG
    assert judge("Answer:", ".", "Rollo")[0] is WRONG
    assert judge("Answer: A", "A") == (RIGHT, {"EM": 1.0, "F1": 1.0, "SubEM": 1.0})
    assert judge("Answer: Paris", "A")[1]["SubEM"] == 0.0


def test_what_was_cut_before_its_final_answer_is_not_wrong() -> None:
    assert judge("First, the film of 19", "Paris", truncated=True)[0] is UNGRADABLE
    assert judge("Answer: Lon", "Paris", truncated=True)[0] is UNGRADABLE
    assert judge("Answer: London\nBecause", "Paris", truncated=True)[0] is WRONG
    assert judge("Paris it is, because", "Paris", truncated=True)[0] is RIGHT
    assert judge("Answer: Paris", "Paris", truncated=True, grader="qa_exact")[0] is UNGRADABLE
    assert judge("Answer: Paris\nas", "Paris", truncated=True, grader="qa_exact")[0] is RIGHT


def test_three_measures_come_with_every_answer(grader: Graders) -> None:
    problem = Problem(id="p", question="?", answer="Paris", solution="", grader="qa")
    answer = Answer(
        problem_id="p", text="Rome", prompt_tokens=1, response_tokens=1, truncated=False
    )
    zeros = tuple(Measure(name=name, value=0.0) for name in ("EM", "F1", "SubEM"))
    assert grader.grade([problem], [answer]) == [
        Score(problem_id="p", outcome=WRONG, extracted="Rome", reason=None, measures=zeros)
    ]


@pytest.mark.parametrize(
    "text",
    [
        "answer " * 140_000,
        "answer:" * 140_000,
        "answer is " * 100_000,
        "answer" + " " * 1_000_000,
        "a" * 1_000_000,
        "." * 1_000_000,
        "Answer: " + "aab" * 330_000,
        "\n" * 1_000_000,
    ],
)
def test_a_million_characters_are_judged_at_once(text: str) -> None:
    begun = time.thread_time()
    judge(text, "a" * 500 + "c", "Paris", "aab" * 400 + "c")
    # Ten times the 0.3 s of the slowest; anything quadratic takes minutes.
    assert time.thread_time() - begun < 3.0


# Against others, on the real sets.


def problems_of(name: str) -> list[Problem]:
    if not (DATA / name).is_file():
        pytest.skip(f"../shared/data/{name} is not there")
    problems, refused = read_problems(DataSection(task=FILES[name], path=str(DATA / name)))
    assert refused == []
    return problems


def predictions(problems: list[Problem]) -> Iterator[tuple[Problem, str]]:
    """Golds, their words in another order or with others added, and answers of others."""
    rng = random.Random(0)
    for problem, other in zip(problems, problems[1:] + problems[:1], strict=True):
        for gold in golds_of(problem):
            words = gold.split()
            rng.shuffle(words)
            yield problem, gold
            yield problem, " ".join(words)
            yield problem, f"It was the {gold.upper()}, they say."
        yield problem, other.answer


@real_files
def test_em_and_f1_equal_torchmetrics(name: str) -> None:
    # 300 pairs of each file.
    compared = 0
    for problem, said in islice(predictions(problems_of(name)), 300):
        golds = [gold for gold in golds_of(problem) if normalised(gold)]
        if not golds:
            continue
        theirs = squad(
            {"prediction_text": said, "id": "x"},
            {"answers": {"answer_start": [0], "text": golds}, "id": "x"},
        )
        ours = meet(said, said, golds)
        assert 100.0 * ours.exact == theirs["exact_match"].item(), (said, golds)
        assert 100.0 * ours.f1 == pytest.approx(theirs["f1"].item(), abs=1e-4), (said, golds)
        compared += 1
    assert compared >= 100


@real_files
def test_subem_equals_a_naive_version(name: str) -> None:
    def plain(text: str) -> str:
        kept = "".join(letter for letter in text.lower() if letter not in string.punctuation)
        words = [word for word in re.split(r"\s+", kept) if word]
        return " ".join(word for word in words if word not in {"a", "an", "the"})

    for problem, said in islice(predictions(problems_of(name)), 2000):
        golds = [plain(gold) for gold in golds_of(problem)]
        if all(golds):
            naive = any(gold in plain(said) for gold in golds)
            assert meet(said, said, golds_of(problem)).contained == naive, (said, golds)


@real_files
@pytest.mark.parametrize("grader", ["qa", "qa_exact"])
def test_every_gold_answer_of_every_real_file_is_right_and_another_one_wrong(
    name: str, grader: str
) -> None:
    problems = problems_of(name)
    for problem in problems:
        for gold in golds_of(problem):
            text = f"Let me see.\nAnswer: {gold or 'unanswerable'}"
            assert judge(text, *golds_of(problem), grader=grader)[0] is RIGHT, problem.id
        assert judge(problem.solution, *golds_of(problem), grader=grader)[0] is RIGHT, problem.id
        wrong = "Answer: Quetzalcoatl Zyx"
        assert judge(wrong, *golds_of(problem), grader=grader)[0] is WRONG, problem.id
