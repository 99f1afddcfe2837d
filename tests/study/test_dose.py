"""Doses as places: what stands on both axes, which none beats, and what a run with each gives."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from leaf.cli.main import main
from leaf.errors import StudyError
from leaf.pipeline.stages import Pipeline
from leaf.recipe.reading import load_recipe
from leaf.statistics import Interval
from leaf.store.store import Store
from leaf.study.arms import Trained
from leaf.study.axes import axes_of, with_measures
from leaf.study.dose import Dose, compared, dose, doses_of, undominated
from leaf.study.finding import Finding
from leaf.study.lab import Choices, Lab
from leaf.study.output import write_finding
from tests.command_line import complaint

SMALL = [
    "teacher=self",
    "attribute={detector: ablation, controls: [], reference: self}",
    "data.world.size=100",
    "prune.strategy=[inject]",
    "prune.inject={sources: [templates], per: 1, share: 1.0}",
    "verify={injections: all, effect: 0.0}",
    "distill={max_steps: 2, batch_size: 16, cross_entropy: 1.0, lambda: 0.7, teacher_sees: cut}",
    "arms={}",
    "evaluate.resamples=100",
    "evaluate.benchmarks={clean: {task: playground, split: clean, world: {size: 8, seed: 1}},"
    " agree: {task: playground, split: agree, world: {size: 8, seed: 1}},"
    " both: {task: playground, split: both, world: {size: 8, seed: 1}}}",
]
GSM_IC = "gsm_ic: {task: gsm_ic, path: x.json, against: base}"
BASE = "base: {task: gsm_ic, path: x.json, split: base}"
SAID = "said: {task: gsm8k, split: test, paraphrase: spa, against: gsm8k}"
GSM8K = "gsm8k: {task: gsm8k, split: test}"


def lab(recipe: str = "demo", *overrides: str, **chosen: tuple[str, ...]) -> Lab:
    words = ["evaluate.resamples=300", *overrides]
    # `Choices` checks the names; nothing is stored.
    return Lab(load_recipe(recipe, words), Store(Path("none")), choices=Choices(**chosen))  # type: ignore[arg-type]


def with_benchmarks(*benchmarks: str) -> str:
    return f"evaluate.benchmarks={{{', '.join(benchmarks)}}}"


def trained(
    one: Dose, clean: Sequence[int], both: Sequence[int], *, made: str = "", kd: str = "k"
) -> Trained:
    """One seed; KD has half of `clean` right and none of `both`."""
    of_kd = [1.0, 0.0] * (len(clean) // 2)
    values: Mapping[str, Sequence[Sequence[float]]] = {
        "kd": [of_kd, [0.0] * len(both)],
        "leaf": [clean, both],
    }
    students = {
        arm: (
            {
                name: {f"{name}{n}": float(right) for n, right in enumerate(row)}
                for name, row in zip(("clean", "both"), rows, strict=True)
            },
        )
        for arm, rows in values.items()
    }
    return Trained(
        name=one.name,
        section=lab().recipe.evaluate,
        students=students,
        changed=(4,),
        made={"kd": (kd,), "leaf": (made or one.name,)},
        robustness=({},),
    )


FEW, MANY, ADD = (
    Dose(share=0.25, weight=0.7),
    Dose(share=None, weight=0.7),
    Dose(share=None, weight="add"),
)
AXES = {"clean": ["clean"], "distracted": ["both"]}


def found(settings: Mapping[Dose, Trained]) -> Finding:
    return compared(lab(), AXES, list(settings), list(settings.values()))


def value(finding: Finding, row: int, column: str) -> float:
    cell = finding.tables[0].rows[row].cells[column]
    assert isinstance(cell, Interval)
    return cell.value


def test_doses_are_shares_at_the_recipes_weight_and_weights_at_its_share() -> None:
    # The demo's own: no limit at 0.7.
    assert doses_of(lab()) == [
        *(Dose(share=share, weight=0.7) for share in (0.25, 0.33, 0.5, 1.0, None)),
        *(Dose(share=None, weight=weight) for weight in ("rows", "add", 0.5)),
    ]
    half = lab("demo", "prune.share=0.5", "distill.lambda=rows")
    assert doses_of(half) == [
        *(Dose(share=share, weight="rows") for share in (0.25, 0.33, 0.5, 1.0)),
        *(Dose(share=0.5, weight=weight) for weight in ("add", 0.5)),
    ]
    few = Choices(shares=(0.1,), weights=("add",))
    own = Dose(share=None, weight=0.7)
    assert doses_of(Lab(lab().recipe, Store(Path("none")), choices=few)) == [
        Dose(share=0.1, weight=0.7),
        own,
        Dose(share=None, weight="add"),
    ]


def test_a_weight_of_another_kind_has_no_end_to_go_to() -> None:
    rising = lab("demo", "distill.lambda_end=0.5")
    own, *_, rows, _, _ = doses_of(rising)
    assert rising.variant(rows.changes(MANY)).distill.lambda_ == "rows"
    assert rising.variant(own.changes(MANY)).distill.lambda_end == 0.5


def test_the_demo_worlds_axes_are_its_splits_and_agreeing_cues_are_on_none() -> None:
    assert axes_of(lab()) == {"clean": ["clean"], "distracted": ["conflict", "numeric", "both"]}
    (said,) = [line for line in found({FEW: trained(FEW, [1, 1], [1, 1])}).says if "Clean:" in line]
    assert said.startswith("Clean: clean. Distracted: both. On no axis: agree, conflict, numeric")


def test_a_variant_is_distracted_unless_it_is_a_paraphrase() -> None:
    real = lab("gsm8k", with_benchmarks(GSM8K, SAID, GSM_IC, BASE))
    assert axes_of(real) == {"clean": ["base"], "distracted": ["gsm_ic"]}


def test_benchmarks_that_are_named_stand_on_the_axes() -> None:
    benchmarks = with_benchmarks(GSM8K, SAID, GSM_IC, BASE)
    real = lab("gsm8k", benchmarks, clean=("gsm8k", "base"))
    assert axes_of(real) == {"clean": ["gsm8k", "base"], "distracted": ["gsm_ic"]}
    # What it is made of is clean, unless that is named too.
    real = lab("gsm8k", benchmarks, distracted=("said",))
    assert axes_of(real) == {"clean": ["gsm8k"], "distracted": ["said"]}


@pytest.mark.parametrize(
    ("benchmarks", "chosen", "said"),
    [
        ([GSM8K], {}, "recipe gsm8k does not tell which benchmarks are clean and which distracted"),
        ([GSM8K], {"distracted": ("gsm8k",)}, "name them, as in --clean gsm8k --distracted gsm_ic"),
        ([GSM8K], {"clean": ("gsm9k",)}, "--clean gsm9k: .*did you mean `gsm8k`"),
        ([GSM_IC, BASE], {"clean": ("gsm_ic",)}, "benchmark gsm_ic must be clean or distracted"),
        ([], {}, "recipe gsm8k does not tell"),
    ],
)
def test_axes_that_nobody_named_are_one_line(
    benchmarks: list[str], chosen: dict[str, tuple[str, ...]], said: str
) -> None:
    with pytest.raises(StudyError, match=said) as refused:
        axes_of(lab("gsm8k", with_benchmarks(*benchmarks), **chosen))
    assert "\n" not in str(refused.value)


def test_all_measures_of_a_benchmark_stand_on_its_axis() -> None:
    section = lab("gsm8k", with_benchmarks(GSM8K, GSM_IC, BASE)).recipe.evaluate
    labels = ["gsm8k", "gsm_ic EM", "gsm_ic F1", "base EM", "base F1"]
    axes = with_measures({"clean": ["base"], "distracted": ["gsm_ic"]}, labels, section)
    assert axes == {"clean": ["base EM", "base F1"], "distracted": ["gsm_ic EM", "gsm_ic F1"]}


def test_what_puts_nothing_in_has_no_dose() -> None:
    with pytest.raises(StudyError, match=r"puts nothing in \(prune.strategy: span\)"):
        dose(lab("demo", "prune.strategy=[span]"))


def test_a_place_is_beaten_by_one_as_good_on_both_and_better_on_one() -> None:
    places = [(0.9, 0.5), (0.8, 0.5), (0.9, 0.5), (0.7, 0.6), (0.7, 0.55), (1.0, 0.1)]
    assert undominated(places) == [True, False, True, True, False, True]


def test_each_dose_stands_beside_kd_on_both_axes() -> None:
    finding = found(
        {
            FEW: trained(FEW, [1, 1, 1, 0], [1, 0, 0, 0]),
            MANY: trained(MANY, [0, 0, 1, 0], [1, 1, 0, 0]),
            ADD: trained(ADD, [1, 0, 0, 0], [1, 1, 0, 0]),
        }
    )
    rows = finding.tables[0].rows
    assert [tuple(row.labels.values()) for row in rows] == [
        ("KD", "", ""),
        ("LeaF", "0.25", "0.7"),
        ("LeaF", "no limit", "0.7"),
        ("LeaF", "no limit", "add"),
    ]
    places = [(value(finding, at, "clean"), value(finding, at, "distracted")) for at in range(4)]
    assert places == [(0.5, 0), (0.75, 0.25), (0.25, 0.5), (0.25, 0.5)]
    # KD has 2 of 4 clean and none of 4 distracted questions right.
    assert (value(finding, 2, "clean - KD"), value(finding, 2, "distracted - KD")) == (-0.25, 0.5)
    assert "clean - KD" not in rows[0].cells
    # KD is beaten by the first dose; the other two are as good as each other.
    assert [row.cells["none is better"] for row in rows] == [None, "yes", "yes", "yes"]
    assert [row.cells.get("changed questions") for row in rows] == [None, 4, 4, 4]
    assert list(finding.tables[1].columns) == ["clean", "both"]


def test_doses_are_told_by_what_they_cost_and_bring() -> None:
    most = [1] * 38 + [0] * 2
    finding = found(
        {
            FEW: trained(FEW, [1, 0] * 20, most),
            MANY: trained(MANY, [0, 0] * 20, most),
            ADD: trained(ADD, [1, 0] * 20, most),
        }
    )
    first, second, third, *_ = finding.says
    assert first == (
        "Against KD, no clear difference on clean questions and better on distracted ones: share "
        "0.25 at weight 0.7; share no limit at weight add."
    )
    assert second == (
        "Against KD, worse on clean questions and better on distracted ones: share no limit at "
        "weight 0.7."
    )
    assert third.endswith("on one than: share 0.25 at weight 0.7; share no limit at weight add.")


def test_baselines_of_other_steps_stand_apart() -> None:
    finding = found(
        {
            FEW: trained(FEW, [1, 1], [1, 0], kd="short"),
            MANY: trained(MANY, [1, 1], [1, 1], kd="long"),
            ADD: trained(ADD, [1, 1], [1, 1], kd="long"),
        }
    )
    students = [row.labels["student"] for row in finding.tables[0].rows]
    assert students[:3] == ["KD, steps of share 0.25", "KD, steps of share no limit", "LeaF"]


def test_the_picture_names_one_student_of_several_doses_once(tmp_path: Path) -> None:
    finding = found(
        {
            FEW: trained(FEW, [1, 1], [1, 0], made="one"),
            Dose(share=1.0, weight=0.7): trained(
                Dose(share=1.0, weight=0.7), [1, 1], [1, 0], made="one"
            ),
            MANY: trained(MANY, [1, 1], [1, 1]),
            ADD: trained(ADD, [0, 1], [1, 1]),
        }
    )
    write_finding(finding, tmp_path, {"seeds": [0]})
    drawn = (tmp_path / "dose.svg").read_text()
    for text in (
        "share 0.25 = share 1",
        "the recipe",
        "weight add",
        "KD",
        "none is better on both",
    ):
        assert f">{text}<" in drawn
    assert any("gave the same training data" in line for line in finding.says)


def test_injections_that_stop_before_the_share_are_told() -> None:
    def says(share: float) -> list[str]:
        less = lab("demo", f"prune.inject.share={share}")
        doses = [FEW, Dose(share=1.0, weight=0.7)]
        one = compared(less, AXES, doses, [trained(FEW, [1, 0], [1, 0])] * 2)
        return [line for line in one.says if "prune.inject.share" in line]

    assert says(1.0) == []
    assert says(0.5) == [
        "Whatever the share, injections stop at prune.inject.share (0.5); --set "
        "prune.inject.share=1 lets them go on."
    ]


def test_without_a_teacher_each_dose_is_what_a_run_with_it_gives(
    store: Store, tmp_path: Path
) -> None:
    choices = Choices(shares=(0.1,), weights=("rows",))
    finding = dose(Lab(load_recipe("demo", SMALL), store, choices=choices))
    rows = {tuple(row.labels.values()): row.cells for row in finding.tables[0].rows}
    students = {one.name for one in (store.root / "students").iterdir()}
    assert len(students) == 4
    for labels, overrides in {
        ("LeaF", "0.1", "0.7"): ["prune.share=0.1"],
        ("LeaF", "no limit", "0.7"): [],
        ("LeaF", "no limit", "rows"): ["distill.lambda=rows"],
    }.items():
        pipeline = Pipeline(load_recipe("demo", [*SMALL, *overrides]), store)
        results = pipeline.run(until="evaluate", after_stage=lambda: None)
        assert results.comparisons
        assert results.estimates
        for axis, name in {"clean": "clean", "distracted": "both"}.items():
            right, gain = rows[labels][axis], rows[labels][f"{axis} - RFT"]
            assert isinstance(right, Interval)
            assert isinstance(gain, Interval)
            assert right.value == results.estimates[name]["leaf"].value
            assert gain.value == results.comparisons[name].difference
    # At most a tenth of 100 problems.
    assert rows["LeaF", "0.1", "0.7"]["changed questions"] == 10
    assert {one.name for one in (store.root / "students").iterdir()} == students
    assert finding.tables[0].rows[0].labels["student"] == "RFT"
    assert "KD" not in " ".join(finding.says)
    names = [one.name for one in write_finding(finding, tmp_path, {"seeds": [0]})]
    assert names == [f"dose.{kind}" for kind in ("json", "md", "png", "svg")]


def test_the_command_is_written_down_with_what_was_named(store: Store, tmp_path: Path) -> None:
    words = [word for override in SMALL for word in ("--set", override)]
    named = ["--shares", "0.1", "--weights", "rows,0.7", "--clean", "clean", "--distracted", "both"]
    out = ["--out", str(tmp_path), "--store", str(store.root)]
    with pytest.raises(SystemExit) as leaving:
        main(["study", "dose", "--recipe", "demo", *words, *named, *out])
    assert leaving.value.code == 0
    setting = json.loads((tmp_path / "dose.json").read_text())["setting"]
    assert setting["command"].endswith(
        "--seeds 1 --first-seed 0 --shares 0.1 --weights rows,0.7 --clean clean --distracted both"
    )


@pytest.mark.parametrize(
    ("option", "words", "said"),
    [
        ("--shares", "half", "--shares half: must be numbers, as in --shares 0.05,0.10"),
        ("--shares", "0.5,2", "--shares 0.5,2: each must lie in [0, 1]"),
        ("--weights", "rows,row", "--weights rows,row: each must be from 0 to 1, rows or add"),
        ("--weights", "1.5", "--weights 1.5: each must be from 0 to 1, rows or add"),
        ("--distracted", "bot", "--distracted bot: recipe demo has no such benchmark"),
    ],
)
def test_wrong_words_are_one_line(option: str, words: str, said: str, tmp_path: Path) -> None:
    out = ("--out", tmp_path / "out", "--store", tmp_path / "store")
    assert said in complaint("study", "dose", "--recipe", "demo", option, words, *out)
    assert not (tmp_path / "store").exists()
