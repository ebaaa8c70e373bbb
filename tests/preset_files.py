"""A task with named presets of its own, for tests: the file lies in a temporary folder."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from optim.search import named_presets
from optim.task import task


def write_named_presets(
    name: str, folder: Path, monkeypatch: pytest.MonkeyPatch, *rows: object
) -> task.Task:
    """Let this task have these named presets; everything else of it stays where it is."""
    (folder / "headlines.json").write_text(json.dumps(list(rows)), encoding="utf-8")
    real = named_presets.named_presets_path

    def path_of(asked: task.Task) -> Path:
        return folder / "headlines.json" if asked.name == name else real(asked)

    monkeypatch.setattr(named_presets, "named_presets_path", path_of)
    return replace(task.load_task(name))
