"""A detector's options in a recipe: checked like every key, and as version 0.1.0 wrote them."""

import pickle
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from leaf.attribute import Detector, Evidence
from leaf.errors import UsageError
from leaf.recipe import Section
from leaf.recipe.detectors import DETECTORS, SHIPPED, detector
from leaf.recipe.reading import describe, dump_recipe, load_recipe

Refusal = Callable[..., str]

OWN = '''
from pydantic import Field
from leaf.attribute import Detector, detector
from leaf.recipe import Section

@detector
class Mine(Detector):
    """Suspects the first token."""
    name = "mine"
    needs = "nothing"

    class Options(Section):
        """What it looks at."""
        share: float = Field(0.5, ge=0, le=1, description="a share")

    def rank(self, evidence):
        return "nothing to say"
'''


@pytest.fixture
def plugin(tmp_path: Path) -> Iterator[Path]:
    path = tmp_path / "my_detector.py"
    path.write_text(OWN)
    yield path
    DETECTORS.pop("mine", None)


@pytest.fixture(autouse=True)
def _examples_are_not_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests of the examples in the same process may have put their detectors in the table."""
    for name in ("gradient_l1", "input_x_gradient", "integrated_gradients"):
        monkeypatch.delitem(DETECTORS, name, raising=False)


def keys(*settings: str) -> dict[str, object]:
    recipe = load_recipe("demo", settings)
    return {key: value for key, value, _ in describe(recipe) if key.startswith("attribute.")}


def test_a_recipe_shows_the_options_of_the_detectors_that_it_uses() -> None:
    found = keys("attribute.controls=[ablation]")
    assert found["attribute.ablation.unit"] is None
    assert "attribute.random.seed" not in found


@pytest.mark.parametrize(
    ("flat", "key", "value"),
    [
        ("ablation_unit=clause", "ablation.unit", "clause"),
        ("proposals=3", "ablation.proposals", 3),
        ("seed=7", "random.seed", 7),
    ],
)
def test_keys_of_version_0_1_0_mean_the_same(flat: str, key: str, value: object) -> None:
    assert keys(f"attribute.{flat}", "arms={}")[f"attribute.{key}"] == value


def test_what_changes_nothing_of_version_0_1_0_is_read() -> None:
    assert keys("attribute.norm=l2", "attribute.steps=16") == keys()


def test_an_old_key_beside_the_new_one_is_refused(minimal: Path, refusal: Refusal) -> None:
    message = refusal(minimal, "attribute.ablation.unit=word", "attribute.ablation_unit=clause")
    assert message == (
        f"{minimal}: `attribute.ablation_unit` is `attribute.ablation.unit`: give one of them"
    )


@pytest.mark.parametrize(
    ("setting", "told", "file", "name"),
    [
        ("attribute.norm=l1", "attribute.norm: l1", "gradient_norms.py", "gradient_l1"),
        (
            "attribute.controls=[integrated_gradients]",
            "attribute.detector: integrated_gradients",
            "integrated_gradients.py",
            "integrated_gradients",
        ),
    ],
)
def test_what_is_an_example_now_is_refused_with_its_file(
    minimal: Path, refusal: Refusal, setting: str, told: str, file: str, name: str
) -> None:
    assert refusal(minimal, setting) == (
        f"{minimal}: `{told}` is a detector of its own now: copy examples/{file}, and write "
        f"attribute: {{plugins: [{file}], detector: {name}}}"
    )
    assert (Path(__file__).parents[2] / "examples" / file).is_file()


@pytest.mark.parametrize(
    ("setting", "told"),
    [
        (
            "attribute.ablatoin.unit=word",
            "unknown key `attribute.ablatoin`; did you mean `ablation`?",
        ),
        (
            "attribute.ablation.unti=word",
            "unknown key `attribute.ablation.unti`; did you mean `unit`?",
        ),
        (
            "attribute.ablation.unit=words",
            "`attribute.ablation.unit` must be 'token', 'word', 'phrase', 'clause', 'sentence' or "
            "'paragraph', but is 'words'",
        ),
        (
            "attribute.ablation.proposals=0",
            "`attribute.ablation.proposals` must be greater than or equal to 1, but is 0",
        ),
    ],
)
def test_options_are_refused_as_every_key_is(
    minimal: Path, refusal: Refusal, setting: str, told: str
) -> None:
    assert refusal(minimal, setting) == f"{minimal}: {told}"


def test_without_a_teacher_nothing_is_proposed_by_the_gradient_of_both(
    minimal: Path, refusal: Refusal
) -> None:
    alone = ["teacher=self", "attribute.reference=gold", "distill.cross_entropy=1.0"]
    alone += ["attribute.detector=ablation", "attribute.ablation.proposals=3"]
    told = "`attribute.ablation.proposals` are chosen by the gradient of both models"
    assert told in refusal(minimal, *alone)


def test_a_plugins_detector_has_options_of_its_own(
    minimal: Path, plugin: Path, refusal: Refusal, tmp_path: Path
) -> None:
    settings = [f"attribute.plugins=[{plugin}]", "attribute.detector=mine"]
    recipe = load_recipe(str(minimal), [*settings, "attribute.mine.share=0.25"])
    assert dict(recipe.attribute.options("mine")) == {"share": 0.25}
    copy = tmp_path / "copy.yaml"
    copy.write_text(dump_recipe(recipe))
    assert load_recipe(str(copy)) == recipe
    assert pickle.loads(pickle.dumps(recipe)) == recipe  # noqa: S301 - our own
    message = refusal(minimal, *settings, "attribute.mine.share=2")
    assert message == f"{minimal}: `attribute.mine.share` must be less than or equal to 1, but is 2"


def test_a_plugin_lies_beside_the_recipe_that_names_it_or_where_one_is(
    minimal: Path, plugin: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    named = "attribute: {plugins: [my_detector.py], detector: mine}\n"
    (tmp_path / "named.yaml").write_text(f"extends: {minimal}\n{named}")
    (elsewhere / "below.yaml").write_text("extends: ../named.yaml\n")
    monkeypatch.chdir(elsewhere)
    for recipe in ("../named.yaml", "below.yaml"):
        assert load_recipe(recipe).attribute.plugins == [str(plugin)]
    monkeypatch.chdir(tmp_path)
    settings = ["attribute.plugins=[my_detector.py]", "attribute.detector=mine"]
    assert load_recipe("demo", settings).attribute.plugins == [str(plugin)]


def test_a_plugin_that_changed_is_read_again(minimal: Path, plugin: Path) -> None:
    settings = [f"attribute.plugins=[{plugin}]", "attribute.detector=mine"]
    load_recipe(str(minimal), settings)
    plugin.write_text(OWN.replace("0.5", "0.75"))
    again = load_recipe(str(minimal), settings)
    assert dict(again.attribute.options("mine")) == {"share": 0.75}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (
            None,
            "no such file (a recipe's plugins are looked for beside the recipe, those of --set in "
            "the current folder)",
        ),
        ("x = (", "cannot be read: SyntaxError: '(' was never closed (my_detector.py, line 1)"),
        ("1 / 0", "cannot be read: ZeroDivisionError: division by zero"),
        ("import sys; sys.exit(3)", "cannot be read: SystemExit: 3"),
    ],
)
def test_a_plugin_that_cannot_be_read_is_told_in_one_line(
    minimal: Path, plugin: Path, refusal: Refusal, text: str | None, told: str
) -> None:
    plugin.unlink() if text is None else plugin.write_text(text)
    message = refusal(minimal, f"attribute.plugins=[{plugin}]")
    assert message == f"{minimal}: attribute.plugins: {plugin}: {told}"


def test_a_plugin_that_brings_nothing_is_said_once(
    minimal: Path, plugin: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plugin.write_text(OWN.replace("@detector", ""))
    for _ in range(2):
        load_recipe(str(minimal), [f"attribute.plugins=[{plugin}]"])
    assert capsys.readouterr().err.count("brings no detector") == 1
    plugin.write_text(OWN)
    load_recipe(str(minimal), [f"attribute.plugins=[{plugin}]"])
    assert "brings no detector" not in capsys.readouterr().err


def test_a_name_that_ships_is_nobody_elses() -> None:
    with pytest.raises(UsageError, match="a detector that ships is called `gradient`"):
        detector(type("Mine", (), {"name": "gradient"}))


class Required(Detector):
    """Has an option without a default."""

    name = "required"
    needs = "nothing"

    class Options(Section):
        """What it cannot do without."""

        k: int

    def rank(self, evidence: Evidence) -> str:
        return f"{self.options.k} of {len(evidence.tokens)}"


@pytest.fixture
def required() -> Iterator[None]:
    detector(Required)
    yield
    DETECTORS.pop("required", None)


@pytest.mark.usefixtures("required")
def test_an_option_without_a_default_is_told_by_its_whole_key(
    minimal: Path, refusal: Refusal
) -> None:
    given = load_recipe(str(minimal), ["attribute.detector=required", "attribute.required.k=4"])
    assert dict(given.attribute.options("required")) == {"k": 4}
    message = refusal(minimal, "attribute.controls=[required]")
    assert message == f"{minimal}: `attribute.required.k` is required"
    with pytest.raises(UsageError, match=r"`attribute.required` is required"):
        load_recipe(str(minimal)).attribute.options("required")


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"name": "a b"}, "`name` must be a word of letters, digits and _, but is 'a b'"),
        ({"name": None}, "`name` must be a word of letters, digits and _, but is None"),
        ({"name": "controls"}, "`attribute.controls` means something else"),
        ({"name": "options"}, "`attribute.options` means something else"),
        ({"name": "seed"}, "`attribute.seed` means something else"),
        ({"Options": dict}, "`Options` must be a subclass of `leaf.recipe.Section`"),
        ({"needs": "all"}, "`needs` must be 'nothing', 'student' or 'both', but is 'all'"),
        ({"rank": Detector.rank}, "does not define `rank`"),
    ],
)
def test_what_is_no_detector_is_refused_and_spoils_nothing(
    changes: dict[str, object], told: str
) -> None:
    known = dict(DETECTORS)
    with pytest.raises(UsageError) as raised:
        detector(type("Mine", (Required,), changes))
    assert told in str(raised.value)
    assert "\n" not in str(raised.value)
    assert DETECTORS.items() >= known.items()
    assert changes.get("name", "required") not in DETECTORS


def test_a_class_that_is_no_detector_is_refused() -> None:
    with pytest.raises(UsageError, match="`@detector` takes a subclass"):
        detector(type("Mine", (), {"name": "mine"}))


def test_every_detector_that_ships_is_checked_without_torch() -> None:
    code = (
        "import sys; from leaf.recipe.reading import load_recipe; "
        f"load_recipe('demo', ['attribute.controls=[{', '.join(SHIPPED)}]']); "
        "print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
