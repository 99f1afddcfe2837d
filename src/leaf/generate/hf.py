"""Answers from a Hugging Face model, many side by side; drafted where a draft is known."""

import itertools
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from typing import Any

import torch

from leaf.generate.decoding import Request, Sampling, decode
from leaf.generate.engine import Effort, in_order, prompt_of, seed_of, until_stop
from leaf.models import load
from leaf.models.batching import halved, is_out_of_memory, plan_batches, run_halving
from leaf.models.files import Source
from leaf.models.load import Loaded
from leaf.models.output_head import Head, output_head
from leaf.models.padding import pad_ids
from leaf.models.paths import Paths, paths_of
from leaf.models.plain import plain_generation
from leaf.models.prompt_format import PromptFormat, prompt_format_of
from leaf.progress import Ticker, say
from leaf.recipe import GenerateSection, ModelSection
from leaf.records import Answer, Problem

Outputs = Generator[tuple[int, list[int]], None, None]
"""Number of a request and the tokens of its answer, as it ends."""

_SLACK = 8
"""Tokens more than a text that ends an answer may have: those before it, and of the template."""

_BLOCK = 1024
"""Requests that are sorted into fixed batches together."""


@contextmanager
def open_hf(
    section: ModelSection, source: Source, generate: GenerateSection, tick: Ticker | None
) -> "Iterator[HuggingFaceEngine]":
    """Load a model on the best device here, and let it go when the block ends."""
    with load.loaded(section, source) as loaded:
        yield HuggingFaceEngine(loaded, prompt_format_of(loaded.tokenizer, section), generate, tick)


class HuggingFaceEngine:
    """Answers problems with a loaded model under its own chat template.

    Answers do not depend on the order of the problems, on which of them are answered side by side,
    nor on drafts (in bfloat16 the shape of a pass can move the last bits of the logits).
    """

    def __init__(
        self,
        loaded: Loaded,
        prompt_format: PromptFormat,
        section: GenerateSection,
        tick: Ticker | None = None,
    ) -> None:
        self.effort = Effort()
        """What all answers so far took."""
        self._loaded = loaded
        self._prompt_format = prompt_format
        self._section = section
        self._tick = tick
        self.stops = _stop_tokens(loaded, prompt_format)

    def answer(
        self, problems: Sequence[Problem], drafts: Sequence[str] | None = None
    ) -> list[Answer]:
        """Answer each problem; a prompt without room in the model's context fails by itself.

        A response that is begun is continued, and the answer's text is the whole of it.

        Args:
            problems: What is asked.
            drafts: A likely answer to each (the rest of one that is begun), "" where none is known:
                fewer passes to the same text. With `generate.draft` off they are passed over.
        """
        drafts = [""] * len(problems) if drafts is None else drafts
        return in_order(self.stream(zip(problems, drafts, strict=True)))

    def stream(self, asked: Iterable[tuple[Problem, str]]) -> Iterator[tuple[int, Answer]]:
        """Answer problems as `answer` does; the next one comes in when an answer ends."""
        for numbered in self._answers(asked):
            if self._tick:
                self._tick()
            yield numbered

    def _answers(self, asked: Iterable[tuple[Problem, str]]) -> Iterator[tuple[int, Answer]]:
        problems: dict[int, Problem] = {}
        open_: dict[int, Request] = {}
        refused: list[tuple[int, Answer]] = []

        def requests() -> Iterator[tuple[int, Request]]:
            for number, (problem, draft) in enumerate(asked):
                prompt = prompt_of(problem, self._prompt_format, self._loaded.context)
                if isinstance(prompt, Answer):
                    refused.append((number, prompt))
                    continue
                problems[number] = problem
                open_[number] = self._request(problem, prompt, draft)
                yield number, open_[number]

        outputs = (
            self._decode(requests(), open_, self._head)
            if self._head
            else self._generate(requests())
        )
        for number, tokens in outputs:
            yield from refused
            refused.clear()
            prompt_tokens = len(open_.pop(number).prompt)
            yield number, self._finish(problems.pop(number), prompt_tokens, tokens)
        yield from refused

    def _request(self, problem: Problem, prompt: Sequence[int], draft: str) -> Request:
        return Request(
            prompt=prompt,
            limit=min(self._section.max_new_tokens, self._loaded.context - len(prompt)),
            draft=self._draft(draft),
            seed=seed_of(self._section.seed, problem.id),
            is_over=self._has_stop if self._section.stop else None,
        )

    @cached_property
    def _tail(self) -> int:
        """Tokens at the end of an answer that may hold one of the texts that end it."""
        # Each token of a text has a byte of it at least, but for those of the template.
        return max(len(stop.encode()) for stop in self._section.stop) + _SLACK

    def _has_stop(self, tokens: Sequence[int]) -> bool:
        """Whether the end of an answer holds one of the texts that end it."""
        end = self._prompt_format.response("", tokens[-self._tail :])
        return any(stop in end for stop in self._section.stop)

    @cached_property
    def _head(self) -> Head | None:
        """The output head of a model that we can decode ourselves, else None."""
        name = self._loaded.source.name
        self._paths.check("generation", name)
        if self._paths.shares:
            return output_head(self._loaded.model)
        how = "by fixed batches" if self._paths.answers_padded else "one at a time"
        say(f"{name}: answers {how}, without drafts: {self._paths.slower('generation')}")
        return None

    @cached_property
    def _paths(self) -> Paths:
        return paths_of(self._loaded.model)

    @property
    def _sampling(self) -> Sampling | None:
        section = self._section
        if section.temperature == 0:
            return None
        return Sampling(temperature=section.temperature, top_p=section.top_p)

    def _draft(self, text: str) -> list[int]:
        """Return the tokens of a likely answer with its end of turn."""
        if not text or not self._section.draft:
            return []
        ids = self._prompt_format.tokenizer(text, add_special_tokens=False)["input_ids"]
        return [*ids, *self._prompt_format.end_of_turn]

    def _decode(
        self, requests: Iterator[tuple[int, Request]], open_: Mapping[int, Request], head: Head
    ) -> Outputs:
        """Answer side by side; with less memory than that takes, fewer at a time.

        `open_` are those that were taken from `requests` and are not answered yet.
        """
        rows = self._section.max_batch
        while True:
            try:
                effort = yield from decode(
                    self._loaded.model,
                    head,
                    # What an attempt without enough memory left open comes first in the next one.
                    itertools.chain(list(open_.items()), requests),
                    stops=self.stops,
                    token_budget=self._section.token_budget,
                    max_rows=rows,
                    sampling=self._sampling,
                    drafting=self._section.draft,
                )
            except (torch.OutOfMemoryError, MemoryError, RuntimeError) as error:
                if not is_out_of_memory(error):
                    raise
            else:
                self.effort += effort
                return
            # Outside the handler, so that the failed attempt's tensors are no longer referenced.
            rows = halved(min(rows, len(open_)), what=f"answers of {self._loaded.source.name}")

    def _generate(self, requests: Iterator[tuple[int, Request]]) -> Outputs:
        """Answer in fixed batches by the model's own loop, all rows to the last one's end."""
        # The library has one stream of random numbers.
        alone = self._sampling is not None or not self._paths.answers_padded
        while block := list(itertools.islice(requests, _BLOCK)):
            rooms = [request.room for _, request in block]
            for part in self._paths.parts(rooms, together=self._paths.answers_padded):
                for batch in plan_batches(
                    [rooms[at] for at in part],
                    token_budget=self._section.token_budget,
                    max_items=1 if alone else self._section.max_batch,
                ):
                    yield from self._in_parts([block[part[at]] for at in batch])

    def _in_parts(self, batch: Sequence[tuple[int, Request]]) -> list[tuple[int, list[int]]]:
        """Answer one batch, in parts where memory does not reach."""
        outputs: list[tuple[int, list[int]]] = []

        def run(part: Sequence[tuple[int, Request]]) -> None:
            rows = self._batch([request for _, request in part])
            outputs.extend(zip((number for number, _ in part), rows, strict=True))

        run_halving(batch, run, what=f"answers of {self._loaded.source.name}")
        return outputs

    def _batch(self, requests: Sequence[Request]) -> list[list[int]]:
        """Return the tokens that the model puts after each prompt, padded side by side."""
        ids, mask = pad_ids([request.prompt for request in requests], left=True)
        longest = ids.shape[1]
        sampling = self._sampling
        model: Any = self._loaded.model
        with (
            torch.inference_mode(),
            torch.random.fork_rng(),
            _contiguous_input(model),
            plain_generation(model),
        ):
            torch.manual_seed(requests[0].seed)
            output = model.generate(
                input_ids=ids.to(self._loaded.device),
                attention_mask=mask.to(self._loaded.device),
                max_new_tokens=max(request.limit for request in requests),
                do_sample=sampling is not None,
                num_beams=1,
                temperature=sampling.temperature if sampling else None,
                top_p=sampling.top_p if sampling else None,
                top_k=0 if sampling else None,
                repetition_penalty=1.0,
                eos_token_id=sorted(self.stops),
                stop_strings=list(self._section.stop) or None,
                tokenizer=self._prompt_format.tokenizer if self._section.stop else None,
                pad_token_id=min(self.stops),
            )
        passes = output.shape[1] - longest
        rows = [
            self._until_stop(row[: request.limit])
            for row, request in zip(output[:, longest:].tolist(), requests, strict=True)
        ]
        tokens = sum(len(row) for row in rows)
        self.effort += Effort(answers=len(rows), tokens=tokens, passes=passes, row_passes=tokens)
        return rows

    def _until_stop(self, tokens: list[int]) -> list[int]:
        """Cut a row behind its first stop token."""
        end = next((at for at, token in enumerate(tokens) if token in self.stops), len(tokens))
        return tokens[: end + 1]

    def _finish(self, problem: Problem, prompt_tokens: int, tokens: list[int]) -> Answer:
        """Decode an answer's tokens; only a stop token at their end says that it is whole."""
        truncated = tokens[-1] not in self.stops
        answer = Answer(
            problem_id=problem.id,
            text=self._prompt_format.response(
                problem.response_prefix, tokens if truncated else tokens[:-1]
            ),
            prompt_tokens=prompt_tokens,
            response_tokens=len(tokens),
            truncated=truncated,
        )
        return until_stop(answer, self._section.stop, problem.response_prefix)


@contextmanager
def _contiguous_input(model: Any) -> Iterator[None]:
    """Hand the output head whole tensors for the length of a block.

    After the prompt, the model slices the last position out of the hidden states; a linear layer
    over such a strided tensor copies its weight once for every row of the batch.
    """
    hook = model.get_output_embeddings().register_forward_pre_hook(
        lambda _module, inputs: (inputs[0].contiguous(), *inputs[1:])
    )
    try:
        yield
    finally:
        hook.remove()


def _stop_tokens(loaded: Loaded, prompt_format: PromptFormat) -> set[int]:
    """Return every token that ends an answer: the template's, the tokenizer's and the model's."""
    stops = {prompt_format.end_of_turn[-1]}
    if loaded.tokenizer.eos_token_id is not None:
        stops.add(loaded.tokenizer.eos_token_id)
    own = loaded.model.generation_config.eos_token_id
    stops.update(own if isinstance(own, list) else [] if own is None else [own])
    return stops
