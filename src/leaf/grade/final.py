r"""Where a response says its final answer: the marks that all graders of texts look for.

In this order: the last complete `\boxed{...}`; the last `<answer>...</answer>`; a GSM8K-style
`#### 18`; the last `answer is ...` or `Answer: ...`, in several languages. The last one of a kind
wins, since models correct themselves.

What counts of a response at all says `spoken`: not what a model thought before it answered, and
not the next question that a model without an end of turn makes up and answers.
"""

import re
from dataclasses import dataclass, replace
from enum import StrEnum

from leaf.records import Answer
from leaf.text.latex import boxes


class Mark(StrEnum):
    """How the final answer was marked."""

    BOXED = "boxed"
    TAGGED = "tagged"
    HASHES = "hashes"
    STATED = "stated"


@dataclass(frozen=True, kw_only=True, slots=True)
class FinalAnswer:
    """A marked final answer."""

    text: str
    """Not empty. `stated`: a sentence that holds the answer; else the answer itself."""
    mark: Mark


# Every pattern here takes time linear in the text: hostile answers are read in our own process.
_BARE_NUMBER = re.compile(r"[-+$]{0,2}[0-9][0-9,]*(\.[0-9]+)?%?")
_WORD = re.compile(r"[A-Za-z]{2}")
_AFTER_MARK = r"(?:[\s*_:：]|\\\[|\$\$){0,12}"
STATED = re.compile(
    r"(?:\banswer[\s*_]{0,4}(?:is\b|are\b|[:=：])"
    r"|\bAntwort[\s*_]{0,4}(?:ist\b|lautet\b|beträgt\b|[:=])"
    r"|\br[ée]ponse(?: finale)?[\s*_]{0,4}(?:est\b|[:=])"
    r"|\brespuesta(?: final| correcta)?[\s*_]{0,4}(?:es\b|[:=])"
    r"|\bresposta(?: final)?[\s*_]{0,4}(?:é\b|[:=])|\brisposta(?: finale)?[\s*_]{0,4}(?:è\b|[:=])"
    r"|(?:答案|答え|答|正解|정답|답)[\s*_]{0,4}(?:应该是|應該是|等于|等於|[是为為は은는]|(?=不是|不等)|[:=：])"
    rf"){_AFTER_MARK}",
    re.IGNORECASE,
)
"""What stands before a stated answer, in English, German, French, Spanish, Portuguese, Italian,
Chinese, Japanese and Korean."""

_SENTENCE_END = re.compile(r"[.!?](?=\s|$)|[。！？]|\n|\\\]|\$\$")
_TAG = re.compile(r"<(/?)answer>", re.IGNORECASE)
# Quoted, it is a text about such tags, or a program's.
_THOUGHT = re.compile(
    r"(?<![\"'`])(?:</?(?:think|thinking|thoughts?|reasoning|seed:think)>|\[/?THINK\]|◁/?think▷)",
    re.IGNORECASE,
)
_QUESTION = re.compile(
    r"^[#>*_ ]{0,8}(?:Question|Q|Problem|Exercise|Instruction|Human|User|Frage|Pregunta|Pergunta"
    r"|问题|問題|题目|題目|질문|문제)[*_ ]{0,4}[:：]",
    re.MULTILINE,
)
_FIRST_MARK = re.compile(
    rf"\\(?:boxed|fboxe?d?)\s*\{{|<answer>|####[ ]{{0,9}}[-+$]{{0,2}}[0-9]|{STATED.pattern}",
    re.IGNORECASE,
)


def final_answer(text: str, *, truncated: bool = False) -> FinalAnswer | None:
    """Return the marked final answer of a response, or None where nothing is marked.

    A `truncated` text may have been cut inside a number, so there an answer without a box counts
    only when its line or sentence was ended.
    """
    if boxed := boxes(text):
        return FinalAnswer(text=boxed[-1], mark=Mark.BOXED)
    if tagged := _last_tagged(text):
        return FinalAnswer(text=tagged, mark=Mark.TAGGED)
    if hashes := _last_hashes(text.rpartition("\n")[0] if truncated else text):
        return FinalAnswer(text=hashes, mark=Mark.HASHES)
    if stated := last_statement(text, truncated=truncated):
        return FinalAnswer(text=stated, mark=Mark.STATED)
    return None


def given_answer(text: str) -> str | None:
    """Return what the last complete box holds, or the last answer tag, or None."""
    boxed = boxes(text)
    return boxed[-1] if boxed else _last_tagged(text)


def without_reasoning(text: str) -> str:
    """Return what a model said outside its thoughts: what stands after them, if there is any.

    Thoughts stand in `<think>...</think>` and the like. The opening tag is left out where the chat
    template writes it; without a closing one, all that follows is thought.
    """
    tags = list(_THOUGHT.finditer(text))
    closing = [at for at, tag in enumerate(tags) if "/" in tag.group()]
    if not tags:
        return text
    opens_after = tags[closing[-1] + 1 :] if closing else tags
    end = opens_after[0].start() if opens_after else len(text)
    start = tags[closing[-1]].end() if closing else 0
    if after := text[start:end].strip():
        return after
    # Nothing stands after the thoughts; some models answer first, and think aloud then.
    first = next((tag.start() for tag in tags if "/" not in tag.group()), 0)
    return text[:first].strip() if not closing or first < tags[closing[0]].start() else ""


def spoken(answer: Answer) -> Answer:
    """Return an answer without the questions that a model goes on to ask itself and to answer.

    The first answer counts. A text that begins with a question cuts its task into smaller ones, so
    it is left whole.
    """
    text = answer.text
    begin = len(text) - len(text.lstrip())
    if _QUESTION.match(text, begin):
        return answer
    question = _QUESTION.search(text, begin)
    if question is None:
        return answer
    mark = _FIRST_MARK.search(text, begin, question.start())
    before = text[: question.start()].rstrip()
    # Without a mark it may be an introduction; then what follows is no pattern gone on with.
    if not mark and (before.endswith((":", "：")) or not STATED.search(text, question.end())):
        return answer
    return replace(answer, text=before, truncated=False)


def last_statement(text: str, *, truncated: bool = False) -> str | None:
    """Return the sentence after the last `answer is`, without its end, or None."""
    end: re.Match[str] | None = None
    upto = len(text)
    for start in reversed([match.end() for match in STATED.finditer(text)]):
        # From here to the next mark; beyond, the end is that of the sentence there.
        end, upto = _SENTENCE_END.search(text, start, upto) or end, start
        if truncated and (end is None or end.end() == len(text)):
            continue
        if sentence := text[start : end.start() if end else len(text)].strip(" \t*_"):
            return sentence
    return None


def _last_tagged(text: str) -> str | None:
    closed, found = False, ""
    for tag in reversed(list(_TAG.finditer(text))):
        if tag[1]:
            closed, end = True, tag.start()
        elif closed:
            found = text[tag.end() : end].strip()
            break
    return found or None


def _last_hashes(text: str) -> str | None:
    # "#### Step 2: ..." is a heading of many chat models. An answer is a number alone on its line,
    # or stands on the last line and does not begin with a word.
    for lines_after, line in enumerate(reversed(text.strip().splitlines())):
        _before, mark, said = line.rpartition("####")
        said = said.strip()
        stands_last = lines_after == 0 and said != "" and not _WORD.match(said)
        if mark and (stands_last or _BARE_NUMBER.fullmatch(said)):
            return said
    return None
