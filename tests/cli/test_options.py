import pytest
from cyclopts import App

from leaf.cli.options import run_app


def test_who_stops_a_command_is_told_how_to_go_on(capsys: pytest.CaptureFixture[str]) -> None:
    app = App(name="any")

    @app.default
    def work() -> None:
        raise KeyboardInterrupt

    with pytest.raises(SystemExit) as caught:
        run_app(app, [], name="leaf")
    assert caught.value.code == 130
    assert capsys.readouterr().err == "leaf: stopped; the same command resumes\n"
