r"""Programs: found in an answer here, judged by running them in `leaf.grade.sandbox`.

The program of an answer is, in this order:
  1. the last code block that defines the entry point (a program for standard input: the last one
     that says it is Python, or else the last one that says no language);
  2. the longest block, where none defines it;
  3. without blocks, the answer from its first line of code on, where that defines the entry point;
  4. without blocks, an answer that begins indented: it goes on where the question's code ends, as
     HumanEval's completions do.

The language may stand after the fence or alone in the first line of the block. A block without an
end is taken whole. Of an answer that was cut at the token limit, what follows
the last complete top-level statement is left out, and an answer whose entry point was being
written then is not gradable: nobody knows what it would have been. Other harnesses count such
answers, and those without a program, as wrong; here they are the third outcome, and no accuracy
differs, since neither is right.

Everything here takes time linear in the text, and no text of a model is parsed as Python: a crafted
one could take for ever, and this is our own process.
"""

import re
from dataclasses import dataclass, replace

from leaf.grade.grader import Grader, grader
from leaf.grade.judgement import NO_TESTS, NOT_FINISHED, Judgement, Program, ungradable
from leaf.records import Answer, Problem

# Possessive, or a line of a million characters takes the square of that.
_FENCE = re.compile(r"[ \t]*+(?P<marks>`{3,}+|~{3,}+)[ \t]*+(?P<language>[^\s`]*+)[^`]*+")
_NAMED = {"python", "python2", "python3", "py"}
_PYTHON = {"", *_NAMED}

_FIRST_LINE = re.compile(
    r"""^(?:from[ ]+[\w.]+[ ]+import\b|import[ ]+\w
      |(?:async[ ]+)?def[ ]+\w|class[ ]+\w+[ ]*[(:]|@\w)""",
    re.MULTILINE | re.VERBOSE,
)
"""Where a program without a block begins."""

_CODE_LINE = re.compile(
    r"""\s*$                                            # empty
      | [ \t#@)\]}\"']                                  # inside something, or a comment
      | (?:from[ ]+[\w.]+[ ]+import|import[ ]+\w+|(?:async[ ]+)?def[ ]+\w+[ ]*\(|class[ ]+\w+)
      | (?:if|elif|for|while|with|except)\b.*:[ \t]*(?:\#.*)?$
      | (?:else|try|finally)[ ]*:
      | (?:return|assert|raise|del|global|pass)\b
      | [A-Za-z_][\w.]*[(\[]                            # a call, but no word before a bracket
      | [A-Za-z_][\w., \[\]]*[-+*/%|&^]?=               # an assignment
    """,
    re.VERBOSE,
)
"""What a top-level line of a program looks like, where a sentence does not."""

_STATEMENT = re.compile(r"(?!(?:else|elif|except|finally)\b)[^\s)\]}#@]")
"""How a line begins that starts a top-level statement."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Block:
    """A fenced block of an answer."""

    code: str
    python: bool
    """Whether its language is Python, or not said."""
    said: bool
    """Whether it says that it is Python."""
    closed: bool


@grader
class Code(Grader):
    """Right is a program that passes the problem's tests, in a sandbox."""

    name = "code"

    def judge(self, problem: Problem, answer: Answer) -> Judgement | Program:
        """Find the program of an answer, to be run against the problem's tests."""
        if problem.tests is None:
            return ungradable(NO_TESTS)
        name = problem.tests.entry_point.partition("(")[0]
        source = find_program(
            answer.text, name=name, signature=problem.question, truncated=answer.truncated
        )
        if source is None:
            return ungradable(NOT_FINISHED if answer.truncated else "no program found")
        return Program(source=source, tests=problem.tests)


def find_program(
    text: str, *, name: str, signature: str = "", truncated: bool = False
) -> str | None:
    """Return the program that an answer holds, or None.

    Args:
        text: The answer.
        name: Function or class that the program must define; "" for a whole program.
        signature: What an answer may go on from: code that defines `name`, without the end.
        truncated: Whether the answer was cut at the token limit.
    """
    blocks = code_blocks(text)
    if not blocks:
        return _without_block(text, name, signature, truncated)
    cut = truncated and not blocks[-1].closed
    if cut:
        blocks[-1] = replace(blocks[-1], code=_complete(blocks[-1].code))
    defining = [block for block in blocks if name and _defines(block.code, name)]
    if defining:
        return defining[-1].code
    if cut:
        return None
    python = [block for block in blocks if block.python] or blocks
    if not name:
        # What says no language is often an example of the input or the output.
        return ([block for block in python if block.said] or python)[-1].code
    longest = max(python, key=lambda block: len(block.code)).code
    return _continued(longest, name, signature) or longest


def code_blocks(text: str) -> list[Block]:
    """Return the fenced blocks of a text that are not blank, in order; the last may have no end."""
    blocks: list[Block] = []
    fence: re.Match[str] | None = None
    lines: list[str] = []

    def end(*, closed: bool) -> None:
        # Small models write the language below the fence; as a statement it is a NameError.
        language = fence["language"].lower() if fence else ""
        if fence and not language and lines and lines[0].strip().lower() in _NAMED:
            language = lines.pop(0).strip().lower()
        code = "\n".join(lines)
        if fence and code.strip():
            python, said = language in _PYTHON, language in _NAMED
            blocks.append(Block(code=code, python=python, said=said, closed=closed))
        lines.clear()

    for line in text.split("\n"):
        mark = _FENCE.fullmatch(line)
        if fence is None:
            fence = mark
        elif mark and mark["marks"].startswith(fence["marks"]):
            end(closed=True)
            # A language begins the next block, also where the end of this one was forgotten.
            fence = mark if mark["language"] else None
        else:
            lines.append(_outdented(line, fence.start("marks")))
    end(closed=False)
    return blocks


def _without_block(text: str, name: str, signature: str, truncated: bool) -> str | None:
    continued = _continued(text, name, signature)
    if continued:
        return continued if not truncated or _defines(_complete(continued), name) else None
    first = _FIRST_LINE.search(text)
    if not first:
        return None
    lines = text[first.start() :].split("\n")
    end = next((at for at, line in enumerate(lines) if not _CODE_LINE.match(line)), None)
    code = "\n".join(lines[:end]).rstrip()
    if truncated and end is None:
        code = _complete(code)
    # Standard input: nothing tells the program from a part of it, so only an answer that is code
    # throughout counts.
    whole = not name and not truncated and end is None and not text[: first.start()].strip()
    return code if whole or (name and _defines(code, name)) else None


def _continued(text: str, name: str, signature: str) -> str | None:
    """Return the signature and the body that a text begins with, or None where it has none."""
    lines = text.split("\n")
    first = next((at for at, line in enumerate(lines) if line.strip()), None)
    if first is None or not lines[first][0].isspace() or not name or not _defines(signature, name):
        return None
    end = next(
        (at for at in range(first, len(lines)) if not _CODE_LINE.match(lines[at])), len(lines)
    )
    return f"{signature}\n" + "\n".join(lines[first:end])


def _defines(code: str, name: str) -> bool:
    said = re.escape(name)
    defined = rf"^(?:(?:async[ \t]+)?def|class)[ \t]+{said}\b|^{said}[ \t]*=(?!=)"
    return bool(re.search(defined, code, re.MULTILINE))


def _complete(code: str) -> str:
    """Return a program without its last top-level statement, which may have been cut."""
    lines = code.split("\n")
    last = max((at for at, line in enumerate(lines) if _STATEMENT.match(line)), default=0)
    while last > 0 and lines[last - 1].startswith("@"):
        last -= 1
    return "\n".join(lines[:last])


def _outdented(line: str, width: int) -> str:
    """Return a line without the indentation of the fence around it, as in a list."""
    head = line[:width]
    return line[width:] if not head.strip() else line
