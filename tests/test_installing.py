"""What `make run` would do on an empty machine, told by make itself; nothing is installed."""

import os
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CPU_INDEX = "https://download.pytorch.org/whl/cpu"


def told(*arguments: str) -> subprocess.CompletedProcess[str]:
    """What make says it would run, as if nothing were installed."""
    own = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    return subprocess.run(
        ["make", "--dry-run", "--always-make", "run", "PYTHON=python3", *arguments],
        cwd=ROOT, env=own, capture_output=True, text=True, check=False,
    )  # fmt: skip


def pip_lines(*arguments: str) -> list[str]:
    """The arguments of each call of pip, but for those that all have."""
    common = (
        ".venv/bin/python -m pip install --quiet --disable-pip-version-check -c constraints.txt"
    )
    lines = told(*arguments).stdout.splitlines()
    return [line.removeprefix(common).strip() for line in lines if line.startswith(common)]


def test_torch_comes_from_the_usual_index() -> None:
    assert pip_lines() == ["-e ."]


def test_torch_without_cuda_comes_from_its_own_index_and_nothing_else_does() -> None:
    assert pip_lines("TORCH=cpu") == [
        f"--no-deps --index-url {CPU_INDEX} torch torchvision",
        "-e .",
    ]


def test_an_unknown_build_of_torch_is_refused_in_one_sentence() -> None:
    found = told("TORCH=gpu")
    assert found.returncode != 0
    assert 'TORCH must be one of: usual cpu; got "gpu"' in found.stderr
