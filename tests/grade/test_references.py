"""Every reference program of the real data passes its tests in the sandbox; wrong ones fail."""

import random
from collections.abc import Iterator, Sequence

import pytest

from leaf.grade import Graders, open_graders
from leaf.recipe import DataSection, GradeSection
from leaf.records import Answer, Outcome, Problem
from leaf.tasks import load_problems
from tests.marks import DATA, needs_bwrap, needs_data

pytestmark = [needs_data, needs_bwrap]

SETS = {
    "humaneval": "humaneval/HumanEval.jsonl.gz",
    "humaneval_plus": "humaneval/HumanEvalPlus-OriginFmt.jsonl.gz",
    "mbpp_plus": "mbpp/MbppPlus-OriginFmt.jsonl.gz",
    "leetcode": "leetcode/LeetCodeDataset-v0.3.1-test.jsonl.gz",
}
MBPP = "mbpp/mbpp.jsonl"
SLOW = {f"HumanEvalPlus/{number}" for number in (15, 36, 59, 83, 94, 130, 139)}
"""References that take seconds; the long test runs them."""
COUNTS = {"humaneval": 164, "humaneval_plus": 164, "mbpp_plus": 378, "leetcode": 228}
MBPP_SPLITS = {"prompt": 10, "test": 500, "validation": 90, "train": 374}

WRONG = {
    "none": "return None",
    "raises": "raise ValueError('no')",
    "off": "return off(right(*args, **kwargs))",
    "wrong_type": "return other(right(*args, **kwargs))",
    "liar": "return Liar()",
}
TRIVIAL = {
    "an empty list": "return []",
    "zero": "return 0",
    "an empty text": "return ''",
    "its argument": "return [*args, *kwargs.values(), None][0]",
    "an empty array": "return __import__('numpy').array([])",
}
"""What a program does that has understood nothing."""

"""What the entry point does instead."""

HELPERS = """

class Liar:
    def __eq__(self, other): return True
    def __ne__(self, other): return False
    def __hash__(self): return 0
    def __bool__(self): return True
    def __getattr__(self, name): return self
    def __call__(self, *args): return self

def off(x):
    if isinstance(x, bool): return not x
    if isinstance(x, (int, float, complex)): return x + 1
    if isinstance(x, str): return x + "x"
    if isinstance(x, (list, tuple)): return type(x)([*x, 77])
    if isinstance(x, dict): return {**x, "x": 77}
    if isinstance(x, (set, frozenset)): return type(x)([*x, 77])
    return 77

def other(x):
    return x.encode() if isinstance(x, str) else repr(x)

"""


def problems_of(task: str) -> list[Problem]:
    return load_problems(DataSection(task=task, path=str(DATA / SETS[task])))


def wrong(problem: Problem, kind: str) -> str:
    """Return the reference with its entry point replaced, as a chat model would say it."""
    assert problem.tests is not None
    name, _, method = problem.tests.entry_point.partition("().")
    code = problem.solution.removeprefix("```python\n").removesuffix("\n```")
    body = (WRONG | TRIVIAL)[kind]
    if method:
        more = (
            f"class Before(Solution): pass\nclass Solution:\n"
            f"    def {method}(self, *args, **kwargs):\n"
            f"        right = Before().{method}\n        {body}"
        )
    else:
        more = f"right = {name}\ndef {name}(*args, **kwargs):\n    {body}"
    return f"```python\n{code}\n{HELPERS}\n{more}\n```"


def judged(grader: Graders, problems: Sequence[Problem], texts: Sequence[str]) -> list[str]:
    """Return id, outcome and reason of each answer."""
    answers = [
        Answer(problem_id=p.id, text=text, prompt_tokens=1, response_tokens=1, truncated=False)
        for p, text in zip(problems, texts, strict=True)
    ]
    scores = grader.grade(problems, answers)
    return [f"{score.outcome} {score.problem_id}: {score.reason}" for score in scores]


def all_right(grader: Graders, problems: Sequence[Problem]) -> list[str]:
    """Return what was not graded right of the references."""
    said = judged(grader, problems, [problem.solution for problem in problems])
    return [line for line in said if not line.startswith(f"{Outcome.RIGHT} ")]


@pytest.fixture(scope="module")
def grader() -> Iterator[Graders]:
    # Some references take ten seconds alone; a busy machine must not decide this.
    with open_graders(GradeSection(code_time_limit=120.0)) as opened:
        yield opened


@pytest.mark.parametrize("task", SETS)
def test_a_sample_of_references_passes_and_wrong_ones_fail(task: str, grader: Graders) -> None:
    quick = [problem for problem in problems_of(task) if problem.id not in SLOW]
    sample = random.Random(0).sample(quick, 6)
    assert all_right(grader, sample) == []
    for kind in WRONG | TRIVIAL:
        some = sample[:2]
        said = judged(grader, some, [wrong(problem, kind) for problem in some])
        assert [line for line in said if not line.startswith(f"{Outcome.WRONG} ")] == [], kind


@pytest.mark.long
@pytest.mark.parametrize("task", SETS)
def test_every_reference_passes(task: str, grader: Graders) -> None:
    problems = problems_of(task)
    assert len(problems) == COUNTS[task]
    assert all_right(grader, problems) == []


@pytest.mark.long
@pytest.mark.parametrize("split", MBPP_SPLITS)
def test_every_reference_of_mbpp_passes(split: str, grader: Graders) -> None:
    problems = load_problems(DataSection(task="mbpp", path=str(DATA / MBPP), split=split))
    assert len(problems) == MBPP_SPLITS[split]
    assert all_right(grader, problems) == []


@pytest.mark.long
@pytest.mark.parametrize("kind", WRONG | TRIVIAL)
@pytest.mark.parametrize("task", SETS)
def test_every_wrong_program_fails(task: str, kind: str, grader: Graders) -> None:
    problems = problems_of(task)
    said = judged(grader, problems, [wrong(problem, kind) for problem in problems])
    assert [line for line in said if not line.startswith(f"{Outcome.WRONG} ")] == []


@pytest.mark.long
@pytest.mark.parametrize("kind", TRIVIAL)
def test_every_trivial_program_fails_on_mbpp(kind: str, grader: Graders) -> None:
    for split in MBPP_SPLITS:
        problems = load_problems(DataSection(task="mbpp", path=str(DATA / MBPP), split=split))
        said = judged(grader, problems, [wrong(problem, kind) for problem in problems])
        assert [line for line in said if not line.startswith(f"{Outcome.WRONG} ")] == []
