"""Substitutes: a neutral filler of the same kind where a span was.

A removal also changes the length and the grammar of a question; a filler leaves both about as they
were, so that what the answers tell is about the words. The fillers are English.
"""

import random
import re
from collections.abc import Sequence

from leaf.prune.guards import WHOLE, cuts_inside
from leaf.recipe import PruneSection
from leaf.records import Counterfactual, Problem, Span

FILLERS = {
    "sentence": (
        "It was a day like any other.",
        "Everyone was in a good mood.",
        "Nothing else happened.",
        "The weather was mild.",
    ),
    "phrase": ("as usual", "as always", "as it happens", "of course"),
    "adverb": ("indeed", "simply", "also", "then"),
    "word": ("something", "anything", "things", "stuff"),
}
"""Texts that say nothing; a number becomes another number of as many digits."""

_NUMBER = re.compile(r"[0-9]+(?:[.,:/][0-9]+)*")
_WORD = re.compile(r"[^\W_]+")
_SENTENCE_END = re.compile(r"[.!?…][\"'”’)\]]*\s*")


def substitutes(
    problem: Problem, found: Sequence[Span], section: PruneSection
) -> list[Counterfactual]:
    """Put `section.substitutes` fillers in place of each span, one counterfactual each.

    A span that no filler fits is one counterfactual that says why. What is drawn for a span depends
    on the seed, the problem and the span alone.
    """
    made: list[Counterfactual] = []
    for span in found:
        texts = _fillers(problem, span, section)
        if isinstance(texts, str):
            made.append(_made(problem, span, len(made), skipped=texts))
        else:
            made += [_made(problem, span, len(made) + at, text) for at, text in enumerate(texts)]
    return made


def kind(question: str, span: Span) -> str | None:
    """Return `number` or a key of `FILLERS`; None: a span that is nothing of a kind."""
    before, body, after = _parts(span.text)
    start, end = span.start + len(before), span.end - len(after)
    cut = (cuts_inside(question, border, WHOLE["word"]) for border in (start, end))
    if not body or any(cut):
        return None
    if _NUMBER.fullmatch(body):
        return "number"
    if len(body.split()) == 1:
        return "adverb" if body.lower().endswith("ly") else "word"
    ahead = question[: span.start].rstrip()
    begins = not ahead or ends_sentence(ahead)
    return "sentence" if begins and ends_sentence(body + after) else "phrase"


def ends_sentence(text: str) -> bool:
    """Whether a text ends with the end of a sentence, spaces after it aside."""
    ends = [found.end() for found in _SENTENCE_END.finditer(text)]
    return bool(ends) and ends[-1] == len(text)


def _parts(text: str) -> tuple[str, str, str]:
    """Part a text into its words and the spaces and marks before and after them."""
    words = list(_WORD.finditer(text))
    if not words:
        return text, "", ""
    start, end = words[0].start(), words[-1].end()
    return text[:start], text[start:end], text[end:]


def _fillers(problem: Problem, span: Span, section: PruneSection) -> list[str] | str:
    """Return what comes in place of a span's text without its spaces, or why nothing does."""
    found = kind(problem.question, span)
    before, body, after = _parts(span.text.strip())
    if found is None:
        return "no filler for marks alone" if not body else "no filler for a piece of a word"
    rng = random.Random(f"{section.seed} {problem.id} {span.start} {span.end}")
    if found == "number":
        texts = _numbers(body, section.substitutes, rng)
    else:
        known = [text for text in FILLERS[found] if text.rstrip(".").lower() != body.lower()]
        texts = rng.sample(known, min(section.substitutes, len(known)))
    if found == "sentence":
        return texts
    if body[0].isupper():
        texts = [text[0].upper() + text[1:] for text in texts]
    return [before + text + after for text in texts]


def _numbers(body: str, times: int, rng: random.Random) -> list[str]:
    """Draw other numbers with the same digits' places; none begins with a 0 of its own."""
    found: dict[str, None] = {}
    # A number of one digit has few others: drawing must end.
    for _ in range(32 * times):
        drawn = re.sub(r"[0-9]", lambda _digit: str(rng.randint(1, 9)), body)
        if drawn != body:
            found.setdefault(drawn)
        if len(found) == times:
            break
    return list(found)


def _made(
    problem: Problem, span: Span, number: int, text: str = "", *, skipped: str | None = None
) -> Counterfactual:
    # The spaces at the span's ends stay.
    core = span.text.strip()
    at = span.start + len(span.text) - len(span.text.lstrip())
    changed = problem.question[:at] + text + problem.question[at + len(core) :]
    return Counterfactual(
        id=f"{problem.id}/sb{number}",
        problem_id=problem.id,
        strategy="substitute",
        spans=(span,),
        question=problem.question if skipped else changed,
        inserted=text,
        skipped=skipped,
    )
