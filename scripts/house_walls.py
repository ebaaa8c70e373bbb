"""The walls of the house: which room stands on which floor, and the doors that cross on purpose."""

from __future__ import annotations

from collections.abc import Iterable

from house_imports import Arrow, room_of

FLOORS: tuple[tuple[str, ...], ...] = (
    # Ground floor first. A room imports from the floors below its own; on one floor, nobody knows
    # anybody.
    (
        "optim.errors",
        "optim.progress",
        "optim.telemetry",
        "optim.version",
        "optim.words",
        "dashboard",
    ),
    ("optim.artifact", "optim.engines", "optim.recipe"),
    ("optim.devices", "optim.graph", "optim.task"),
    ("optim.compress", "optim.intake", "optim.measure"),
    ("optim.candidate",),
    ("optim.search", "optim.store"),
    ("optim.pipeline", "optim.report", "optim.training_history"),
    ("optim.analysis", "dashboard.state"),
    ("optim.jobs", "dashboard.pages", "dashboard.viewport"),
    ("optim.workspace", "dashboard.words"),
    (
        "optim.shrink",
        "optim.sweeps",
        "dashboard.charts",
        "dashboard.form",
        "dashboard.launch",
        "dashboard.loaders",
    ),
    ("optim", "dashboard.compare", "dashboard.live", "dashboard.server"),
    (
        "optim.cli",
        "dashboard.explore",
        "dashboard.jobs",
        "dashboard.layers",
        "dashboard.models",
        "dashboard.train",
    ),
    ("optim.__main__", "sample_models", "dashboard.app", "dashboard.views"),
)

LAZY_DOORS: frozenset[Arrow] = frozenset({("optim.cli.background", "dashboard.launch")})
"""Imports that cross the walls on purpose: the command that opens the dashboard."""


def floor_of(module: str) -> int:
    """The floor of the room that a module stands in, 0 for the ground.

    Raises:
        ValueError: the room is not on the list.
    """
    room = room_of(module)
    for level, floor in enumerate(FLOORS):
        if room in floor:
            return level
    raise ValueError(
        f"every room must stand on a floor, and {room} (for {module}) stands on none. "
        "Give it one in FLOORS, scripts/house_walls.py."
    )


def arrows_up(arrows: Iterable[Arrow]) -> tuple[str, ...]:
    """The imports of files that do not go down to another floor, as ``importer -> imported``."""
    return tuple(
        f"{importer} -> {imported}"
        for importer, imported in sorted(arrows)
        if room_of(importer) != room_of(imported) and floor_of(imported) >= floor_of(importer)
    )


def strangers_that_meet(arrows: Iterable[Arrow]) -> tuple[str, ...]:
    """The imports between the dashboard and the command line, in either direction."""
    return tuple(
        f"{importer} -> {imported}"
        for importer, imported in sorted(arrows)
        if {_half(importer), _half(imported)} == {"dashboard", "command line"}
    )


def _half(module: str) -> str:
    if module.split(".")[0] == "dashboard":
        return "dashboard"
    return "command line" if room_of(module) in ("optim.cli", "optim.__main__") else ""
