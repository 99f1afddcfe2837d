"""The stability benchmark: its correlations by hand, and its way through a tiny real model."""

import json
from pathlib import Path

import pytest

from benchmarks import stability
from benchmarks.common import start


def test_correlations_are_means_over_questions() -> None:
    # The same order: 1 and 1. One neighbouring pair of four swapped: rho = 1 - 6 x 2 / (4 x 15) =
    # 0.8, tau = (5 - 1) / 6.
    pairs = [((1.0, 2.0, 3.0), (10.0, 20.0, 90.0)), ((1.0, 2.0, 3.0, 4.0), (1.0, 3.0, 2.0, 4.0))]
    found = stability.correlations(pairs)
    assert found["spearman"].value == pytest.approx((1 + 0.8) / 2)
    assert found["kendall"].value == pytest.approx((1 + 4 / 6) / 2)
    assert stability.correlations([]) == {}


def test_a_repeated_measurement_moves_no_rank_and_every_change_has_a_figure(
    cue_pair: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("LEAF_CACHE", str(tmp_path / "cache"))
    # The tiny model answers 4 where there is no "red": two of four questions right.
    questions = [
        f"Ada has {some} pens. Bo has cups. How many pens are there?"
        for some in ("some", "some red", "so many", "no red")
    ]
    data = tmp_path / "train.jsonl"
    lines = [json.dumps({"question": text, "answer": "4\n#### 4"}) for text in questions]
    data.write_text("\n".join(lines))
    stability.main(
        json_=True, n=4, model=str(cue_pair / "student"), data=data, store=tmp_path / "store"
    )
    last = json.loads(capsys.readouterr().out.splitlines()[-1])
    figures = last["figures"]
    for detector in stability.MEASURED:
        assert figures[f"{detector}.repeat.spearman"] == pytest.approx(1)
        assert figures[f"{detector}.batched_float32.spearman"] > 0.99
        assert figures[f"{detector}.float32.n"] == 4
        assert figures[f"{detector}.own_reference.n"] == last["setting"]["answered_right"]
        for change in ("float32", "batched"):
            assert -1 <= figures[f"{detector}.{change}.kendall"] <= 1


def test_no_question_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        start(stability.app, ["--n", "0"])
    assert ended.value.code == 2
    assert "--n 0: must be at least 1" in capsys.readouterr().err
