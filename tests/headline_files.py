"""A task with headlines of its own, for tests: the file lies in a folder that is thrown away."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from optim.search import headlines
from optim.task import task


def write_headlines(
    name: str, folder: Path, monkeypatch: pytest.MonkeyPatch, *rows: object
) -> task.Task:
    """Let this task have these headlines; everything else of it stays where it is."""
    (folder / "headlines.json").write_text(json.dumps(list(rows)), encoding="utf-8")
    real = headlines.headlines_path

    def path_of(asked: task.Task) -> Path:
        return folder / "headlines.json" if asked.name == name else real(asked)

    monkeypatch.setattr(headlines, "headlines_path", path_of)
    return replace(task.load_task(name))
