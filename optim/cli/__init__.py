"""The command line: everything the dashboard can do, without a browser.

Exit codes: 0 done; 2 wrong input, a refusal, or the world going wrong (one sentence on standard
error says what and what to do); 130 stopped with Ctrl-C; 1 a mistake in edge-optim itself.
"""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import click

from optim.cli.background import cancel, dashboard, jobs, worker
from optim.cli.bring import bring, shrink
from optim.cli.inside import mixed, sensitivity, waterfall
from optim.cli.look import candidates, export, front, tasks
from optim.cli.make import measure, prebuilt, sweep
from optim.cli.old_names import CommandGroup
from optim.cli.output import say
from optim.cli.presets import presets
from optim.cli.pruning import plan, pruning_curves
from optim.cli.run import run
from optim.cli.why import fuse, profile
from optim.errors import OptimError
from optim.version import __version__
from optim.words import one_line

EXIT_WRONG, EXIT_STOPPED = 2, 130
OUTPUT_FAILS = (errno.EPIPE, errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EFBIG, errno.EBADF)


@click.group(
    cls=CommandGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__, prog_name="edge-optim")
@click.option(
    "--workspace",
    type=click.Path(path_type=Path),
    help="Folder of store and model files. Default: $EDGE_OPTIM_WORKSPACE, else ./.workspace.",
)
def cli(workspace: Path | None) -> None:
    """Make neural networks small and fast for edge devices, and see what it costs.

    Every accuracy is taken on the test split, every latency on this machine, interleaved with the
    original network. Each command takes --json, which prints plain data with stable keys.

    \b
    Start here:
      edge-optim tasks                                     which networks there are
      edge-optim prebuilt fashion-resnet                   measure the prebuilt candidates
      edge-optim run fashion-resnet --prune 0.5 --quantize int8
      edge-optim front fashion-resnet --max-drop 1.0       the best of what is measured
      edge-optim dashboard                                 the same in a browser

    \b
    Exit codes:
      0  done
      1  a mistake in edge-optim itself; please report it
      2  wrong input, a refusal, or a disk, port or file that cannot be used
      130  stopped with Ctrl-C
    """


LOOK = (tasks, candidates, front, presets, export)
WHY = (profile, fuse)
MAKE = (prebuilt, run, sweep, measure)
INSIDE = (sensitivity, mixed, waterfall, pruning_curves, plan)
OWN = (bring, shrink)
BACKGROUND = (jobs, cancel, worker, dashboard)
for _command in (*LOOK, *WHY, *MAKE, *INSIDE, *OWN, *BACKGROUND):
    cli.add_command(_command)
cli.add_command(profile, "why")


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and end the process with its exit code."""
    sys.exit(run_command_line(arguments))


def run_command_line(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code; what went wrong is one sentence on stderr."""
    words = None if arguments is None else list(arguments)
    try:
        code = cli.main(words, prog_name="edge-optim", standalone_mode=False)
        if sys.stdout is not None:  # None if the caller has closed it
            sys.stdout.flush()
    except click.exceptions.NoArgsIsHelpError as error:
        say(error.format_message(), error=True)
        return EXIT_WRONG
    except click.ClickException as error:
        context = getattr(error, "ctx", None)
        hint = f" See: {context.command_path} --help" if context else ""
        return _complain(f"{error.format_message()}{hint}")
    except (click.Abort, KeyboardInterrupt):
        say("Stopped. What was finished is kept.", error=True)
        return EXIT_STOPPED
    except OptimError as error:
        return _complain(str(error))
    except (SystemExit, OSError) as error:
        return _output_failed(error)
    return code if isinstance(code, int) else 0


def _output_failed(error: SystemExit | OSError) -> int:
    """Return the exit code where standard output takes no more; any other error goes on its way.

    A reader who has seen enough (``| head``) is no mistake. click leaves by ``SystemExit`` then, as
    nothing else does here, for commands return their codes.
    """
    closed = isinstance(error, SystemExit) or error.errno == errno.EPIPE
    if isinstance(error, OSError) and (
        error.filename is not None or error.errno not in OUTPUT_FAILS
    ):
        raise error  # a file of ours: that should have been a sentence
    with suppress(OSError, ValueError, AttributeError):  # else Python would try again at its end
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    if closed:
        return 0
    return _complain(
        f"standard output cannot be written: {getattr(error, 'strerror', error)}. Free some space, "
        "or send it elsewhere."
    )


def _complain(sentence: str) -> int:
    say(f"edge-optim: {one_line(sentence)}", error=True)
    return EXIT_WRONG
