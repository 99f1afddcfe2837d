"""Answers from a Hugging Face model: greedy, batched by length, left-padded."""

from collections.abc import Sequence
from typing import Any

import torch

from leaf.batching import plan_batches, run_halving
from leaf.chat import Chat
from leaf.config import GenerateSection
from leaf.models import Loaded
from leaf.progress import Ticker
from leaf.records import Answer, Problem


class HuggingFaceEngine:
    """Answers problems with a loaded model under its own chat template.

    Answers do not depend on the order of the problems beyond which of them share a batch (in
    bfloat16 a batch's shape can move the last bits of the logits).
    """

    def __init__(
        self, loaded: Loaded, chat: Chat, section: GenerateSection, tick: Ticker | None = None
    ) -> None:
        self._loaded = loaded
        self._chat = chat
        self._section = section
        self._tick = tick
        self._stops = _stop_tokens(loaded, chat)
        # After the prompt, the model slices the last position out of the hidden states; a linear
        # layer over such a strided tensor copies its weight once for every row of the batch.
        loaded.model.get_output_embeddings().register_forward_pre_hook(_contiguous)

    def answer(self, problems: Sequence[Problem]) -> list[Answer]:
        """Answer each problem; a prompt without room in the model's context fails by itself."""
        prompts = [self._chat.prompt_ids(problem.content) for problem in problems]
        answers: dict[int, Answer] = {}
        open_items = []
        for at, prompt in enumerate(prompts):
            if len(prompt) < self._loaded.context:
                open_items.append(at)
            else:
                answers[at] = self._too_long(problems[at], len(prompt))
        room = [len(prompts[at]) + self._limit(len(prompts[at])) for at in open_items]
        for batch in plan_batches(
            room, token_budget=self._section.token_budget, max_items=self._section.max_batch
        ):
            items = [open_items[at] for at in batch]
            run_halving(
                items,
                lambda part: self._answer_batch(part, problems, prompts, answers),
                what=f"answers of {self._loaded.source.name}",
            )
        if self._tick and len(open_items) < len(problems):
            self._tick(len(problems) - len(open_items))
        return [answers[at] for at in range(len(problems))]

    def _limit(self, prompt_tokens: int) -> int:
        """Return how many tokens may be generated after a prompt."""
        return min(self._section.max_new_tokens, self._loaded.context - prompt_tokens)

    def _answer_batch(
        self,
        items: Sequence[int],
        problems: Sequence[Problem],
        prompts: Sequence[Sequence[int]],
        answers: dict[int, Answer],
    ) -> None:
        rows = self._generate([prompts[at] for at in items])
        for at, tokens in zip(items, rows, strict=True):
            limit = self._limit(len(prompts[at]))
            answers[at] = self._finish(problems[at], len(prompts[at]), tokens[:limit])
        if self._tick:
            self._tick(len(items))

    def _generate(self, prompts: Sequence[Sequence[int]]) -> list[list[int]]:
        """Return the tokens that the model says after each prompt, padding and all."""
        longest = max(len(prompt) for prompt in prompts)
        ids = torch.zeros(len(prompts), longest, dtype=torch.long)
        mask = torch.zeros_like(ids)
        for row, prompt in enumerate(prompts):
            ids[row, longest - len(prompt) :] = torch.tensor(prompt)
            mask[row, longest - len(prompt) :] = 1
        with torch.inference_mode():
            output: Any = self._loaded.model.generate(
                input_ids=ids.to(self._loaded.device),
                attention_mask=mask.to(self._loaded.device),
                max_new_tokens=max(self._limit(len(prompt)) for prompt in prompts),
                do_sample=False,
                num_beams=1,
                temperature=None,
                top_p=None,
                top_k=None,
                repetition_penalty=1.0,
                eos_token_id=sorted(self._stops),
                pad_token_id=min(self._stops),
            )
        rows: list[list[int]] = output[:, longest:].tolist()
        return rows

    def _finish(self, problem: Problem, prompt_tokens: int, tokens: list[int]) -> Answer:
        """Cut a row at its first stop token and decode it."""
        end = next((at for at, token in enumerate(tokens) if token in self._stops), None)
        text = self._chat.tokenizer.decode(tokens[:end], skip_special_tokens=True)
        return Answer(
            problem_id=problem.id,
            text=text,
            prompt_tokens=prompt_tokens,
            response_tokens=len(tokens) if end is None else end + 1,
            truncated=end is None,
        )

    def _too_long(self, problem: Problem, prompt_tokens: int) -> Answer:
        context = self._loaded.context
        return Answer(
            problem_id=problem.id,
            text="",
            prompt_tokens=prompt_tokens,
            response_tokens=0,
            truncated=False,
            failure=f"prompt longer than the model's context of {context} tokens",
        )


def _contiguous(_module: Any, inputs: tuple[Any, ...]) -> tuple[Any, ...]:
    return (inputs[0].contiguous(), *inputs[1:])


def _stop_tokens(loaded: Loaded, chat: Chat) -> set[int]:
    """Return every token that ends an answer: the template's, the tokenizer's and the model's."""
    stops = {chat.end_of_turn[-1]}
    if loaded.tokenizer.eos_token_id is not None:
        stops.add(loaded.tokenizer.eos_token_id)
    own = loaded.model.generation_config.eos_token_id
    stops.update(own if isinstance(own, list) else [] if own is None else [own])
    return stops
