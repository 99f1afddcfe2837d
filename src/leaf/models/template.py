"""A chat template as a program: what goes in, what it writes, and which arguments it takes."""

import datetime
import re
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

from jinja2 import meta, nodes
from transformers.utils.chat_template_utils import _compile_jinja_template

from leaf.errors import ChatError, ModelError, nearest
from leaf.records import Turn

if TYPE_CHECKING:
    from leaf.models.load import Tokenizer

_TODAY = datetime.date(2024, 7, 26)
"""The date for templates that print one: fixed, so that a run gives the same text on any day."""

_FIXED_DATE = (
    "{%- macro strftime_now(format) -%}{{ format"
    + "".join(f" | replace('%{code}', '{_TODAY:%{code}}')" for code in "YymdjBbAaHIMSp")
    + " }}{%- endmacro %}\n"
)
"""Goes before a template that calls `strftime_now`: a name of its own hides transformers' function,
which cannot be replaced from outside (only plain data reaches a template)."""

_GIVEN = {
    "messages",
    "add_generation_prompt",
    "continue_final_message",
    "tools",
    "documents",
    "strftime_now",
    "raise_exception",
}
"""What a template is given without a recipe's doing, besides the special tokens."""

_ASKING = ("defined", "undefined", "default")
"""How a template looks whether an argument is there."""

_MOST = 2**17
"""Characters that a template may write around messages: more is no prompt of any model."""

_CLOSING = re.compile(r"</(?:think|thinking|thought|seed:think|reasoning)>|\[/THINK\]")
"""Ends a model's thoughts, in the templates of those that think before they answer."""


class ChatTemplate:
    """A tokenizer's chat template with a system prompt and arguments of its own."""

    def __init__(
        self,
        tokenizer: "Tokenizer",
        *,
        name: str,
        system: str | None,
        arguments: Mapping[str, Any] | None = None,
    ) -> None:
        """Hold a template.

        Args:
            tokenizer: With its template, if it has one.
            name: The model's, for errors.
            system: The system prompt; None: the template's own.
            arguments: What the template is given besides, as `{"enable_thinking": False}`.

        Raises:
            ModelError: it takes no argument of this name.
        """
        self._tokenizer = tokenizer
        self._name = name
        self._system = system
        self.given = dict(arguments or {})
        """The arguments that it is given."""
        self.is_there = bool(tokenizer.chat_template)
        """Whether the tokenizer brings one."""
        for argument in self.given:
            if not self.is_there:
                raise ModelError(
                    f"{name}: has no chat template, so it takes no `template: {{{argument}: ...}}`"
                )
            if argument not in self.arguments:
                raise ModelError(
                    f"{name}: its chat template has no argument `{argument}`"
                    f"{nearest(argument, self.arguments) or ';'} it has: "
                    f"{', '.join(self.arguments) or 'none'}"
                )

    @cached_property
    def arguments(self) -> list[str]:
        """The names of the arguments that it takes, such as `enable_thinking`.

        Those are the names that it uses and never sets, or asks about whether they are there.
        """
        if not self.is_there:
            return []
        template = self._tokenizer.get_chat_template()
        tree = _compile_jinja_template(template).environment.parse(template)
        names = list(tree.find_all(nodes.Name))
        about = [node for node in tree.find_all((nodes.Test, nodes.Filter)) if node.name in _ASKING]
        asked = {node.node.name for node in about if isinstance(node.node, nodes.Name)}
        own = {name.name for name in names if name.ctx != "load"} - asked
        special = set(getattr(self._tokenizer, "special_tokens_map", {}))
        return sorted(meta.find_undeclared_variables(tree) - own - _GIVEN - special)

    @cached_property
    def closing(self) -> str | None:
        """What ends the model's thoughts, such as `</think>`; None where it has none."""
        found = _CLOSING.search(self._tokenizer.get_chat_template()) if self.is_there else None
        return found.group() if found else None

    def write(self, content: str, turns: Sequence[Turn] = (), response: str | None = None) -> str:
        """Return a user's message after some turns, as a model is asked it.

        With a `response` it is the whole dialogue, as the template itself writes it.
        """
        messages = messages_of(content, turns, self._system)
        if response is not None:
            messages.append({"role": "assistant", "content": response})
        return self._render(messages, asks=response is None)

    def _render(self, messages: list[dict[str, str]], *, asks: bool) -> str:
        try:
            template = self._tokenizer.get_chat_template()
            text = self._tokenizer.apply_chat_template(
                messages,
                chat_template=_FIXED_DATE + template if "strftime_now" in template else template,
                tokenize=False,
                add_generation_prompt=asks,
                **self.given,
            )
        except MemoryError:
            raise  # of this machine, or of the process that opens strangers' templates first
        # A template is a program: it may divide by zero, recurse or ask for what is not there.
        except Exception as error:
            why = " ".join(str(error).split()) or type(error).__name__
            raise ChatError(
                f"{self._name}: its chat template refuses the messages: {why}"
            ) from None
        if len(text) > _MOST + sum(len(message["content"]) for message in messages):
            raise ChatError(
                f"{self._name}: its chat template writes {len(text):,} characters, which no model "
                "reads; take it from where the model was published"
            )
        return str(text)


def messages_of(content: str, turns: Sequence[Turn], system: str | None) -> list[dict[str, str]]:
    """Return a conversation as chat messages; a system turn stands in the place of `system`."""
    messages = [{"role": turn.role, "content": turn.text} for turn in turns]
    messages.append({"role": "user", "content": content})
    if system is not None and messages[0]["role"] != "system":
        messages.insert(0, {"role": "system", "content": system})
    return messages
