"""Output of the commands: the options that all of them take, tables, JSON and progress."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import click

from optim.devices.target import Target
from optim.progress import Progress
from optim.task.task import load_task
from optim.words import one_line, visible
from optim.workspace import Workspace, default_folder


class Finite(click.FloatRange):
    """A range of numbers; unlike click's own it holds neither nan nor infinity."""

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """Return the number that a text writes; it fails as click's own type does."""
        found = float(super().convert(value, param, ctx))
        if not math.isfinite(found):
            self.fail(f"{found} is not a finite number.", param, ctx)
        return found


F = TypeVar("F", bound=Callable[..., Any])

STEPS = 1000
"""Resolution of a progress bar."""


def common_options(command: F) -> F:
    """Add --workspace and --json."""
    command = click.option(
        "--json", "as_json", is_flag=True, help="Print plain data with stable keys."
    )(command)
    return click.option(
        "--workspace",
        type=click.Path(path_type=Path),
        is_eager=True,  # a task may be one of the workspace's own
        help="Folder of store and model files. Default: $EDGE_OPTIM_WORKSPACE, else ./.workspace.",
    )(command)


def open_workspace(named: Path | None, target: Target | None = None) -> Workspace:
    """Return the workspace that the command, else the group, else the environment names.

    Raises:
        WorkspaceError: read-only, full disk, or written by a newer version.
    """
    return Workspace(workspace_folder(named), target=target)


def workspace_folder(named: Path | None) -> Path:
    """Return the folder of ``open_workspace``, not opened."""
    of_group = click.get_current_context().find_root().params.get("workspace")
    return named or of_group or default_folder()


def tell_unread(workspace: Workspace, task: str | None = None) -> None:
    """Say on standard error what a newer version wrote and the tables leave out."""
    if told := workspace.unread(task):
        say(f"Note: {told}", error=True)


def known_task(context: click.Context, parameter: click.Parameter, name: str) -> str:
    """Check the name of a task; callback of a TASK argument.

    Raises:
        UnknownTaskError: naming the nearest.
    """
    return load_task(name, workspace_folder(context.params.get("workspace"))).name


@contextmanager
def wrong_input() -> Iterator[None]:
    """Raise a ``ValueError`` inside as an error of what the user typed.

    Raises:
        click.UsageError: with the same sentence.
    """
    try:
        yield
    except ValueError as error:
        raise click.UsageError(str(error)) from error


def say(text: object = "", *, error: bool = False) -> None:
    """Print lines for a person; what a terminal would obey is shown."""
    click.echo("\n".join(map(visible, str(text).split("\n"))), err=error)


def print_json(data: object) -> None:
    """Print plain data as JSON; numbers that are not finite become null."""
    text = json.dumps(_finite(data), indent=2, ensure_ascii=False, allow_nan=False, default=str)
    click.echo("\n".join(_plain_json(line) for line in text.split("\n")))


def _plain_json(line: str) -> str:
    """Return a line of JSON without the letters that a terminal would obey; it means the same."""
    return "".join(
        letter if visible(letter) == letter else json.dumps(letter)[1:-1] for letter in line
    )


def print_table(rows: Sequence[Mapping[str, str]], *, empty: str) -> None:
    """Print rows as aligned text, numbers to the right, or ``empty`` if there are none."""
    if not rows:
        say(empty)
        return
    titles = list(rows[0])
    lines = [titles, *([one_line(row[title]) for title in titles] for row in rows)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(titles))]
    numeric = [all(_starts_like_a_number(row[title]) for row in rows) for title in titles]
    for line in lines:
        cells = [
            text.rjust(width) if right else text.ljust(width)
            for text, width, right in zip(line, widths, numeric, strict=True)
        ]
        say("  ".join(cells).rstrip())


@contextmanager
def progress_bar(label: str) -> Iterator[Progress]:
    """Yield a bar on standard error, on terminals only, that follows ``progress(share, words)``."""
    stream = sys.stderr
    if not stream.isatty():
        yield lambda share, words: None
        return
    with click.progressbar(
        length=STEPS, label=one_line(label), item_show_func=_shown, file=stream
    ) as bar:

        def follow(share: float, words: str) -> None:
            target = round(min(1.0, max(0.0, share)) * STEPS)
            bar.update(max(0, target - bar.pos), words)

        yield follow


def _shown(words: str | None) -> str | None:
    return None if words is None else one_line(words)


def _finite(data: Any) -> Any:
    match data:
        case dict():
            return {str(key): _finite(value) for key, value in data.items()}
        case list() | tuple():
            return [_finite(value) for value in data]
        case float() if data != data or data in (float("inf"), float("-inf")):
            return None
        case _:
            return data


def _starts_like_a_number(text: str) -> bool:
    return text in ("", "-") or text.lstrip("+-")[:1].isdigit()
