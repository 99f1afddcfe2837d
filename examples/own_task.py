"""A task of your own: a text file with a question, a tab and the answer on each line."""

from pathlib import Path

from leaf.errors import DataError
from leaf.recipe import DataSection
from leaf.records import Problem
from leaf.tasks import TASKS


def riddles(section: DataSection) -> list[Problem | DataError]:
    """Read `data.path`; a line that is no riddle stands in the list as its error."""
    path = Path(section.path or "riddles.tsv")
    found: list[Problem | DataError] = []
    for number, line in enumerate(path.read_text(encoding="utf-8").split("\n"), start=1):
        question, tab, answer = line.partition("\t")
        if line and not tab:
            found.append(DataError(f"{path}:{number}: no tab between question and answer"))
        elif line:
            name = f"riddle-{number}"
            found.append(Problem(id=name, question=question, answer=answer, solution=""))
    return found


TASKS["riddles"] = riddles
