"""Write docs/command-line.md from the help of the commands; a test compares the two.

python scripts/command_line_docs.py
"""

from __future__ import annotations

from pathlib import Path

import click

from optim.cli import cli

DOCS = Path(__file__).resolve().parent.parent / "docs" / "command-line.md"
WIDTH = 92

INTRODUCTION = """\
# Command line

Everything the dashboard can do, without a browser. This page is written by
`python scripts/command_line_docs.py` from the commands' own `--help`.

- `--json` prints plain data with stable keys: shares are 0..1, times milliseconds (`_ms`), sizes
  bytes (`_bytes`), moments ISO 8601 in UTC; what is not known is `null`. Progress goes to standard
  error and only to a terminal, so standard output can be piped.
- `--workspace` may stand before or after the command; else `EDGE_OPTIM_WORKSPACE` names the folder,
  else it is `.workspace` in the current one.
- Exit codes: 0 done; 1 a mistake in edge-optim itself; 2 wrong input, a refusal, or a disk, port or
  file that cannot be used, with one sentence on standard error that says what to do; 130 stopped
  with Ctrl-C.
- A refusal is a result: a recipe that cannot be done is kept with its reason. `run` ends with 2
  then; `sweep` goes on with the rest, ends with 0 and shows the reason in the row.

"""


def command_line_page() -> str:
    """The whole page."""
    sections = [("edge-optim", cli), *((name, cli.commands[name]) for name in sorted(cli.commands))]
    return INTRODUCTION + "\n".join(_section(name, command) for name, command in sections)


def _section(name: str, command: click.Command) -> str:
    parent = None if command is cli else click.Context(cli, info_name="edge-optim")
    names = cli.context_settings["help_option_names"]
    context = click.Context(
        command, info_name=name, parent=parent, terminal_width=WIDTH, help_option_names=names
    )
    return f"## {name}\n\n```text\n{command.get_help(context)}\n```\n"


if __name__ == "__main__":
    DOCS.write_text(command_line_page(), encoding="utf-8")
