"""The options that say what is measured on: --threads and --engine."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import click

from optim.devices.device import usable_cores
from optim.devices.target import Target
from optim.engines import DEFAULT_ENGINE


class _Threads(click.ParamType[int]):
    """A number, or ``all`` for as many as there are cores."""

    name = "N"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        text = str(value).strip().lower()
        if text == "all":
            return usable_cores()
        try:
            return int(text)
        except ValueError:
            self.fail(f"threads must be a number or `all`, got {text!r:.40}.", param, ctx)


def target_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options; the command gets them together, as ``target``.

    Raises:
        EngineError, TargetError: if nothing can be measured so.
    """

    @functools.wraps(command)
    def gathering(*args: Any, threads: int, engine: str, **values: Any) -> None:
        command(*args, target=Target(engine=engine, threads=threads), **values)

    options = (
        click.option(
            "--threads",
            type=_Threads(),
            default=1,
            show_default=True,
            help="Of the engine: what latency is measured with, and whose figures are shown; "
            "`all` takes every core.",
        ),
        click.option(
            "--engine",
            metavar="NAME",
            default=DEFAULT_ENGINE,
            show_default=True,
            help="What runs the files.",
        ),
    )
    for option in reversed(options):
        gathering = option(gathering)
    return gathering
