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
from leaf.generate.engine import Effort, by_parts, failed, seed_of, until_stop
from leaf.models import server
from leaf.models.files import Source
from leaf.models.server import Access
from leaf.progress import Ticker
from leaf.recipe import GenerateSection, ModelSection
from leaf.records import Answer, Problem, Turn

if TYPE_CHECKING:
    from openai import OpenAI

USE, EXTRA = "engine openai", "served"
"""What needs the client, and the extra that brings it."""

_WHAT = "a chat completion"

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
    still fails is an answer with a `failure`; the others go on.
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
        self._workers = section.server.workers if section.server else 1
        self._section = generate
        self._tick = tick

    def try_out(self) -> None:
        """Ask for one token as problems ask for more; any fault is a `ServerError`."""
        with server.explained(self._access, _WHAT):
            found = self._ask("Hello", seed=0, limit=1)
        try:
            _read(found)
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
            ServerError: it is not there any more, or refuses the key or the model.
            UsageError: a response is begun; the protocol has no way to say so.
        """
        prefixed = next((problem for problem in problems if problem.response_prefix), None)
        if prefixed:
            raise UsageError(
                f"engine openai cannot go on with a response that is begun ({prefixed.id}); "
                "response level needs engine hf, vllm or llamacpp"
            )
        with ThreadPoolExecutor(self._workers) as pool:
            answers = list(pool.map(self._answer, problems))
        self.effort += Effort(
            answers=len(answers), tokens=sum(answer.response_tokens for answer in answers)
        )
        return answers

    def stream(self, asked: Iterable[tuple[Problem, str]]) -> Iterator[tuple[int, Answer]]:
        """Answer problems as `answer` does, `_ROUNDS` times as many at a time as are asked."""
        return by_parts(self.answer, asked, _ROUNDS * self._workers)

    def _answer(self, problem: Problem) -> Answer:
        import openai

        try:
            found = self._ask(
                problem.content,
                problem.turns,
                seed=seed_of(self._section.seed, problem.id),
                limit=self._section.max_new_tokens,
            )
            answer = until_stop(_read(found, problem.id), self._section.stop)
        except openai.APIError as error:
            line = server.explain(self._access, error, _WHAT)
            if self._is_lost(error):
                raise ServerError(line) from None
            answer = failed(problem.id, line)
        except (ServerError, ValueError) as error:
            answer = failed(problem.id, server.one_line(self._access, str(error)))
        if self._tick:
            self._tick()
        return answer

    def _ask(self, content: str, turns: Sequence[Turn] = (), *, seed: int, limit: int) -> Any:
        """Send one request; whatever comes back is returned as the client read it."""
        messages = [{"role": turn.role, "content": turn.text} for turn in turns]
        messages.append({"role": "user", "content": content})
        if self._system is not None and messages[0]["role"] != "system":
            messages.insert(0, {"role": "system", "content": self._system})
        options: dict[str, Any] = {"temperature": self._section.temperature}
        if self._template:
            # As vLLM, SGLang, llama.cpp and `transformers serve` take them.
            options["extra_body"] = {"chat_template_kwargs": self._template}
        if self._section.temperature > 0:
            options |= {"top_p": self._section.top_p, "seed": seed}
        if self._section.stop:
            options["stop"] = self._section.stop
        return self._connection.chat.completions.create(
            model=self._access.model,
            messages=messages,  # type: ignore[arg-type]  # its types are one for each role
            max_tokens=limit,
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


def _read(found: Any, problem_id: str = "") -> Answer:
    """Return what a server answered.

    Raises:
        ServerError: that is no whole answer.
    """
    try:
        choice = found.choices[0]
        text, end = choice.message.content, choice.finish_reason
        text = "" if text is None else _without_halves(text)
    except (AttributeError, IndexError, TypeError):
        raise ServerError(f"answered what is no chat completion: {found!r:.80}") from None
    if end not in ("stop", "length"):
        raise ServerError(f"an answer ended with {end!r}, neither by itself nor at its limit")
    usage = getattr(found, "usage", None)
    spent = [getattr(usage, name, None) for name in ("prompt_tokens", "completion_tokens")]
    if not all(isinstance(count, int) for count in spent):
        raise ServerError("an answer came without `usage`, so its tokens cannot be counted")
    return Answer(
        problem_id=problem_id,
        text=text,
        prompt_tokens=int(spent[0] or 0),
        response_tokens=int(spent[1] or 0),
        truncated=end == "length",
    )


def _without_halves(text: str) -> str:
    """Replace halves of characters: JSON can hold them alone, no file can."""
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
