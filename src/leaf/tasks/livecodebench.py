r"""LiveCodeBench: contest problems by date (hub id `livecodebench/code_generation_lite`, or file).

A record of lcb_v1_400_public_tests.jsonl holds
    question_id:       2727
    question_content:  You are given a 0-indexed array of strings details. ...
    contest_date:      2023-05-13T00:00:00
    starter_code:      class Solution:
                           def countSeniors(self, details: List[str]) -> int:
    metadata:          {"func_name": "countSeniors"}
    public_test_cases: [{"input": "[\"7868190130M7522\", ...]", "output": "2", ...}, ...]
and becomes the problem
    id:       livecodebench_public/2727
    before:   what LiveCodeBench asks chat models
    question: the content
    after:    the starter code and the form of the answer
    tests:    entry point `Solution().countSeniors`; a case for each test

Without starter code a whole program is asked for, that reads standard input: no entry point. The
data hold no solutions, so detection takes the teacher's (`attribute.reference: teacher`).

On the hub `name` is a release, `release_v1` to `release_v6` (null: release_v4, 713 problems up to
September 2024); `since` and `before_date` take a window of the contest dates of any source. The hub
also holds private tests, which decide most verdicts: with them the id is `livecodebench/2727`. A
record with public tests alone says so in its id, as above: a right answer there is right on two or
three examples.

Private tests are JSON, or base64 of zlib of a *pickle* of that JSON, and loading a pickle runs what
it says. So it is not loaded: its instructions are only listed (`pickletools.genops` runs nothing),
and a record is refused where they are anything but one text.
"""

import base64
import binascii
import pickletools
import zlib
from pathlib import Path
from typing import Any

from leaf.errors import DataError, nearest
from leaf.recipe import DataSection
from leaf.records import Case, Problem, Tests
from leaf.store.hub import hub_or_cache, unreached
from leaf.tasks.coding import CONTEST, contest_end, is_published, unix
from leaf.tasks.reading import Row, each, json_of, optional_text_of, read_rows, text_of
from leaf.tasks.task import rows_of, task

HUB = "livecodebench/code_generation_lite"

_RELEASES = {
    f"release_v{last}": tuple(
        f"test{'' if number == 1 else number}.jsonl" for number in range(1, last + 1)
    )
    for last in range(1, 7)
}
"""Each release adds a file to those before it."""

_MODULES = (
    "string",
    "re",
    "datetime",
    "collections",
    "heapq",
    "bisect",
    "copy",
    "math",
    "random",
    "statistics",
    "itertools",
    "functools",
    "operator",
    "io",
    "sys",
    "json",
)

IMPORTS = "\n".join(
    [
        *(f"from {module} import *" for module in (*_MODULES, "builtins", "typing")),
        *(f"import {module}" for module in _MODULES),
        "sys.setrecursionlimit(50000)",
    ]
)
"""What LiveCodeBench puts before every program."""

_TEXTS = frozenset({"SHORT_BINUNICODE", "BINUNICODE", "BINUNICODE8", "UNICODE"})
_AROUND_TEXTS = frozenset({"PROTO", "FRAME", "MEMOIZE", "BINPUT", "LONG_BINPUT", "PUT", "STOP"})
"""Instructions of a pickle that make a text, and those around it that make nothing."""

_LARGEST = 2**28
"""Bytes of one record's private tests at most: a small text may unpack to any size."""


@task("livecodebench")
def livecodebench(section: DataSection) -> list[Problem | DataError]:
    """Read a release of LiveCodeBench from the hub, or `section.path`, in the order of the file."""
    if section.path is not None and section.path != HUB:
        rows = rows_of(section, HUB, split="test")
    else:
        rows = [
            row
            for path in _fetched(section.name or "release_v4")
            for row in read_rows(str(path), name=None, split="test")
        ]
    return each(rows, lambda row: _problem(row, section))


def _fetched(release: str) -> list[Path]:
    """Return the files of a release; `datasets` refuses this data set, as it brings a script."""
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import HfHubHTTPError

    if release not in _RELEASES:
        raise DataError(
            f"livecodebench: no release `{release}`{nearest(release, _RELEASES) or ';'} "
            f"there are: {', '.join(_RELEASES)}"
        )
    try:
        with hub_or_cache(data=True) as reached:
            return [
                Path(hf_hub_download(HUB, file, repo_type="dataset")) for file in _RELEASES[release]
            ]
    except (OSError, HfHubHTTPError) as error:
        local = "a local .jsonl file as `path`"
        said = f"{str(error).strip().splitlines()[0]}; check the connection, or give {local}"
        why = said if reached else unreached(local, data=True)
        raise DataError(f"{HUB} {release}: cannot be loaded: {why}") from None


def _problem(row: Row, section: DataSection) -> Problem | None:
    if not is_published(section, row.values.get("contest_date"), row.place):
        return None
    private = _private_cases(row)
    cases = (*_cases(text_of(row, "public_test_cases"), row, "public_test_cases"), *private)
    if not cases:
        raise DataError(f"{row.place}: column `public_test_cases` is empty: a program needs tests")
    starter = unix(optional_text_of(row, "starter_code"))
    family = "livecodebench" if private else "livecodebench_public"
    return Problem(
        id=f"{family}/{text_of(row, 'question_id')}",
        question=unix(text_of(row, "question_content")).strip(),
        answer="",
        solution="",
        before=CONTEST,
        after=contest_end(starter),
        grader="code",
        tests=Tests(
            entry_point=f"Solution().{_function(row)}" if starter else "",
            preamble=IMPORTS,
            cases=cases,
        ),
    )


def _function(row: Row) -> str:
    metadata: Any = row.values.get("metadata")
    found = json_of(metadata, row, "metadata") if isinstance(metadata, str) else metadata
    name = found.get("func_name") if isinstance(found, dict) else None
    if not isinstance(name, str) or not name.isidentifier():
        raise DataError(f"{row.place}: column `metadata` must name the method as `func_name`")
    return name


def _cases(text: str, row: Row, column: str) -> tuple[Case, ...]:
    found = json_of(text, row, column)
    try:
        return tuple(Case(given=str(one["input"]), expected=str(one["output"])) for one in found)
    except (KeyError, TypeError):
        raise DataError(
            f"{row.place}: column `{column}` must hold a list of tests with `input` and `output`"
        ) from None


def _private_cases(row: Row) -> tuple[Case, ...]:
    column = "private_test_cases"
    text: Any = row.values.get(column)
    if not text:
        return ()
    if not isinstance(text, str):
        raise DataError(f"{row.place}: column `{column}` must hold a text, but is {text!r:.60}")
    if not text.lstrip().startswith("["):
        text = _text_of_pickle(_unpacked(text, row, column), row, column)
    return _cases(text, row, column)


def _unpacked(text: str, row: Row, column: str) -> bytes:
    unpacker = zlib.decompressobj()
    try:
        data = unpacker.decompress(base64.b64decode(text, validate=True), _LARGEST)
    except (binascii.Error, ValueError, zlib.error) as error:
        raise DataError(
            f"{row.place}: column `{column}` is neither JSON nor base64 of zlib: {error}"
        ) from None
    if unpacker.unconsumed_tail or not unpacker.eof:
        raise DataError(f"{row.place}: column `{column}` is cut, or unpacks to over 256 MiB")
    return data


def _text_of_pickle(data: bytes, row: Row, column: str) -> str:
    """Return the one text that a pickle holds, without loading it."""
    texts: list[str] = []
    try:
        for instruction, argument, _place in pickletools.genops(data):
            if instruction.name not in _TEXTS | _AROUND_TEXTS:
                raise DataError(
                    f"{row.place}: column `{column}` is a pickle that does more than hold a text "
                    f"({instruction.name}); it is never loaded"
                )
            if instruction.name in _TEXTS:
                texts.append(str(argument))
    except (ValueError, UnicodeError) as error:
        raise DataError(f"{row.place}: column `{column}` is not a pickle: {error}") from None
    if len(texts) != 1:
        raise DataError(f"{row.place}: column `{column}` must hold one text, but has {len(texts)}")
    return texts[0]
