"""Answers from any server that speaks OpenAI's protocol: chat completions, several at a time.

The server renders its own chat template and counts tokens; LeaF sends messages, the longest answer
and how to sample, which every such server takes. What else it does by default (penalties, top-k)
stays its own.
"""

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from leaf.errors import ServerError, UsageError
from leaf.generate.engine import (
    Effort,
    Unanswered,
    by_parts,
    failed,
    seed_of,
    unanswered,
    until_stop,
)
from leaf.models import server
from leaf.models.files import Source
from leaf.models.server import Access
from leaf.models.template import messages_of
from leaf.progress import Ticker
from leaf.recipe import GenerateSection, ModelSection, ServerSection
from leaf.records import Answer, Problem, Turn

if TYPE_CHECKING:
    from openai import OpenAI

USE, EXTRA = "engine openai", "served"
"""What needs the client, and the extra that brings it."""

_WHAT = "a chat completion"

_HINTS = {
    "max_completion_tokens": "set server.limit: max_completion_tokens",
    "temperature must be in": "lower generate.temperature",
    "max_model_len": "lower generate.max_new_tokens, or start vLLM with a larger --max-model-len",
    "temperature": "set server.sampling: false",
    "top_p": "set server.sampling: false",
}
"""A word of a refusal to the way out."""

_BY_ITSELF = ("stop", "eos", "eos_token", "end_turn", "stop_sequence", None)
_AT_LIMIT = ("length", "max_tokens")
"""What servers call the end of an answer; None is either."""

_DECIDED = ("content_filter", "tool_calls", "function_call")
"""Ends with which there is no answer, however often it is asked."""

_LENGTH = (
    "context length",
    "context_length",
    "context size",
    "too long",
    "maximum context",
    # vLLM of a prompt that fills the context to the last token; it was asked for one at least.
    "max_tokens must be at least 1, got 0",
)
"""How servers say that a prompt leaves no room."""

_IN_VAIN = 4
"""After so many failures of every worker, and no answer between them, no more is asked."""

_PATIENCE = 10.0
"""Seconds in which a server must say anything at all to count as there."""

_ROUNDS = 16
"""A stream is asked for so many problems for each worker at a time."""


def access_of(section: ModelSection) -> Access:
    """Return where a model is served.

    Raises:
        UsageError: its section does not say.
    """
    server = section.server
    if server is None:
        raise UsageError(
            f"{section.model}: engine openai needs a server; set `server.url` of this model, and "
            "`server.model` where it has another name there"
        )
    return Access(
        url=server.url,
        model=server.model or section.model,
        key_variable=server.key_variable,
        setting="server",
        served="the model",
    )


@contextmanager
def open_openai(
    section: ModelSection, _source: Source, generate: GenerateSection, tick: Ticker | None
) -> "Iterator[ServedEngine]":
    """Connect to a model's server, and ask for one token, before hours are spent.

    Raises:
        ServerError: it cannot be reached, refuses the key, lacks the model, refuses such requests
            or counts no tokens.
    """
    access = server.checked(access_of(section), use=USE, extra=EXTRA)
    assert section.server  # noqa: S101 - `access_of` has looked
    retries, timeout = section.server.retries, section.server.timeout
    with server.connect(access, retries=retries, timeout=timeout) as connection:
        engine = ServedEngine(access, connection, section, generate, tick)
        engine.try_out()
        yield engine


class ServedEngine:
    """Answers problems by requests, `server.workers` of them at a time.

    What may pass by itself is sent again, `server.retries` times, later and later. A request that
    still fails is `Unanswered`; the others go on, until nothing comes through any more.
    """

    def __init__(
        self,
        access: Access,
        connection: "OpenAI",
        section: ModelSection,
        generate: GenerateSection,
        tick: Ticker | None = None,
    ) -> None:
        self.effort = Effort()
        """What all answers so far took; passes are the server's secret."""
        self._access = access
        self._connection = connection
        self._system = section.system
        self._template = section.template
        self._server = section.server or ServerSection()
        self._section = generate
        self._tick = tick
        self._lost: str | None = None
        """Why nothing more is asked, in one line."""
        self._in_vain = 0
        """Requests that failed since one was answered."""

    def try_out(self) -> None:
        """Ask for one token as problems ask for more; any fault is a `ServerError`."""
        with server.explained(self._access, _WHAT, _HINTS):
            found = self._ask("Hello", seed=0, limit=1)
        try:
            _read(found, limit=1)
        except ServerError as error:
            raise ServerError(
                f"{self._access.url}: {error}; set server.url, which mostly ends with /v1"
            ) from None

    def answer(
        self,
        problems: Sequence[Problem],
        drafts: Sequence[str] | None = None,
    ) -> list[Answer]:
        """Answer each problem; a server has no use for drafts.

        Raises:
            ServerError: it is not there any more, refuses the key or the model, or nothing comes
                through.
            UsageError: a response is begun; the protocol has no way to say so.
        """
        answers = self._answers(problems)
        if self._lost:
            raise ServerError(self._lost)
        return answers

    def stream(self, asked: Iterable[tuple[Problem, str]]) -> Iterator[tuple[int, Answer]]:
        """Answer problems, `_ROUNDS` times as many at a time as are asked.

        Where the server is lost the rest is `Unanswered`: what it answered before is not.
        """
        return by_parts(self._answers, asked, _ROUNDS * self._server.workers)

    def _answers(self, problems: Sequence[Problem]) -> list[Answer]:
        prefixed = next((problem for problem in problems if problem.response_prefix), None)
        if prefixed:
            raise UsageError(
                f"engine openai cannot go on with a response that is begun ({prefixed.id}); "
                "response level needs engine hf, vllm or llamacpp"
            )
        with ThreadPoolExecutor(self._server.workers) as pool:
            answers = list(pool.map(self._answer, problems))
        said = [answer for answer in answers if not isinstance(answer, Unanswered)]
        self.effort += Effort(
            answers=len(said), tokens=sum(answer.response_tokens for answer in said)
        )
        return answers

    def _answer(self, problem: Problem) -> Answer:
        import openai

        if self._lost:
            return unanswered(problem.id, self._lost)
        limit = self._section.max_new_tokens
        try:
            found = self._ask(
                problem.content,
                problem.turns,
                seed=seed_of(self._section.seed, problem.id),
                limit=limit,
            )
            answer = until_stop(_read(found, problem.id, limit=limit), self._section.stop)
        except openai.APIError as error:
            line = server.explain(self._access, error, _WHAT, _HINTS)
            if _too_long(error):
                answer = failed(problem.id, line)
            else:
                answer = unanswered(problem.id, line)
                if self._is_lost(error):
                    self._lost = line
        except (ServerError, ValueError) as error:
            answer = unanswered(problem.id, server.one_line(self._access, str(error)))
        self._count(answer)
        if self._tick and not isinstance(answer, Unanswered):
            self._tick()
        return answer

    def _count(self, answer: Answer) -> None:
        """Stop asking where nothing comes through: each request is tried for long."""
        # Threads may count one too few: then one more is asked.
        self._in_vain = self._in_vain + 1 if isinstance(answer, Unanswered) else 0
        if self._in_vain >= _IN_VAIN * self._server.workers:
            self._lost = self._lost or answer.failure

    def _ask(self, content: str, turns: Sequence[Turn] = (), *, seed: int, limit: int) -> Any:
        """Send one request; whatever comes back is returned as the client read it."""
        messages = messages_of(content, turns, self._system)
        options: dict[str, Any] = {self._server.limit: limit}
        if self._server.sampling:
            options["temperature"] = self._section.temperature
            if self._section.temperature > 0:
                options |= {"top_p": self._section.top_p, "seed": seed}
        if self._template:
            # As vLLM, SGLang, llama.cpp and `transformers serve` take them.
            options["extra_body"] = {"chat_template_kwargs": self._template}
        if self._section.stop:
            options["stop"] = self._section.stop
        return self._connection.chat.completions.create(
            model=self._access.model,
            messages=messages,  # type: ignore[arg-type]  # its types are one for each role
            extra_headers=server.headers(self._access),
            **options,
        )

    def _is_lost(self, error: Any) -> bool:
        """Whether every other request would fail as well."""
        import openai

        if isinstance(error, openai.APITimeoutError):
            return False
        if isinstance(error, openai.APIConnectionError):
            return not self._is_there()
        refusals = (openai.AuthenticationError, openai.PermissionDeniedError, openai.NotFoundError)
        return isinstance(error, refusals)

    def _is_there(self) -> bool:
        """Whether the server says anything at all; a connection that it cut is no proof."""
        import openai

        quick = self._connection.with_options(max_retries=0, timeout=_PATIENCE)
        try:
            quick.models.list(extra_headers=server.headers(self._access))
        except openai.APIConnectionError:
            return False
        except (openai.APIError, ValueError):
            return True
        return True


def _too_long(error: Any) -> bool:
    """Whether a prompt was refused for its length: that it will be whenever it is asked."""
    status, said = getattr(error, "status_code", None), str(error).lower()
    return status in (400, 413, 422) and any(words in said for words in _LENGTH)


def _read(found: Any, problem_id: str = "", *, limit: int) -> Answer:
    """Return what a server answered.

    Raises:
        ServerError: that is no whole answer.
    """
    try:
        choice = found.choices[0]
        text, end = _text(choice.message.content), choice.finish_reason
    except (AttributeError, IndexError, KeyError, TypeError):
        raise ServerError(f"answered what is no chat completion: {found!r:.80}") from None
    if end in _DECIDED:
        return failed(
            problem_id, f"an answer ended with {end!r}, which asking again does not change"
        )
    if end not in (*_BY_ITSELF, *_AT_LIMIT):
        raise ServerError(f"an answer ended with {end!r}, neither by itself nor at its limit")
    usage = getattr(found, "usage", None)
    spent = [getattr(usage, name, None) for name in ("prompt_tokens", "completion_tokens")]
    if not all(isinstance(count, int) for count in spent):
        raise ServerError("an answer came without `usage`, so its tokens cannot be counted")
    prompt, response = (int(count or 0) for count in spent)
    return Answer(
        problem_id=problem_id,
        text=text,
        prompt_tokens=prompt,
        response_tokens=response,
        truncated=end in _AT_LIMIT or (end is None and response >= limit),
    )


def _text(content: Any) -> str:
    """Return the text of a message, which some servers give in parts; null is an empty one."""
    if isinstance(content, list):
        # Of other kinds are pictures, refusals and what a model thought.
        parts = [part for part in content if part["type"] in ("text", "output_text")]
        content = "".join(part["text"] for part in parts)
    # Halves of characters: JSON can hold them alone, no file can.
    whole: str = (content or "").encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return whole
