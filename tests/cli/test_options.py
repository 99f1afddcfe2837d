import pytest
from cyclopts import App

from leaf.cli.options import run_app
from tests.command_line import complaint, leaf


def test_who_stops_a_command_is_told_how_to_go_on(capsys: pytest.CaptureFixture[str]) -> None:
    app = App(name="any")

    @app.default
    def work() -> None:
        raise KeyboardInterrupt

    with pytest.raises(SystemExit) as caught:
        run_app(app, [], name="leaf")
    assert caught.value.code == 130
    assert capsys.readouterr().err == "leaf: stopped; the same command resumes\n"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("study main --recipe demo --taus 0.1", "--taus"),
        ("study thresholds --recipe demo --seeds 2", "--seeds"),
        # It looks at one training alone.
        ("study case --recipe demo --seeds 2", "--seeds"),
        (
            "evaluate --model m --benchmark gsm8k --out o --url http://x/v1",
            "is for --engine openai",
        ),
        ("explain runs/demo --html page.html", "--html page.html: is for one problem"),
        ("explain --student s", "missing --question and --reference"),
    ],
)
def test_an_option_that_would_change_nothing_is_refused(words: str, said: str) -> None:
    assert said in complaint(*words.split())


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            # Each is under several keys: of both models, of the data and of both benchmarks.
            "--benchmark gsm8k,mbpp=x --dtype half --limit 0",
            ["leaf evaluate: `student.dtype` must be", "`data.limit` must be greater"],
        ),
        (
            "--benchmark gsm8k --set prune.treshold=1 --set prune.rule=none",
            ["unknown key `prune.treshold`; did you mean `threshold`?", "`prune.rule` must be"],
        ),
        (
            "--benchmark gsm8k --pass-at some --also helm --url http://x --dtype half",
            ["--also helm: ", "--pass-at some: ", "--url http://x: ", "`student.dtype`"],
        ),
    ],
)
def test_evaluate_tells_every_wrong_setting_once(words: str, said: list[str]) -> None:
    done = leaf("evaluate", "--model", "m", "--out", "out", *words.split())
    assert (done.code, done.out) == (2, "")
    lines = done.err.splitlines()
    assert len(lines) == len(said)
    assert all(line.startswith("leaf: ") for line in lines)
    assert all(one in line for one, line in zip(said, lines, strict=True))
