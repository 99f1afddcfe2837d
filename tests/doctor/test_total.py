"""The whole price of a run, from a run on a few problems."""

import math
import re
from pathlib import Path

import pytest
import yaml

from leaf.cli.main import main
from leaf.doctor import total, trials
from leaf.doctor.trials import Part, Trial, line_through, scale_up
from leaf.errors import UsageError
from leaf.recipe import Recipe
from leaf.recipe.reading import load_recipe


def part(
    amount: float,
    seconds: float,
    group: str = "stage 1",
    load: float | None = None,
    stage: str = "",
) -> Part:
    """Return what was computed; with `load` it comes by waves."""
    return Part(
        group=group,
        amount=amount,
        seconds=seconds,
        by_waves=load is not None,
        load=load or 0.0,
        stage=stage,
    )


@pytest.mark.parametrize(
    ("before", "last", "amount", "waves", "expected"),
    [
        # 2 s once and 0.5 s an item.
        (part(4, 4.0), part(16, 10.0), 100, 1, 52.0),
        # The same in four full batches: what comes once comes with each, but for the second's load.
        (
            part(4, 4.0, load=1.0),
            part(16, 10.0, load=1.0),
            100,
            4,
            1.0 + 4 * 1.0 + 50.0,
        ),
        # A first trial that was slow by chance: never more than in proportion, never falling.
        (part(4, 9.0), part(16, 8.0), 160, 1, 8.0),
        (part(4, 0.0), part(16, 8.0), 160, 1, 80.0),
        (None, part(16, 8.0), 160, 1, 80.0),
        (None, part(0, 3.0), 160, 1, 3.0),
    ],
    ids=["a line", "waves", "falling", "too steep", "one trial", "nothing to count"],
)
def test_seconds_lie_on_the_line_through_two_trials(
    before: Part | None, last: Part, amount: float, waves: float, expected: float
) -> None:
    assert line_through(before, last, amount, waves=waves) == pytest.approx(expected)


@pytest.fixture
def recipe(cue_pair: Path, tmp_path: Path) -> Recipe:
    values = yaml.safe_load((cue_pair / "recipe.yaml").read_text())
    values["distill"] = {"batch_size": 4, "max_steps": 3, "learning_rate": 1e-3}
    path = tmp_path / "cue.yaml"
    path.write_text(yaml.safe_dump(values))
    return load_recipe(str(path))


def test_groups_rows_and_steps_are_scaled_to_the_whole(recipe: Recipe) -> None:
    def trial(problems: int) -> Trial:
        return Trial(
            problems=problems,
            parts={
                "student answers": part(problems, problems * 1.0, stage="answers"),
                "teacher answers": part(problems, problems * 2.0, "needed", stage="answers"),
                "changed questions": part(problems, problems * 4.0, stage="verify"),
                "kd learns": part(problems * 10.0, problems * 0.1, group="kd"),
                "kd is prepared": part(problems, problems * 0.5, group="kd"),
                "sums: kd": part(problems, problems * 3.0, group="evaluation"),
            },
            tokens={("student", "answers"): problems * 7},
            bytes=1000 + 10 * problems,
            peak=5,
            rows={"kd": problems},
        )

    found = scale_up(recipe, [trial(4), trial(16)], problems=160, asked=40)
    assert found.needed == pytest.approx(320.0)
    assert found.stage_1 == pytest.approx({"answers": 160.0 + 320.0, "verify": 640.0})
    # Three steps of 4 rows, 160 tokens in the five steps of the trial: 32 a step, 0.01 s a token.
    assert found.training["kd"] == pytest.approx(3 * 32 * 0.01 + 160 * 0.5)
    assert found.evaluation == pytest.approx(3.0 * 40)
    assert (found.tokens, found.disk) == ({("student", "answers"): 1120}, 1000 + 1600)


def test_the_doctor_says_the_total_and_its_price(
    recipe: Recipe,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(trials, "SIZES", (4, 8))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit, match=r"^0$"):
        main(["doctor", str(tmp_path / "cue.yaml"), "--price", "3600"])
    said = capsys.readouterr()
    for count in (4, 8):
        assert f"total: the whole recipe on {count} problems, to see what that takes" in said.err
    lines = [line for line in said.out.splitlines() if "total, " in line]
    assert [line.partition("total, ")[2].partition(":")[0] for line in lines] == [
        "KD",
        "LeaF",
        "the whole command",
        "tokens read and written before training",
        "memory",
    ]
    seconds = r"(\d+\.\d|\d\d) s(?:, | \()(\d+\.\d\d)\)?"
    for line in lines[:2]:
        whole, *stages = [float(money) for _, money in re.findall(seconds, line)]
        assert whole == pytest.approx(sum(stages), abs=0.05)
    assert re.search(
        rf"about {seconds} at 3600 an hour: training {seconds}; from a run on 8", lines[0]
    )
    for stage in ("training problems", "detection", "verification", "training"):
        assert re.search(rf"{stage} {seconds}", lines[1])
    assert re.search(r"student [\d,]+ \(training problems [\d,]+, detection [\d,]+", lines[3])
    assert said.out.index("total, KD") > said.out.index("threads: ")
    assert not list(tmp_path.glob("runs*")), "the trials leave nothing"


@pytest.mark.parametrize("price", [-1.0, math.nan, math.inf])
def test_a_price_that_is_none_is_refused(price: float) -> None:
    with pytest.raises(UsageError, match=r"^--price .*: must be an amount, at least 0$"):
        total.check_price(price)
