"""What the tests of the command line share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from optim.cli import run_command_line
from optim.errors import Refusal, RefusedError
from optim.recipe import Recipe
from optim.workspace import Workspace

TASK = "fashion-squeezenet"

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run one command in this process: exit code, standard output, standard error."""
    monkeypatch.setenv("EDGE_OPTIM_WORKSPACE", str(tmp_path / "workspace"))

    def command(*words: object) -> tuple[int, str, str]:
        code = run_command_line([str(word) for word in words])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return command


@pytest.fixture(scope="session")
def measured(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace in which the shipped candidates of one task are really measured."""
    folder = tmp_path_factory.mktemp("measured")
    assert run_command_line(["--workspace", str(folder), "prebuilt", TASK]) == 0
    return folder


@pytest.fixture
def no_making(monkeypatch: pytest.MonkeyPatch) -> list[Recipe]:
    """Nothing is made; the recipes that would have been are listed, and pruned ones refused."""
    asked: list[Recipe] = []

    def make(self: Workspace, task: str, recipe: Recipe, *, progress: object) -> object:
        from optim.pipeline.make import registered
        from optim.task.task import load_task

        asked.append(recipe)
        found = registered(self.results, load_task(task), recipe)
        if recipe.pruning_ratio:
            refusal = Refusal(reason="Nothing can be pruned here.", remedy="Leave prune out.")
            self.results.refuse(found.id, refusal)
            raise RefusedError(refusal)
        return found

    monkeypatch.setattr(Workspace, "make", make)
    return asked


def is_one_sentence_for_people(error: str) -> bool:
    return error.count("\n") == 1 and error.startswith("edge-optim: ") and "Traceback" not in error
