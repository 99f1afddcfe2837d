"""Stage 1: what distracts the student. Attribution, cuts by each detector, verification."""

from collections.abc import Iterator, Mapping, Sequence
from functools import partial

from leaf.attribute import Detector, ranked_units
from leaf.grade.final import final_answer
from leaf.pipeline.control import control
from leaf.pipeline.detectors import (
    Measured,
    counts_like,
    cut_question,
    evidence_of,
    measure,
    takes_gradient,
    unmeasured,
)
from leaf.pipeline.entering import entering, in_time
from leaf.pipeline.injection import put_in
from leaf.pipeline.levels import at_level, cutting
from leaf.pipeline.session import Session
from leaf.pipeline.workers import CutWorker
from leaf.prune import segments
from leaf.recipe import PruneSection
from leaf.records import (
    Attribution,
    Counterfactual,
    Problem,
    Verdict,
)
from leaf.store.keys import digest, plain, user_code_digest
from leaf.store.ledger import Ranking
from leaf.store.results import Cuts, Graded, by_id
from leaf.store.work import About
from leaf.verify import judge, pruned_problems


class Detection:
    """Stage 1 of one recipe, on the problems that the student failed and the teacher solved."""

    def __init__(
        self,
        session: Session,
        problems: Sequence[Problem],
        student: Graded,
        teacher: Graded | None,
    ) -> None:
        """Hold what both models answered; without a teacher the student alone decides."""
        self.session = session
        self.problems = {problem.id: problem for problem in problems}
        self.solved = [
            problem for problem, score in zip(problems, student[1], strict=True) if score.right
        ]
        """Problems that the student answers right."""
        self.entered = entering(problems, student, teacher, session.recipe.attribute.enter)
        """Problem to how the student failed it, of those that enter detection."""
        self.chosen = [problem for problem in problems if problem.id in self.entered]
        """Problems that enter detection."""
        self.segments: dict[str, list[Problem]] = {}
        """Problem to the response-level problems made of its reference; there once scored."""
        self.unsplit: dict[str, str] = {}
        """Problem to why its reference could not be cut into segments."""
        self._said = {
            role: {answer.problem_id: answer.text for answer in answers}
            for role, (answers, _) in (("student", student), ("teacher", teacher or ([], [])))
        }
        """Each model's answers to the whole questions."""
        self._measured: dict[str, dict[str, Measured]] = {}
        """Detector, then problem: what it goes by other than the gradient."""

    @property
    def levels(self) -> dict[str, list[Problem]]:
        """The recipe's levels, instruction first, and what is scored and cut at each.

        Each level has results of its own in the store: to add one computes the other not again.
        """
        every = {
            "instruction": self.chosen,
            "response": [item for found in self.segments.values() for item in found],
        }
        named = self.session.recipe.prune.levels
        section = self.session.recipe.prune
        return {
            level: found
            for level, found in every.items()
            if level in named and at_level(section, level).cuts
        }

    @property
    def origins(self) -> dict[str, str]:
        """Response-level problem to the problem whose response it begins."""
        return {item.id: origin for origin, found in self.segments.items() for item in found}

    @property
    def every_problem(self) -> dict[str, Problem]:
        """All problems by id, those of the response level with them."""
        within = (item for found in self.segments.values() for item in found)
        return {**self.problems, **{item.id: item for item in within}}

    @property
    def detectors(self) -> list[str]:
        """The recipe's detector, then its controls."""
        section = self.session.recipe.attribute
        return list(dict.fromkeys([section.detector, *section.controls]))

    @property
    def takes_gradient(self) -> bool:
        """Whether the gradient is taken: where a detector goes by it, and for no other."""
        every = [self.session.detector(name) for name in self.detectors]
        return takes_gradient(every, alone=self.session.recipe.alone)

    def attribute(self, references: Mapping[str, str]) -> list[Attribution]:
        """Score the chosen questions under both models (Eq. 2), and as other detectors do.

        At response level the beginnings of their references are scored, by the rest of these.
        """
        if "response" in self.session.recipe.prune.levels:
            self._split(references)
        every: list[Attribution] = []
        for problems in self.levels.values():
            pairs = [
                (item, item.solution if item.prompt else references.get(item.id, ""))
                for item in problems
            ]
            if self.takes_gradient:
                gradient = self.session.attributions("gradient", pairs)
            else:
                gradient = [unmeasured(self.session, *pair) for pair in pairs]
            for detector in self.detectors:
                found = measure(
                    self.session,
                    self.session.detector(detector),
                    pairs,
                    gradient,
                    teacher=not self.session.recipe.alone,
                )
                measured = self._measured.setdefault(detector, {})
                measured.update({item.problem_id: item for item in found})
            every += gradient
        return every

    def _split(self, references: Mapping[str, str]) -> None:
        """Cut the references of the chosen problems into segments, or note why not."""
        count = self.session.recipe.prune.segments
        for problem in self.chosen:
            reference = references.get(problem.id, "")
            found = segments(problem, reference, count, lambda text: final_answer(text) is not None)
            if isinstance(found, str):
                self.unsplit[problem.id] = found
            else:
                self.segments[problem.id] = found

    def cut(self, attributions: Sequence[Attribution]) -> dict[str, Cuts]:
        """Cut candidate spans out of the questions, as each detector ranks them (Eq. 3 to 5)."""
        return {
            detector: Cuts(
                counterfactuals=[
                    item
                    for level in self.levels
                    for item in self._cut(detector, level, attributions)
                ]
            )
            for detector in self.detectors
        }

    def rankings(self, attributions: Sequence[Attribution]) -> dict[str, tuple[Ranking, ...]]:
        """Return what each detector ranked in each problem, the recipe's own detector first."""
        problems = self.every_problem
        return {
            item.problem_id: tuple(
                ranking
                for detector in self.detectors
                for ranking in self._rankings(detector, problems[item.problem_id], item)
            )
            for item in attributions
        }

    def verify(self, cuts: Mapping[str, Cuts]) -> list[str]:
        """Let both models answer what was cut (condition ii), then put in what the recipe says.

        Returns:
            What people should be told of it.
        """
        for detector, found in cuts.items():
            found.verdicts = self._verdicts(found.tried, detector, "pruned")
            asked = partial(self.drafts, "student")
            control(self.session, detector, self.every_problem, found, asked)
        return put_in(self, cuts[self.detectors[0]])

    def said(self, role: str, problem: Problem) -> str:
        """Return what a model answered to a whole question."""
        return self._said[role][problem.id]

    def drafts(self, role: str, tried: Sequence[Counterfactual]) -> dict[str, str]:
        """Return a likely answer to each changed question.

        It is what the model said to the whole one; of a begun response the rest of the reference.
        """
        rest = {item.id: item.solution for items in self.segments.values() for item in items}
        likely = {**self._said[role], **rest}
        return {item.id: likely.get(item.problem_id, "") for item in tried}

    def cuts_with(
        self, section: PruneSection, attributions: Sequence[Attribution]
    ) -> list[Counterfactual]:
        """Cut as the recipe's own detector would with other settings; nothing is stored."""
        name = self.detectors[0]
        measured = self._measured.get(name, {})
        problems = self.every_problem
        return [
            counterfactual
            for item in attributions
            for counterfactual in self._cut_one(
                name,
                problems[item.problem_id],
                item,
                measured.get(item.problem_id),
                at_level(section, problems[item.problem_id].level),
            )
        ]

    def judged(self, tried: Sequence[Counterfactual]) -> list[Verdict]:
        """Let both models answer cut questions, whoever cut them (condition ii)."""
        return self._verdicts(tried, self.detectors[0], "pruned")

    def _rankings(
        self, detector: str, problem: Problem, attribution: Attribution
    ) -> Iterator[Ranking]:
        """Yield a ranking for each kind of unit that has one."""
        recipe, ranks = self.session.recipe, self.session.detector(detector)
        measured = self._measured.get(detector, {}).get(problem.id)
        evidence = evidence_of(problem, attribution, measured)
        if isinstance(evidence, str):
            return
        for unit in ["token"] if ranks.exact else recipe.prune.units:
            units = ranked_units(ranks, evidence, unit)
            if not isinstance(units, str):
                yield Ranking(detector=detector, unit=unit, units=tuple(units))

    def _cut(
        self, detector: str, level: str, attributions: Sequence[Attribution]
    ) -> list[Counterfactual]:
        section = at_level(self.session.recipe.prune, level)
        measured = self._measured.get(detector, {})
        problems = {problem.id: problem for problem in self.levels[level]}

        def work(part: Sequence[tuple[Attribution, Measured | None]]) -> list[Counterfactual]:
            return [
                counterfactual
                for item, other in part
                for counterfactual in self._cut_one(
                    detector, problems[item.problem_id], item, other, section
                )
            ]

        ranks = self.session.detector(detector)
        own = self.session.detector(self.detectors[0])
        settings = {
            **cutting(section),
            "detector": detector,
            "seed": None,
            **ranks.rank_key(),
            **user_code_digest(type(ranks)),
            "questions": digest(plain(self.levels[level])),
        }
        if self._counts_like(ranks):
            counted = [self._measured.get(own.name, {}).get(name) for name in problems]
            settings["counts as"] = [own.name, own.rank_key(), digest(plain(counted))]
        items = [
            (item, measured.get(item.problem_id))
            for item in attributions
            if item.problem_id in problems
        ]
        about = About(detector=detector, level=level)
        return self.session.compute(CutWorker(about=about, decided_by=settings, cut=work), items)

    def _cut_one(
        self,
        detector: str,
        problem: Problem,
        gradient: Attribution,
        measured: Measured | None,
        section: PruneSection,
    ) -> list[Counterfactual]:
        evidence = evidence_of(problem, gradient, measured)
        ranks, like = self.session.detector(detector), None
        if self._counts_like(ranks):
            own = self.detectors[0]
            counted = evidence_of(problem, gradient, self._measured[own].get(problem.id))
            if isinstance(counted, str):
                return cut_question(ranks, problem, counted, section)
            like = self.session.detector(own), counted
        return cut_question(ranks, problem, evidence, section, like)

    def _counts_like(self, control: Detector) -> bool:
        """Whether a control marks as many units as the recipe's detector, which is another one."""
        return counts_like(control, self.session.detector(self.detectors[0]))

    def _verdicts(
        self, tried: Sequence[Counterfactual], detector: str, changed: str
    ) -> list[Verdict]:
        """Let both models answer changed questions, or go on with changed responses; judge them."""
        within = [item for item in tried if item.problem_id not in self.problems]
        whole = [item for item in tried if item.problem_id in self.problems]
        found: list[Verdict] = []
        if whole or "instruction" in self.levels:
            about = About(detector=detector, changed=changed)
            found += self._verdicts_at_level(whole, about)
        if within or ("response" in self.levels and changed == "pruned"):
            about = About(detector=detector, changed=changed, level="response")
            found += self._verdicts_at_level(within, about)
        by_id = {verdict.counterfactual_id: verdict for verdict in found}
        return [by_id[item.id] for item in tried]

    def _verdicts_at_level(self, tried: Sequence[Counterfactual], about: About) -> list[Verdict]:
        changed = pruned_problems(self.every_problem, tried)
        drafts = self.drafts("student", tried)
        student = by_id(self.session.answers_of("student", changed, about, drafts))
        asked = changed
        if self.session.recipe.verify.teacher == "if_student_right":
            asked = [problem for problem in changed if student[problem.id][1].right]
        alone = self.session.recipe.alone
        teacher = {}
        if not alone:
            drafts = self.drafts("teacher", tried)
            teacher = by_id(self.session.answers_of("teacher", asked, about, drafts))
        return [
            in_time(verdict, student[verdict.counterfactual_id][0], self.entered)
            if alone
            else verdict
            for item in tried
            for verdict in [judge(item, student[item.id], teacher.get(item.id), alone=alone)]
        ]
