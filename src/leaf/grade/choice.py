"""Scores multiple choice: which of the options that end the question does an answer name?

Options are lines `B. Paris` (or `2. Paris`) at the end of the question; a question without any has
the labels A to H. The final answer (that of `qa`; where nothing marks it the last line, else the
first) names an option
    by its label   `B`, `(b)`, `B.`, `B) Paris`, `**B**`, `option B`
    by its text    `Paris`, `It is Paris.`      (of two that stand there, one inside the other, the
                                                 longer)
Two options, or a label that is denied (`not B`), are wrong; no option is not gradable.
"""

import re
from collections.abc import Mapping
from functools import lru_cache

from leaf.grade.final import spoken
from leaf.grade.grader import Grader, grader
from leaf.grade.hedged import HEDGED, SEVERAL
from leaf.grade.judgement import NOT_FINISHED, Judgement, decided, ungradable
from leaf.grade.qa import Final, final_text, normalised
from leaf.records import Answer, Outcome, Problem

_OPTION = re.compile(r"([A-Za-z0-9]{1,3})\. (\S.*)")
_DENIED = re.compile(r"(?:\bnot|n['’]t|\bnever|\bneither|\bexcept)\W+(?:\w+\W+)?$", re.IGNORECASE)
_LETTERS = "ABCDEFGH"


@grader
class Choice(Grader):
    """Right is the option that the gold names, by its label or its text."""

    name = "choice"

    def judge(self, problem: Problem, answer: Answer) -> Judgement:
        """Find the option that the final answer names."""
        answer = spoken(answer)
        options = options_of(problem.question) or dict.fromkeys(_LETTERS, "")
        final = final_text(answer.text)
        named, denied = _named(final, answer.text, options)
        if answer.truncated and not (final.marked and final.ended):
            return ungradable(NOT_FINISHED)
        if not named:
            return ungradable("names none of the options", final.text or None)
        if len(named) > 1 or denied:
            reason = HEDGED if denied else SEVERAL
            return Judgement(outcome=Outcome.WRONG, extracted=final.text, reason=reason)
        return decided(named == {_label(problem.answer, options)}, named.pop())

    def gold_text(self, problem: Problem) -> str:
        """Say the gold answer as its label."""
        return f"Answer: {problem.answer}"


def options_of(question: str) -> dict[str, str]:
    """Return label and text of the options that end a question, in order."""
    found: dict[str, str] = {}
    for line in reversed(question.rstrip().splitlines()):
        match = _OPTION.fullmatch(line.strip())
        if match is None or match[1] in found:
            break
        found[match[1]] = match[2]
    return dict(reversed(found.items())) if len(found) > 1 else {}


def _label(gold: str, options: Mapping[str, str]) -> str:
    """Return the label that a gold is, or whose text it is."""
    said = gold.strip()
    plain, text = said.strip("().[]"), normalised(gold)
    # As it stands, then without case; a label before the text of another option.
    found = (
        [label for label in options if label == plain],
        [label for label, option in options.items() if option and option == said],
        [label for label in options if label.casefold() == plain.casefold()],
        [label for label, option in options.items() if option and normalised(option) == text],
    )
    return next((labels[0] for labels in found if labels), gold)


def _named(final: Final, text: str, options: Mapping[str, str]) -> tuple[set[str], bool]:
    """Return the options that an answer names, and whether it denies one."""
    lines = [line for line in text.splitlines() if line.strip()]
    # The first line of an unmarked answer may be the beginning of its reasons.
    said = [final.text] if final.marked else [*lines[-1:], final.text]
    for one in said:
        if found := _labels(one, tuple(options)):
            return found
    for one in said:
        if texts := _texts(one, options):
            return texts, False
    return set(), False


def _labels(text: str, labels: tuple[str, ...]) -> tuple[set[str], bool] | None:
    listed, single = _patterns(labels)
    text = text.strip()
    by_name = {label.casefold(): label for label in labels}
    if found := listed.match(text):
        return {by_name[one.casefold()] for one in single.findall(found.group())}, False
    for pattern in _forms(labels):
        marks = list(pattern.finditer(text))
        if marks:
            named = {by_name[mark[1].casefold()] for mark in marks}
            return named, any(_DENIED.search(text[: mark.start(1)]) for mark in marks)
    return None


@lru_cache(maxsize=64)
def _patterns(labels: tuple[str, ...]) -> tuple[re.Pattern[str], re.Pattern[str]]:
    """Return what finds a list of several labels, and each label in it."""
    one = "|".join(map(re.escape, labels))
    mark = rf"[(\[*]{{0,3}}(?:{one})[)\]*.]{{0,4}}"
    joint = r"(?:\s*[,;/&]\s*(?:and |or )?|\s+(?:and|or)\s+)"
    listed = rf"(?:both |either |options? |choices? )?{mark}(?:{joint}{mark})+(?!\w)"
    return re.compile(listed), re.compile(rf"(?<!\w)(?:{one})(?!\w)")


@lru_cache(maxsize=64)
def _forms(labels: tuple[str, ...]) -> tuple[re.Pattern[str], ...]:
    """Return what finds a label by itself, at the beginning, in brackets and after its name."""
    one = f"({'|'.join(map(re.escape, labels))})"
    return (
        re.compile(rf"^\W{{0,6}}{one}\W{{0,6}}$", re.IGNORECASE),
        re.compile(rf"^[(\[*\s]{{0,6}}{one}[)\]*\s]{{0,4}}[.):\]](?=\W|$)"),
        re.compile(rf"[(\[]\s?{one}\s?[)\]]", re.IGNORECASE),
        # `a` and `I` before a small letter are words.
        re.compile(
            r"(?:\b(?i:option|choice|letter|answer|is|not|so|thus|therefore|hence"
            r"|pick|picked|choose|chose|select|selected|with)|['’]s)"
            rf"\W{{1,4}}{one}(?!\w)(?:(?<![AI])|(?!\s+[a-z]))"
        ),
    )


def _texts(text: str, options: Mapping[str, str]) -> set[str]:
    """Return the options whose text stands in a text, but for those inside another one there."""
    whole = f" {normalised(text)} "
    plain = {label: f" {normalised(option)} " for label, option in options.items()}
    there = {label: option for label, option in plain.items() if option.strip() and option in whole}
    return {
        label
        for label, option in there.items()
        if not any(option in other and option != other for other in there.values())
    }
