"""Make neural networks small and fast for edge devices, and see the choice.

    Task -> Recipe -> Artifact -> Measurement -> Store -> Front -> Page

    >>> import optim
    >>> optim.recipe_of(pruning_ratio=0.5, precision="int8").words()
    'prune 50 % of channels, INT8'

Names are loaded when they are first used: importing this package loads neither torch nor an engine.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from optim import telemetry
from optim.version import __version__ as __version__

if TYPE_CHECKING:
    from optim.candidate import Candidate
    from optim.devices.target import Target
    from optim.errors import OptimError
    from optim.recipe import (
        Distill,
        Fuse,
        MixedPrecision,
        Precision,
        Prune,
        Quantize,
        QuantizeAware,
        Recipe,
        Replace,
        ReplaceActivation,
        Sparsify,
        recipe_of,
    )
    from optim.report.figure import pareto_figure
    from optim.store.analyses import AnalysisKind
    from optim.sweeps import sweep
    from optim.task.task import Task, load_task, sample_tasks
    from optim.workspace import Workspace

telemetry.turn_off()  # before anything else of ours can load an engine

__all__ = (
    "AnalysisKind",
    "Candidate",
    "Distill",
    "Fuse",
    "MixedPrecision",
    "OptimError",
    "Precision",
    "Prune",
    "Quantize",
    "QuantizeAware",
    "Recipe",
    "Replace",
    "ReplaceActivation",
    "Sparsify",
    "Target",
    "Task",
    "Workspace",
    "load_task",
    "pareto_figure",
    "recipe_of",
    "sample_tasks",
    "sweep",
)

_HOMES = {
    "AnalysisKind": "optim.store.analyses",
    "Candidate": "optim.candidate",
    "Distill": "optim.recipe",
    "Fuse": "optim.recipe",
    "MixedPrecision": "optim.recipe",
    "OptimError": "optim.errors",
    "Precision": "optim.recipe",
    "Prune": "optim.recipe",
    "Quantize": "optim.recipe",
    "QuantizeAware": "optim.recipe",
    "Recipe": "optim.recipe",
    "Replace": "optim.recipe",
    "ReplaceActivation": "optim.recipe",
    "Sparsify": "optim.recipe",
    "Target": "optim.devices.target",
    "Task": "optim.task.task",
    "Workspace": "optim.workspace",
    "load_task": "optim.task.task",
    "pareto_figure": "optim.report.figure",
    "recipe_of": "optim.recipe",
    "sample_tasks": "optim.task.task",
    "sweep": "optim.sweeps",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'optim' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
