"""Old names of commands and options: they work for one version, with a note."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import click

OLD_COMMANDS = {"headlines": "presets", "starters": "prebuilt"}
"""The present name of a command by its old one."""
OLD_OPTIONS = {"--headline": "--named-preset"}
"""The present name of an option by its old one."""


class CommandGroup(click.Group):
    """A group that runs a command under its old name as well; no help lists the old one."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Return name, command and rest of the words, as click does."""
        first, *rest = args
        return super().resolve_command(ctx, [_present(first, OLD_COMMANDS), *rest])


class RenamedOptions(click.Command):
    """A command that takes its options under their old names as well; no help lists them."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Read the words, as click does."""
        return super().parse_args(ctx, [*_with_present_options(args)])


def _with_present_options(words: Sequence[str]) -> Iterator[str]:
    for word in words:
        option, equals, value = word.partition("=")
        yield _present(option, OLD_OPTIONS) + equals + value


def _present(name: str, old_names: dict[str, str]) -> str:
    """Return the present name, and say on standard error that the old one will go."""
    if name not in old_names:
        return name
    now = old_names[name]
    click.echo(f"Note: `{name}` is called `{now}` now; use that, the old name will go.", err=True)
    return now
