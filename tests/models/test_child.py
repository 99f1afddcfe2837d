"""Work on untrusted files is done in a process that may hang, swell or die in our place."""

import os
import time
from collections.abc import Callable
from typing import Any

import pytest
import torch

from leaf.errors import ChatError, ModelError
from leaf.models.child import Step, in_child

WHAT = "m: cannot be opened"
TAKE_ANOTHER = "take the model from where it was published"


def error_of(work: Callable[[Step], Any], **limits: Any) -> str:
    with pytest.raises(ModelError) as caught:
        in_child(work, what=WHAT, **limits)
    return str(caught.value)


def test_work_that_is_done_leaves_what_it_wrote_and_nothing_else(tmp_path: Any) -> None:
    found: list[int] = []

    def work(step: Step) -> None:
        found.append(1)
        (tmp_path / "file").write_text("written")
        print("not heard")

    in_child(work, what=WHAT)
    assert (tmp_path / "file").read_text() == "written"
    assert found == []


def test_a_hang_ends_at_its_limit_of_processor_time_and_names_the_step() -> None:
    def hang(step: Step) -> None:
        step("its tokenizer")
        while True:
            pass

    begun = time.process_time()
    assert error_of(hang, seconds=0.1) == (
        f"{WHAT}, its tokenizer: more than 0 s of processor time, so it is damaged or made to "
        f"hang; {TAKE_ANOTHER}"
    )
    assert time.process_time() - begun < 1  # this process only waited


def test_a_step_has_an_end_of_its_own_and_never_one_past_the_whole() -> None:
    def hang(step: Step, seconds: float) -> None:
        step("its layers")
        step("its chat template", seconds)
        while True:
            pass

    for own, whole, says in ((0.1, 60, "0 s"), (60, 0.1, "0 s")):
        message = error_of(lambda step, own=own: hang(step, own), seconds=whole)
        assert message.startswith(f"{WHAT}, its chat template: more than {says} of processor time")


@pytest.mark.parametrize(
    "swell", [lambda: "a" * 10**11, lambda: bytearray(10**11), lambda: torch.zeros(10**11)]
)
def test_memory_has_an_end(swell: Callable[[], Any]) -> None:
    message = error_of(lambda step: swell())
    assert message.startswith(WHAT)
    assert "2048 MiB of memory" in message or "can't allocate memory" in message


def test_a_process_that_dies_is_one_line() -> None:
    assert "ended by SIGABRT" in error_of(lambda step: os.abort())
    assert "ended early" in error_of(lambda step: os._exit(3))


def test_errors_come_back_in_one_line() -> None:
    def raises(error: BaseException) -> Callable[[Step], None]:
        def work(step: Step) -> None:
            raise error

        return work

    assert error_of(raises(ModelError("x: is no model"))) == "x: is no model"
    assert error_of(raises(ChatError("x: is no template"))) == "x: is no template"
    assert error_of(raises(ValueError("two\nlines"))) == f"{WHAT}: two lines"
    assert error_of(raises(SystemExit())) == f"{WHAT}: SystemExit"


def test_nobody_is_asked_anything() -> None:
    def work(step: Step) -> None:
        assert os.read(0, 1) == b""
        os.write(1, b"not heard")
        os.write(2, b"not heard")

    in_child(work, what=WHAT)
