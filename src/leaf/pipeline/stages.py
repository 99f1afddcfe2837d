"""The one way through, from problems to scores: the stages of a run, in order.

problems -> answers -> attributions -> changed questions -> verdicts -> students -> scores. What a
stage computes it hands to `Session.compute`, which finds it in the store or has it computed; what
comes of it stands in `Results`. A stage of one's own: docs/extending.md.
"""

from collections.abc import Callable, Sequence
from functools import cached_property

from leaf.attribute import normalise_scores
from leaf.errors import DataError, LeafError, UsageError
from leaf.generate import check_trainable
from leaf.models.files import find
from leaf.models.vocabulary import check_tokenizers
from leaf.pipeline.answered import Benchmark
from leaf.pipeline.arms import evaluate_arms
from leaf.pipeline.asking import answer_all, still_asked
from leaf.pipeline.benchmarks import load_benchmarks
from leaf.pipeline.detection import Detection
from leaf.pipeline.entering import in_words, shown
from leaf.pipeline.requirements import check_graders, check_needs
from leaf.pipeline.session import Session
from leaf.pipeline.training_sets import (
    ON_OWN_ANSWERS,
    TrainingSet,
    count_responses,
    count_rows,
    references_of,
    responses_of,
    training_arms,
    why_no_row,
)
from leaf.pipeline.ungradable import ungradable
from leaf.progress import say
from leaf.recipe import Recipe
from leaf.recipe.reading import arm_recipes
from leaf.recipe.schema import NOTHING_TAUGHT
from leaf.records import Counterfactual, Drop, NormalisedScores, Problem
from leaf.report import control
from leaf.store.arms import in_order
from leaf.store.results import Cuts, Results
from leaf.store.store import Store
from leaf.store.work import StageLog
from leaf.tasks import read_problems
from leaf.tasks.overlap import overlap


class Pipeline:
    """Runs a recipe stage by stage over a store; every stage resumes where it was."""

    def __init__(self, recipe: Recipe, store: Store) -> None:
        self.recipe = recipe
        self.results = Results()
        self.session = Session(recipe, store)
        self.training_sets: dict[str, TrainingSet] = {}
        """Arm (`kd`, `leaf`) to what it trains on: there after verification, those of arms that
        the recipe names after distillation."""
        self._benchmarks: dict[str, Benchmark] = {}

    @property
    def logs(self) -> list[StageLog]:
        """What became of each stage so far."""
        return self.session.logs

    def run(self, *, until: str, after_stage: Callable[[], None]) -> Results:
        """Run the stages up to and including `until`; `after_stage` is called after each."""
        names = list(STEPS)[: list(STEPS).index(until) + 1]
        for name in names:
            self.session.stage = name
            STEPS[name](self)
            while self.session.notes:
                self.note(self.session.notes.pop(0))
            if name == "problems" and until != name:
                # Before `after_stage`: a run that cannot go on claims no folder.
                self._check_needs(training="distill" in names)
            after_stage()
        return self.results

    # The stages, in order.

    def load_problems(self) -> None:
        """Read the training problems and find both models; nothing long happens before this."""
        recipe = self.recipe
        check_trainable(recipe.student, recipe.generate)
        self.results.problems, refused = read_problems(recipe.data)
        self._refuse("the training data", [str(error) for error in refused])
        self._benchmarks = load_benchmarks(recipe.evaluate, recipe.generate)
        if recipe.evaluate.decontaminate:
            self._decontaminate()
        for name, benchmark in self._benchmarks.items():
            self._refuse(f"benchmark {name}", benchmark.refused)
            self._warn_of_overlap(name, benchmark.problems)
        tests = [problem for one in self._benchmarks.values() for problem in one.problems]
        check_graders([*self.results.problems, *tests])
        student = find(recipe.student)
        teacher = student if recipe.alone else find(recipe.teacher)
        self.session.sources = {"student": student, "teacher": teacher}
        self.results.alone = recipe.alone
        chats = self.session.student_chat, self.session.teacher_chat
        self.results.problems, unshown = shown(self._problems, chats)
        if not self._problems:
            raise DataError(unshown[0])
        self._refuse("the training data", unshown)
        if line := check_tokenizers(*chats, recipe.distill):
            say(line)
        say(f"{len(self.results.problems)} training problems")

    def answer(self) -> None:
        """Let the student answer every training problem, and the teacher those that it must."""
        graded = answer_all(self.session, self._problems)
        self.results.student, self.results.teacher = graded["student"], graded.get("teacher")
        for role, found in graded.items():
            self.results.drops += ungradable("answers", role, found)

    def attribute(self) -> None:
        """Score the questions that the student failed and the teacher solved (Eq. 2 to 5)."""
        detection = self.detection
        self.results.entered = detection.entered
        who = in_words(detection.entered, alone=self.recipe.alone)
        enter = f"{len(detection.chosen)} problems enter detection: {who}"
        say(enter if detection.levels else "nothing is looked for: prune.strategy only puts in")
        self.results.attributions = detection.attribute(self._references())
        self.results.segments = detection.segments
        for problem_id, reason in detection.unsplit.items():
            self.drop("attribute", problem_id, reason)
        within = detection.levels.get("response")
        if within is not None:
            few = len(detection.unsplit)
            short = f"; {few} references have too few steps for it" if few else ""
            say(f"{len(within)} beginnings of responses enter it{short}")
        normalised = [normalise_scores(item) for item in self.results.attributions]
        self.results.focus = [item for item in normalised if isinstance(item, NormalisedScores)]

    def prune(self) -> None:
        """Cut candidate spans out of the questions, as each detector ranks them."""
        attributions = self.results.attributions or []
        self.results.cuts = self.detection.cut(attributions)
        self.results.rankings = self.detection.rankings(attributions)
        main = self._main
        for item in main.counterfactuals:
            if item.skipped:
                self.drop("prune", item.problem_id, item.skipped)
        if self.detection.levels:
            say(
                f"{len(main.tried)} changed questions from {len(self.detection.chosen)} problems"
                + self._in_response(main.tried)
            )

    def verify(self) -> None:
        """Keep as rows the changed questions that are answered right (condition ii)."""
        for text in self.detection.verify(self.results.cuts):
            self.note(text)
        for item in self._main.counterfactuals:
            if item.skipped and item.strategy == "inject":
                self.drop("inject", item.problem_id, item.skipped)
        for verdict in self._main.verdicts or ():
            if not verdict.kept:
                self.drop("verify", verdict.counterfactual_id, verdict.reason)
        for detector, cuts in self.results.cuts.items():
            say(
                f"{detector}: {len(cuts.kept)} of {len(cuts.tried)} changed questions kept"
                + self._in_response(cuts.kept)
            )
        for line in control.in_lines(self.results, self.recipe):
            say(line)
        assert self.results.student  # noqa: S101 - stages run in order
        responses = responses_of(
            self.session, self._problems, self.results.student, self._main, self._references()
        )
        self.training_sets, drops = training_arms(
            self.session, self.detection, responses, self.results.student[1], self._main.kept
        )
        self.results.drops += drops
        for arm, one in self.training_sets.items():
            self.results.rows[arm] = count_rows(one.rows)
            self.results.responses[arm] = count_responses(arm, one.rows, self.recipe, responses)

    def distill(self) -> None:
        """Train students from the same start: the baseline (`kd`, or `rft` alone), LeaF, others.

        The arms that the recipe names go their own way up to here, over the same store.
        """
        arms, section = self.training_sets, self.recipe.distill
        assert self.results.student  # noqa: S101 - stages run in order
        for arm in (arms[self.recipe.baseline], arms["leaf"]):
            if not arm.rows:
                raise why_no_row(self.recipe, self.results.student, arm)
        if not any(row.counterfactual for row in (*arms["leaf"].rows, *arms["leaf"].held_out)):
            self.note("no changed question to train on, so LeaF trained on the originals alone")
        if self.recipe.teaches_nothing:
            self.note(NOTHING_TAUGHT)
        # LeaF's rows hold those of the other: a teacher that is kept on disk is loaded once.
        for name in sorted(arms, key=lambda name: len(arms[name].rows), reverse=True):
            arm = arms[name]
            how = self.session.as_long(arm.rows, section, arms["leaf"].rows)
            if name == "rft":
                how = how.model_copy(update=ON_OWN_ANSWERS)
            student = self.session.student(name, arm.rows, how, arm.held_out)
            self.results.students[name] = student
        students = {arm: self.results.students[arm] for arm in arms}
        whole = arms["leaf"].rows
        alike = section.same == "steps"
        steps = self.session.as_long(whole, section, whole).max_steps if alike else None
        for name, recipe in arm_recipes(self.recipe).items():
            beside = self._beside(name, recipe, steps)
            own = {recipe.baseline: beside.students[recipe.baseline], name: beside.students["leaf"]}
            students = {**own, **students}
            self.results.beside[name] = beside
        self.results.students = {arm: students[arm] for arm in in_order(students)}

    def _beside(self, name: str, recipe: Recipe, steps: int | None) -> Results:
        """Train the students of an arm that the recipe names, for as many steps as the others."""
        if steps is not None:
            distill = recipe.distill.model_copy(update={"max_steps": steps})
            recipe = recipe.model_copy(update={"distill": distill})
        say(f"-- arm {name}")
        pipeline = Pipeline(recipe, self.session.store)
        pipeline.session.called = {"leaf": name}
        results = pipeline.run(until="distill", after_stage=lambda: None)
        self.session.logs += pipeline.session.logs
        for arm, trained_on in pipeline.training_sets.items():
            self.training_sets.setdefault(pipeline.session.called.get(arm, arm), trained_on)
        say("-- all arms")
        return results

    def evaluate(self) -> None:
        """Score the student before and after, by plain distillation and by LeaF."""
        self.results.drops += evaluate_arms(self.session, self._benchmarks, self.results)

    # What the stages share.

    @cached_property
    def detection(self) -> Detection:
        """Stage 1 of this recipe; there once both models have answered."""
        results = self.results
        assert results.student  # noqa: S101 - stages run in order
        return Detection(self.session, self._problems, results.student, results.teacher)

    @property
    def _main(self) -> Cuts:
        """What the recipe's own detector led to."""
        return self.results.cuts[self.recipe.attribute.detector]

    @property
    def _problems(self) -> list[Problem]:
        if self.results.problems is None:
            raise LeafError("the problems are not loaded: stages run in order")
        return self.results.problems

    def _references(self) -> dict[str, str]:
        """Return the reference response of each problem that has one, for detection."""
        reference = self.recipe.attribute.reference
        return references_of(self._problems, reference, self.results.teacher)

    def _in_response(self, found: Sequence[Counterfactual]) -> str:
        """Say how many of some counterfactuals are of the response, where that level is cut."""
        if "response" not in self.recipe.prune.levels:
            return ""
        origins = self.detection.origins
        return f", {sum(item.problem_id in origins for item in found)} of them in the response"

    def _check_needs(self, *, training: bool) -> None:
        """Look for what the long work needs, unless the store shows that it was done already."""
        asked = still_asked(self.session, self._problems)
        training = training and "student" in asked
        check_needs(self.session, asked, self._problems, training=training)

    def _decontaminate(self) -> None:
        """Leave out the training problems that a benchmark has too."""
        met: dict[str, str] = {}
        for name, benchmark in self._benchmarks.items():
            shared = overlap(self._problems, benchmark.problems)
            for one in (*shared.exact, *shared.near):
                how = "word for word" if one.exact else "nearly"
                met.setdefault(one.test_id, f"{how} in benchmark {name}")
        for problem_id, reason in met.items():
            self.drop("problems", problem_id, reason)
        left = [problem for problem in self._problems if problem.id not in met]
        if met:
            self.note(f"{len(met)} training problems are left out: a benchmark has them too")
        if not left:
            raise DataError(
                "no training problem is left: the benchmarks have all of them; with "
                "evaluate.decontaminate: false they are trained on"
            )
        self.results.problems = left

    def _warn_of_overlap(self, name: str, test: Sequence[Problem]) -> None:
        shared = overlap(test, self._problems)
        if shared.exact or shared.near:
            self.note(f"benchmark {name}: {len(test)} problems, {shared}")

    def _refuse(self, where: str, lines: Sequence[str]) -> None:
        """Count the records that could not be read, and say the first of them."""
        for line in lines:
            place, _, reason = line.partition(": ")
            self.drop("problems", place, reason)
        if lines:
            self.note(f"{len(lines)} records of {where} are left out, the first: {lines[0]}")

    def drop(self, stage: str, problem_id: str, reason: str) -> None:
        """Count something that leaves the run, with its reason, for the report."""
        self.results.drops.append(Drop(stage=stage, problem_id=problem_id, reason=reason))

    def note(self, text: str) -> None:
        """Say something that the report shows too."""
        self.results.notes.append(text)
        say(f"note: {text}")


Step = Callable[[Pipeline], None]
"""One stage of a run: it reads and fills `Pipeline.results`."""

STEPS: dict[str, Step] = {
    "problems": Pipeline.load_problems,
    "answers": Pipeline.answer,
    "attribute": Pipeline.attribute,
    "prune": Pipeline.prune,
    "verify": Pipeline.verify,
    "distill": Pipeline.distill,
    "evaluate": Pipeline.evaluate,
}
"""The stages of a run, in order."""

STAGES = tuple(STEPS)
"""Those that ship; what `--until` may name are the keys of `STEPS`."""


def add_stage(name: str, step: Step, *, after: str) -> None:
    """Put a stage of one's own into every run of this process, after another one.

    Raises:
        UsageError: there is a stage of that name, or none to put it after.
    """
    if name in STEPS or after not in STEPS:
        raise UsageError(
            f"stage `{name}` after `{after}`: needs a new name and one of {', '.join(STEPS)}"
        )
    steps = list(STEPS.items())
    steps.insert(list(STEPS).index(after) + 1, (name, step))
    STEPS.clear()
    STEPS.update(steps)
