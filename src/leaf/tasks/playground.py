"""The demo world (`leaf.playground`): problems made from a seed, their distractors known.

With `world: {size: 1, seed: 0}` the split `both` is the one problem
    id:          playground-both-1
    question:    Hugo lives at number 5. At first Ben has 9 hats. Yesterday, Carl gives 4 hats to
                 Ben. How many hats does Ben have now?
    answer:      13
    solution:    9 + 4 = 13
    distractors: one of kind `numeric`: "Hugo lives at number 5. ", one of kind `cue`: "Yesterday, "

The split `train` distracts as often as `world` says. The test splits share no problem with it, and
distract always in their own way: `clean` (not at all), `agree` and `conflict` (with a cue for the
right and for the wrong operation), `numeric`, and `both` (a conflicting cue and a numeric one).
"""

from itertools import islice

from leaf.errors import DataError, nearest
from leaf.playground import SPLITS, Mixture, puzzles
from leaf.recipe import DataSection
from leaf.records import Problem
from leaf.tasks.task import task


@task("playground", evaluation="conflict")
def playground(section: DataSection) -> list[Problem | DataError]:
    """Make the problems of `section.split` (null: `train`)."""
    split = section.split or "train"
    world = section.world
    if split != "train" and split not in SPLITS:
        names = ("train", *SPLITS)
        raise DataError(
            f"playground: no split `{split}`{nearest(split, names) or ';'} "
            f"there are: {', '.join(names)}"
        )
    own = Mixture(cues=world.cues, agreement=world.agreement, asides=world.asides)
    made = puzzles(SPLITS.get(split, own), test=split != "train", seed=world.seed)
    return [
        Problem(
            id=f"playground-{split}-{number}",
            question=puzzle.question,
            answer=str(puzzle.answer),
            solution=puzzle.solution,
            distractors=puzzle.distractors,
        )
        for number, puzzle in enumerate(islice(made, world.size), start=1)
    ]
