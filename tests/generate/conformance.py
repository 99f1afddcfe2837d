"""What every engine must do, as checks that take a case: an engine, a model and its template.

To hold a new engine to it: make a `Case` of it in test_conformance.py.
"""

import contextlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from leaf.errors import LeafError
from leaf.generate import ENGINES, open_engine
from leaf.generate.engine import Engine
from leaf.models.files import Source
from leaf.models.prompt_format import PromptFormat
from leaf.pipeline.session import Session
from leaf.recipe import GenerateSection, ModelSection
from leaf.recipe.reading import check_recipe
from leaf.records import Answer, Problem
from leaf.store.store import Store
from leaf.store.work import About


@dataclass(frozen=True, kw_only=True, eq=False)
class Case:
    section: ModelSection
    source: Source
    chat: PromptFormat
    """The model's template, to count and to compare with."""
    prompts: tuple[str, ...]
    """Of different lengths; the first is answered in less than `limit` tokens."""
    limit: int = 12
    hot: float = 1.0
    """A temperature at which answers differ."""
    context: int | None = None
    """Most tokens, prompt and answer together; None: a server that does not look."""
    continues: bool = True
    """Whether it can go on with a response that is begun."""
    kept: dict[str, list[Answer]] = field(default_factory=dict)

    @contextlib.contextmanager
    def open(self, **changes: Any) -> Iterator[Engine]:
        generate = GenerateSection(**{"max_new_tokens": self.limit, **changes})
        with open_engine(self.section, self.source, generate) as engine:
            yield engine

    @property
    def greedy(self) -> list[Answer]:
        """Answers to all prompts, asked for once."""
        if "greedy" not in self.kept:
            with self.open() as engine:
                self.kept["greedy"] = engine.answer([problem(text) for text in self.prompts])
                assert engine.effort.tokens == sum(a.response_tokens for a in self.kept["greedy"])
        return self.kept["greedy"]


@cache
def problem(text: str, name: str = "") -> Problem:
    return Problem(id=name or text, question=text, answer="4", solution="")


def greedy_answers_are_the_same_alone_and_in_another_order(case: Case) -> None:
    asked = [problem(text) for text in case.prompts]
    with case.open() as engine:
        alone = engine.answer(asked[1:2])
        back = engine.answer(asked[::-1])
    assert alone == case.greedy[1:2]
    assert back == case.greedy[::-1]
    assert len({answer.text for answer in case.greedy}) > 1


def answers_are_in_order_under_their_problem_s_id(case: Case) -> None:
    assert [answer.problem_id for answer in case.greedy] == list(case.prompts)
    assert [answer.failure for answer in case.greedy] == [None] * len(case.prompts)


def the_template_is_rendered_once_around_each_prompt(case: Case) -> None:
    expected = [len(case.chat.prompt_ids(text)) for text in case.prompts]
    assert [answer.prompt_tokens for answer in case.greedy] == expected
    assert len(set(expected)) == len(expected)


def a_system_prompt_reaches_the_model(case: Case) -> None:
    section = case.section.model_copy(update={"system": "Answer in one word."})
    with replace(case, section=section).open(max_new_tokens=2) as engine:
        (answer,) = engine.answer([problem(case.prompts[0])])
    chat = PromptFormat(case.chat.tokenizer, name="system", system="Answer in one word.")
    assert answer.prompt_tokens == len(chat.prompt_ids(case.prompts[0]))
    assert answer.prompt_tokens != case.greedy[0].prompt_tokens


def an_answer_that_ends_by_itself_is_whole_and_holds_no_stop_token(case: Case) -> None:
    whole = case.greedy[0]
    assert not whole.truncated
    assert whole.text
    end = case.chat.tokenizer.decode(list(case.chat.end_of_turn))
    assert all(end.strip() not in answer.text for answer in case.greedy)
    # The end of the turn is counted, the tokens of the text are the others.
    assert whole.response_tokens == _tokens(case, whole) + 1


def an_answer_at_its_limit_is_truncated(case: Case) -> None:
    with case.open(max_new_tokens=1) as engine:
        (answer,) = engine.answer([problem(case.prompts[0])])
    assert (answer.truncated, answer.response_tokens) == (True, 1)
    assert case.greedy[0].text.startswith(answer.text)
    assert _tokens(case, answer) == 1


def a_prompt_that_is_too_long_fails_alone(case: Case) -> None:
    if case.context is None:
        pytest.skip("this server does not look at the context")
    long = problem("pens " * case.context, "long")
    with case.open(max_new_tokens=2) as engine:
        before, failed, after = engine.answer(
            [problem(case.prompts[0]), long, problem(case.prompts[1])]
        )
    assert (before.failure, after.failure) == (None, None)
    assert (before.problem_id, after.problem_id) == case.prompts[:2]
    assert case.greedy[0].text.startswith(before.text)
    assert (failed.problem_id, failed.text, failed.response_tokens) == ("long", "", 0)
    assert str(case.context) in str(failed.failure)


def a_sampled_answer_depends_on_its_seed_and_its_problem_alone(case: Case) -> None:
    text = case.prompts[1]
    samples = [problem(text, f"{text}/s{number}") for number in range(2)]
    with case.open(temperature=case.hot, seed=1) as engine:
        first = engine.answer(samples)
        alone = engine.answer(samples[1:])
    with case.open(temperature=case.hot, seed=2) as engine:
        other = engine.answer(samples[1:])
    assert alone == first[1:]
    texts = [answer.text for answer in (*first, *other)]
    # Two samples, two seeds and the greedy answer: an engine that hears no seed repeats itself.
    assert len({*texts, case.greedy[1].text}) == 4


def a_narrow_top_p_is_greedy(case: Case) -> None:
    with case.open(temperature=case.hot, top_p=1e-6) as engine:
        (answer,) = engine.answer([problem(case.prompts[0])])
    assert answer.text == case.greedy[0].text


def a_response_that_is_begun_is_continued_or_refused(case: Case) -> None:
    whole = case.greedy[0].text
    head = whole.partition(" ")[0]
    begun = Problem(id="r1", prompt=case.prompts[0], question=head, answer="4", solution="")
    with case.open() as engine:
        if not case.continues:
            with pytest.raises(LeafError, match="cannot go on with a response that is begun"):
                engine.answer([begun])
            return
        (answer,) = engine.answer([begun])
    assert answer.text == whole
    assert answer.prompt_tokens == len(case.chat.prompt_ids(case.prompts[0], begun.response_prefix))
    assert not answer.truncated


def killed_work_goes_on_with_what_is_missing(
    case: Case, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Kill it after its first shard, and count what each process asks."""
    section = case.section
    values = {
        "name": "resume",
        "student": section.model_dump(),
        "teacher": section.model_dump(),
        "data": {"task": "table", "path": "none.jsonl"},
        "generate": {"max_new_tokens": 2},
        "store": {"shard_size": 2},
        "evaluate": {"benchmarks": {}},
    }
    recipe = check_recipe(values, source="test")
    name = str(section.engine)
    opener = ENGINES[name]

    def work(*, die: bool = False) -> tuple[list[str], list[Answer]]:
        """Return the problems that the engine was asked, and all answers."""
        asked: list[str] = []

        def noted(pairs: Iterable[tuple[Problem, str]]) -> Iterator[tuple[Problem, str]]:
            for one, draft in pairs:
                asked.append(one.id)
                yield one, draft

        @contextlib.contextmanager
        def watched(*given: Any) -> Iterator[Any]:
            with opener(*given) as engine:
                own = engine.stream

                def stream(pairs: Iterable[tuple[Problem, str]]) -> Iterator[tuple[int, Answer]]:
                    for found in own(noted(pairs)):
                        if die and any(folder.rglob("part-*.parquet")):
                            raise KeyboardInterrupt
                        yield found

                engine.stream = stream  # type: ignore[method-assign]
                yield engine

        monkeypatch.setitem(ENGINES, name, watched)
        problems = [problem(text) for text in case.prompts]
        return asked, Session(recipe, Store(folder)).answers(
            section, case.source, problems, About(asked="x")
        )[0]

    with pytest.raises(KeyboardInterrupt):
        work(die=True)
    asked, answers = work()
    halves = [list(case.prompts[:2]), list(case.prompts[2:])]
    assert asked in halves
    assert [answer.problem_id for answer in answers] == list(case.prompts)
    assert work()[0] == []


def a_stream_has_the_same_answers_under_their_numbers(case: Case) -> None:
    with case.open(max_batch=2) as engine:
        found = dict(engine.stream((problem(text), "") for text in case.prompts))
    assert [found[at] for at in range(len(case.prompts))] == case.greedy


def an_answer_ends_before_a_text_that_stops_it(case: Case) -> None:
    at = max(range(len(case.prompts)), key=lambda at: len(case.greedy[at].text))
    whole = case.greedy[at]
    middle = len(whole.text) // 2
    stop = whole.text[middle : middle + 2]
    with case.open(stop=["never said by anybody", stop]) as engine:
        (answer,) = engine.answer([problem(case.prompts[at])])
    assert (answer.text, answer.truncated) == (whole.text.partition(stop)[0], False)
    assert 0 < answer.response_tokens <= whole.response_tokens
    with case.open(stop=["never said by anybody"]) as engine:
        assert engine.answer([problem(case.prompts[at])]) == [whole]


def greedy_texts_are_those_of_transformers(case: Case, folder: Path) -> None:
    """Under the template of the model's own folder, in float32, without any of LeaF's code."""
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    options = {"add_generation_prompt": True, "return_tensors": "pt", "return_dict": True}
    for text, answer in zip(case.prompts, case.greedy, strict=True):
        asked = tokenizer.apply_chat_template([{"role": "user", "content": text}], **options)
        prompt = asked["input_ids"].shape[1]
        ids = model.generate(**asked, max_new_tokens=case.limit, do_sample=False)[0, prompt:]
        said = ids.tolist()
        assert answer.text == tokenizer.decode(said, skip_special_tokens=True)
        assert (answer.prompt_tokens, answer.response_tokens) == (prompt, len(said))
        assert answer.truncated == (said[-1] != tokenizer.eos_token_id)


CHECKS = (
    an_answer_ends_before_a_text_that_stops_it,
    a_stream_has_the_same_answers_under_their_numbers,
    greedy_answers_are_the_same_alone_and_in_another_order,
    answers_are_in_order_under_their_problem_s_id,
    the_template_is_rendered_once_around_each_prompt,
    a_system_prompt_reaches_the_model,
    an_answer_that_ends_by_itself_is_whole_and_holds_no_stop_token,
    an_answer_at_its_limit_is_truncated,
    a_prompt_that_is_too_long_fails_alone,
    a_sampled_answer_depends_on_its_seed_and_its_problem_alone,
    a_narrow_top_p_is_greedy,
    a_response_that_is_begun_is_continued_or_refused,
)


def _tokens(case: Case, answer: Answer) -> int:
    """Count the tokens of an answer's text behind its prompt."""
    conversation = case.chat.encode(answer.problem_id, answer.text)
    return conversation.response_length - len(case.chat.end_of_turn)
