"""What is measured on is chosen beside every page, stands in the address, and is checked there."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from streamlit.testing.v1 import AppTest

from dashboard.state import keys as state
from optim.devices.device import usable_cores
from optim.devices.target import Target

Open = Callable[..., AppTest]
CORES = usable_cores()
several_cores = pytest.mark.skipif(CORES < 2, reason="there is one core, so nothing to choose")


@several_cores
@pytest.mark.parametrize("path", ["app.py", state.LAYERS, state.JOBS])
def test_the_link_says_how_many_threads(open_page: Open, path: str) -> None:
    page = open_page(path, threads="2")
    assert page.session_state[state.THREADS_BOX] == "2"
    assert page.query_params["threads"] == "2"
    assert not page.sidebar.warning


@several_cores
def test_picked_threads_stand_in_the_address_and_usual_ones_do_not(open_page: Open) -> None:
    page = open_page()
    assert "threads" not in page.query_params
    page.sidebar.button_group(key=state.THREADS_BOX).set_value("2").run()
    assert page.query_params["threads"] == "2"
    page.sidebar.button_group(key=state.THREADS_BOX).set_value("1").run()
    assert "threads" not in page.query_params


@pytest.mark.parametrize(
    ("link", "sentence"),
    [
        ({"threads": "0"}, f"threads must be 1 to {CORES}"),
        ({"threads": str(CORES + 1)}, f"got {CORES + 1}"),
        ({"threads": "many"}, "threads must be a number, got 'many'"),
        ({"engine": "npu"}, "there is no engine 'npu'"),
    ],
)
def test_a_link_to_an_impossible_target_says_so_and_shows_the_usual_one(
    open_page: Open, link: dict[str, str], sentence: str
) -> None:
    page = open_page("app.py", **link)
    (warning,) = page.sidebar.warning
    assert sentence in warning.value.replace("\\", "")
    assert page.session_state[state.THREADS_BOX] == "1"
    assert not {"threads", "engine"} & set(page.query_params)


def test_the_command_to_copy_says_the_target() -> None:
    from optim.recipe import recipe_of
    from optim.report.commands import command_line, python_code
    from optim.task.task import load_task

    task, recipe = load_task("motion-cnn"), recipe_of(precision="int8")
    target = Target(threads=CORES)
    if CORES > 1:
        assert command_line(task, recipe, target).endswith(f"--threads {CORES}")
        assert f"target=optim.Target(threads={CORES})" in python_code(task, recipe, target)
    assert command_line(task, recipe) == command_line(task, recipe, Target())
    assert "Target" not in python_code(task, recipe, Target())
