"""What a chat template puts around a user's message, and which tokens are the user's own.

The template is rendered once with a sentinel in place of the message, which gives its prefix and
suffix; every rendering is then checked to be prefix + content + suffix. The rendered text is
tokenised once, without adding special tokens (the template already has them), with character
offsets; tokens that share a character form one unit, so text is only ever cut between characters.
"""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from leaf.errors import ChatError
from leaf.models.load import Tokenizer
from leaf.models.template import ChatTemplate
from leaf.models.token_units import Unit, units_between
from leaf.recipe import ModelSection
from leaf.records import Problem, Turn

_SENTINEL = "leafsentinelqzx"
"""Stands for a message; lower-case letters, so that no template changes it."""

_RESPONSE = "leafresponsezqx"
"""Stands for a response."""


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

    def __init__(
        self,
        tokenizer: Tokenizer,
        *,
        name: str,
        system: str | None = None,
        template: Mapping[str, Any] | None = None,
    ) -> None:
        """Look at what the template writes.

        Args:
            tokenizer: With its template.
            name: The model's, for errors.
            system: The system prompt; None: the template's own.
            template: Arguments of the template, as `{"enable_thinking": False}`.

        Raises:
            ChatError: the template does not show a message just once, or ends no turn.
            ModelError: it takes no such argument.
        """
        self.tokenizer = tokenizer
        self.name = name
        self.system = system
        self.template = ChatTemplate(tokenizer, name=name, system=system, arguments=template)
        self._lead = () if self.has_template else self._bos()
        """Tokens before a base model's text; a template writes its own."""
        self._frames: dict[tuple[Turn, ...], tuple[str, str]] = {}
        self.prefix, self.suffix = self._frame(())
        self.opening, self._tail = self._around_response()
        """What the template writes between a question and a response that is there: as `suffix`,
        but of models that think an empty block of thoughts more, or an open one less."""
        self.end_of_turn = self._find_end_of_turn()
        """The tokens that end a response: what the student must learn to say last."""

    @property
    def has_template(self) -> bool:
        """Whether the tokenizer brings a chat template."""
        return self.template.is_there

    @property
    def own_opening(self) -> str:
        """`opening` where it is another text than `suffix`, else ""."""
        return "" if self.opening == self.suffix else self.opening

    @property
    def thinks(self) -> bool:
        """Whether the model may think before it answers: nothing ends its thoughts beforehand."""
        closing = self.template.closing
        return closing is not None and closing not in self.suffix

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
        text = self._before(self.render(content, turns).text, response_prefix)
        return self._begin(text, response_prefix)[0]

    def rewrites(self, content: str, response: str, turns: tuple[Turn, ...] = ()) -> bool:
        """Whether the template writes this response otherwise than rows have it, but for spaces.

        A response with thoughts is trained on as it was generated; templates set those anew.
        """
        if not self.has_template or self._thinks_in(response):
            return False
        before = self._before(self.render(content, turns).text, response).rstrip()
        written, said = self.template.write(content, turns, response), response.strip()
        rest = written.removeprefix(before).lstrip()
        same = written.startswith(before) and rest.startswith(said)
        return not (same and rest[len(said) :].strip() == self._tail.strip())

    def prompt(self, problem: Problem) -> Prompt:
        """Tokenise a problem's prompt and find the units of its question."""
        rendered = self.render(problem.content, problem.turns)
        start, end, lead = rendered.start, rendered.end, rendered.lead
        text = self._before(rendered.text, problem.response_prefix)
        ids, offsets = self._begin(text, problem.response_prefix)
        if problem.response_prefix:
            # No template strips or changes a response that is only begun.
            start, lead = len(text), 0
            text += problem.response_prefix
            end = len(text)
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
        `response` is the rest of it. What the template writes before a response (`opening`)
        does too.
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
        before = self._before(self.render(content, turns).text, response_prefix or response)
        before += response_prefix
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
        return self.template.write(content, turns)

    def _before(self, rendered: str, response: str) -> str:
        """Return what stands before a response that is there, wholly or begun.

        Thoughts of its own began where the model was asked.
        """
        if not (response and self.own_opening) or self._thinks_in(response):
            return rendered
        return rendered.removesuffix(self.suffix) + self.opening

    def _thinks_in(self, response: str) -> bool:
        """Whether a response has a model's thoughts, or their end."""
        closing = self.template.closing
        return closing is not None and any(
            mark in response for mark in (closing, closing.replace("/", ""))
        )

    def _around_response(self) -> tuple[str, str]:
        """Return what the template writes before a response and after it."""
        if not self.has_template:
            return self.suffix, ""
        written = self.template.write(_SENTINEL, response=_RESPONSE)
        opening, found, tail = written.partition(_SENTINEL)[2].rpartition(_RESPONSE)
        alike = written.startswith(self.prefix + _SENTINEL) and _RESPONSE not in opening
        return (opening if found and alike else self.suffix), tail

    def _bos(self) -> tuple[int, ...]:
        """Return the token that the tokenizer puts before a plain text, if it does."""
        first = self.tokenizer("a")["input_ids"][0]
        return (first,) if first == self.tokenizer.bos_token_id else ()

    def _find_end_of_turn(self) -> tuple[int, ...]:
        """Return the tokens from the end of a response to its first special token."""
        eos = self.tokenizer.eos_token_id
        if self.has_template:
            tail = self._plain(self._tail)["input_ids"]
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
        text = self._before(self.render(content, turns).text, response_prefix or response)
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
    """Return a model's chat template with the recipe's system prompt and arguments."""
    return PromptFormat(
        tokenizer, name=section.model, system=section.system, template=section.template
    )
