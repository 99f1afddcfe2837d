"""What a vote gains and saves, on ballots counted by hand."""

from pathlib import Path

import pytest

from benchmarks.consistency import Replay, app, figures_of, held
from leaf.errors import DataError
from leaf.evaluate import Ballot
from leaf.pipeline.answered import Benchmark
from leaf.recipe import BenchmarkSection, GenerateSection, GradeSection, MajoritySection, Recipe
from leaf.records import Answer, Outcome, Problem, Score
from leaf.store.store import Store
from tests.marks import DATA, OFFLINE, needs_data

QWEN = OFFLINE / "qwen2.5-coder-0.5b.gguf"


def ballot(votes: str, right: str) -> Ballot:
    return Ballot(
        problem_id=votes,
        votes=tuple(int(vote) for vote in votes),
        right=tuple(vote == right for vote in votes),
    )


def test_figures_are_shares_of_problems_and_of_all_answers() -> None:
    # The first answer is wrong in one of two, the majority in none; 6 + 0 of 20 are not asked for.
    whole = [ballot("0000000000", "0"), ballot("0111110111", "1")]
    early = [ballot("0000", "0"), whole[1]]
    figures = figures_of({"maj": whole, "dirichlet": early, "window": whole})
    assert figures["single.right"] == 0.5
    assert figures["maj.right"] == figures["dirichlet.right"] == 1.0
    assert figures["maj_minus_single"] == 0.5
    assert (figures["answers_saved"], figures["window.answers_saved"]) == (6 / 20, 0.0)
    assert figures["n"] == 2


def test_a_replay_asks_what_an_evaluation_would(tmp_path: Path) -> None:
    section = BenchmarkSection(task="table", path="t", samples=10, temperature=0.7)
    problem = Problem(id="p", question="?", answer="5", solution="")
    benchmark = Benchmark(name="b", section=section, problems=[problem], refused=[])
    asked = benchmark.asked
    answers = [
        Answer(problem_id=p.id, text="5", prompt_tokens=1, response_tokens=1, truncated=False)
        for p in asked
    ]
    scores = [
        Score(problem_id=p.id, outcome=Outcome.RIGHT, extracted="5", reason=None) for p in asked
    ]
    recipe = Recipe.model_construct(grade=GradeSection(), generate=GenerateSection(), student=None)
    replay = Replay(recipe, Store(tmp_path), asked, (answers, scores))
    (found,) = held(replay, benchmark, [problem], MajoritySection(stop="window", window=3))
    assert found.votes == (0, 0, 0)


@needs_data
@pytest.mark.skipif(not QWEN.is_file(), reason=f"{QWEN} is not there: its content is in the key")
def test_a_store_without_answers_is_one_line(tmp_path: Path) -> None:
    words = ["--kept", "--store", str(tmp_path), "--data", str(DATA), "--problems", "1"]
    with pytest.raises(DataError, match="no answers are kept there; without --kept"):
        app(words, exit_on_error=False)
