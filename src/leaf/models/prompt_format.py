"""What a chat template puts around a user's message, and which tokens are the user's own.

The template is rendered once with a sentinel in place of the message, which gives its prefix and
suffix; every rendering is then checked to be prefix + content + suffix. The rendered text is
tokenised once, without adding special tokens (the template already has them), with character
offsets; tokens that share a character form one unit, so text is only ever cut between characters.
"""

import datetime
import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from leaf.errors import ChatError
from leaf.models.load import Tokenizer
from leaf.models.token_units import Unit, units_between
from leaf.recipe import ModelSection
from leaf.records import Problem, Turn

_SENTINEL = "leafsentinelqzx"
"""Stands for a message; lower-case letters, so that no template changes it."""

_TODAY = datetime.date(2024, 7, 26)
"""The date for templates that print one: fixed, so that a run gives the same text on any day."""

_FIXED_DATE = (
    "{%- macro strftime_now(format) -%}{{ format"
    + "".join(f" | replace('%{code}', '{_TODAY:%{code}}')" for code in "YymdjBbAaHIMSp")
    + " }}{%- endmacro %}\n"
)
"""Goes before a template that calls `strftime_now`: a name of its own hides transformers' function,
which cannot be replaced from outside (only plain data reaches a template)."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Rendered:
    """A user's message inside its template."""

    text: str
    start: int
    """Where the shown content begins in `text`."""
    end: int
    """One past the last character of the shown content."""
    lead: int
    """Characters of the content that the template strips from its front."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Prompt:
    """A problem's prompt as tokens."""

    ids: tuple[int, ...]
    units: tuple[Unit, ...]
    """The scored units: they tile the part of the question that whole tokens cover."""


@dataclass(frozen=True, kw_only=True, slots=True)
class EncodedExample:
    """A prompt, the response to it and the end of the turn, as tokens."""

    ids: tuple[int, ...]
    prompt_length: int
    """Tokens of the prompt; the response is all that follows, end-of-turn token included."""

    @property
    def response_length(self) -> int:
        """Tokens of the response, end-of-turn token included."""
        return len(self.ids) - self.prompt_length


class PromptFormat:
    """Renders and tokenises prompts for one tokenizer; a base model gets texts, one a line.

    A system turn of a conversation stands in the place of the model's own `system`.
    """

    def __init__(self, tokenizer: Tokenizer, *, name: str, system: str | None = None) -> None:
        self.tokenizer = tokenizer
        self.name = name
        self.system = system
        self._lead = () if self.has_template else self._bos()
        """Tokens before a base model's text; a template writes its own."""
        self._frames: dict[tuple[Turn, ...], tuple[str, str]] = {}
        self.prefix, self.suffix = self._frame(())
        self.end_of_turn = self._find_end_of_turn()
        """The tokens that end a response: what the student must learn to say last."""

    @property
    def has_template(self) -> bool:
        """Whether the tokenizer brings a chat template."""
        return bool(self.tokenizer.chat_template)

    def render(self, content: str, turns: tuple[Turn, ...] = ()) -> Rendered:
        """Put a user's message, after the turns before it, into the template and locate it there.

        Raises:
            ChatError: the template changes the content, so that it cannot be located.
        """
        prefix, suffix = self._frame(turns)
        text = self._apply(content, turns)
        stripped = content.strip()
        for shown, lead in ((content, 0), (stripped, len(content) - len(content.lstrip()))):
            if text == prefix + shown + suffix:
                start = len(prefix)
                return Rendered(text=text, start=start, end=start + len(shown), lead=lead)
        raise ChatError(f"{self.name}: its chat template changes the message {content!r:.60}")

    def prompt_ids(
        self, content: str, response_prefix: str = "", turns: tuple[Turn, ...] = ()
    ) -> list[int]:
        """Return the token ids of a whole prompt, generation prompt and begun response included."""
        return self._begin(self.render(content, turns).text, response_prefix)[0]

    def prompt(self, problem: Problem) -> Prompt:
        """Tokenise a problem's prompt and find the units of its question."""
        rendered = self.render(problem.content, problem.turns)
        start, end, lead, text = rendered.start, rendered.end, rendered.lead, rendered.text
        ids, offsets = self._begin(text, problem.response_prefix)
        if problem.response_prefix:
            # No template strips or changes a response that is only begun.
            text += problem.response_prefix
            start, end, lead = len(rendered.text), len(text), 0
        origin = start - lead + len(problem.before)
        low = min(max(origin, start), end)
        high = min(max(origin + len(problem.question), start), end)
        units = units_between(offsets, text, low, high)
        return Prompt(
            ids=tuple(ids),
            units=tuple(
                Unit(start=unit.start - origin, end=unit.end - origin, tokens=unit.tokens)
                for unit in units
            ),
        )

    def encode(
        self,
        content: str,
        response: str,
        response_prefix: str = "",
        turns: tuple[Turn, ...] = (),
    ) -> EncodedExample:
        """Tokenise a prompt with a response and its end-of-turn token.

        Prompt and response are tokenised together where that leaves the prompt's tokens as they
        are when a model generates, else one by one. A `response_prefix` counts as prompt:
        `response` is the rest of it.
        """
        ids, _, prompt_length = self._respond(content, response, response_prefix, turns)
        return EncodedExample(ids=(*ids, *self.end_of_turn), prompt_length=prompt_length)

    def response_units(
        self,
        content: str,
        response: str,
        response_prefix: str = "",
        turns: tuple[Turn, ...] = (),
    ) -> tuple[Unit, ...]:
        """Return the units of the response of `encode`, which tile its text and its tokens.

        Characters are those of `response`; `tokens` count from the response's first. Every token is
        in one unit: one without characters of its own belongs to the unit after it. The end of the
        turn is the last unit, as one character more than the response has.
        """
        ids, offsets, prompt_length = self._respond(content, response, response_prefix, turns)
        before = self.render(content, turns).text + response_prefix
        low, high = len(before), len(before) + len(response)
        units = units_between(offsets, before + response, low, high)
        if not units and len(ids) > prompt_length:
            # Spaces alone, of which no token reports a character.
            units = [Unit(start=low, end=high, tokens=(len(ids) - 1,))]
        ends = [unit.tokens[-1] + 1 - prompt_length for unit in units]
        response_tokens = len(ids) - prompt_length
        if units:
            ends[-1] = response_tokens
        tiles = [
            Unit(start=unit.start - low, end=unit.end - low, tokens=tuple(range(first, end)))
            for unit, (first, end) in zip(units, itertools.pairwise([0, *ends]), strict=True)
        ]
        end_of_turn = tuple(range(response_tokens, response_tokens + len(self.end_of_turn)))
        return (*tiles, Unit(start=high - low, end=high - low + 1, tokens=end_of_turn))

    def response(self, response_prefix: str, tokens: Sequence[int]) -> str:
        """Return a response as a reader sees it: its beginning and what the tokens add."""
        added: str = self.tokenizer.decode(tokens, skip_special_tokens=True)
        if not response_prefix:
            return added
        # Some tokenizers drop the space in front of a text: decode with what stands before.
        head = self._plain(response_prefix)["input_ids"]
        before = self.tokenizer.decode(head, skip_special_tokens=True)
        whole = self.tokenizer.decode([*head, *tokens], skip_special_tokens=True)
        return response_prefix + (whole[len(before) :] if whole.startswith(before) else added)

    def _frame(self, turns: tuple[Turn, ...]) -> tuple[str, str]:
        """Return what the template puts before and after a message that follows some turns."""
        if turns not in self._frames:
            text = self._apply(_SENTINEL, turns)
            prefix, found, suffix = text.rpartition(_SENTINEL)
            said = sum(turn.text.count(_SENTINEL) for turn in turns)
            if not found or text.count(_SENTINEL) != said + 1:
                raise ChatError(
                    f"{self.name}: its chat template does not show a user's message just once"
                )
            self._frames[turns] = prefix, suffix
        return self._frames[turns]

    def _apply(self, content: str, turns: tuple[Turn, ...] = ()) -> str:
        if not self.has_template:
            if self.system is not None:
                raise ChatError(
                    f"{self.name}: has no chat template, so it takes no system prompt; "
                    "leave `system` out of the recipe"
                )
            return "".join(f"{turn.text}\n" for turn in turns) + content + "\n"
        messages = [{"role": turn.role, "content": turn.text} for turn in turns]
        messages.append({"role": "user", "content": content})
        return self._template(messages, add_generation_prompt=True)

    def _template(self, messages: list[dict[str, str]], *, add_generation_prompt: bool) -> str:
        if self.system is not None and messages[0]["role"] != "system":
            messages = [{"role": "system", "content": self.system}, *messages]
        try:
            template = self.tokenizer.get_chat_template()
            text = self.tokenizer.apply_chat_template(
                messages,
                chat_template=_FIXED_DATE + template if "strftime_now" in template else template,
                tokenize=False,
                add_generation_prompt=add_generation_prompt,
            )
        except MemoryError:
            raise  # of this machine, or of the process that opens strangers' templates first
        # A template is a program: it may divide by zero, recurse or ask for what is not there.
        except Exception as error:
            why = " ".join(str(error).split()) or type(error).__name__
            raise ChatError(f"{self.name}: its chat template refuses the messages: {why}") from None
        return str(text)

    def _bos(self) -> tuple[int, ...]:
        """Return the token that the tokenizer puts before a plain text, if it does."""
        first = self.tokenizer("a")["input_ids"][0]
        return (first,) if first == self.tokenizer.bos_token_id else ()

    def _find_end_of_turn(self) -> tuple[int, ...]:
        """Return the tokens from the end of a response to its first special token."""
        eos = self.tokenizer.eos_token_id
        if self.has_template:
            messages = [
                {"role": "user", "content": "a"},
                {"role": "assistant", "content": _SENTINEL},
            ]
            text = self._template(messages, add_generation_prompt=False)
            tail = self._plain(text.rpartition(_SENTINEL)[2])["input_ids"]
            named = set(self.tokenizer.all_special_ids)
            added = self.tokenizer.added_tokens_decoder
            for at, token in enumerate(tail):
                # Some families end a turn with a special token that has no name of its own.
                if token in named or (token in added and added[token].special):
                    return tuple(tail[: at + 1])
        if eos is None:
            raise ChatError(f"{self.name}: neither its template nor its tokenizer ends a turn")
        return (eos,)

    def _respond(
        self, content: str, response: str, response_prefix: str, turns: tuple[Turn, ...]
    ) -> tuple[list[int], list[tuple[int, int]], int]:
        """Tokenise a prompt with a response: token ids, their characters, tokens of the prompt."""
        text = self.render(content, turns).text
        prompt, offsets = self._begin(text, response_prefix)
        return *self._go_on(prompt, offsets, text + response_prefix, response), len(prompt)

    def _begin(
        self, rendered: str, response_prefix: str
    ) -> tuple[list[int], list[tuple[int, int]]]:
        """Tokenise a rendered prompt and the response that is begun after it."""
        ids, offsets = self._encode(rendered)
        return (
            self._go_on(ids, offsets, rendered, response_prefix)
            if response_prefix
            else (ids, offsets)
        )

    def _go_on(
        self, ids: list[int], offsets: list[tuple[int, int]], text: str, more: str
    ) -> tuple[list[int], list[tuple[int, int]]]:
        """Tokenise what follows a text: with it where that leaves its tokens, else by itself."""
        together, places = self._encode(text + more)
        if together[: len(ids)] == ids:
            return together, places
        alone = self._plain(more)
        moved = [(start + len(text), end + len(text)) for start, end in alone["offset_mapping"]]
        return [*ids, *alone["input_ids"]], [*offsets, *moved]

    def _encode(self, text: str) -> tuple[list[int], list[tuple[int, int]]]:
        """Tokenise a rendered text from its first character: token ids and their characters."""
        encoded = self._plain(text)
        ids = [*self._lead, *encoded["input_ids"]]
        return ids, [*((0, 0) for _ in self._lead), *encoded["offset_mapping"]]

    def _plain(self, text: str) -> Any:
        return self.tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)


def prompt_format_of(tokenizer: Tokenizer, section: ModelSection) -> PromptFormat:
    """Return a model's chat template with the recipe's system prompt."""
    return PromptFormat(tokenizer, name=section.model, system=section.system)
