"""Commands for a user's own network: bring, shrink."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from optim.cli.output import (
    common_options,
    open_workspace,
    print_json,
    print_table,
    progress_bar,
    say,
    wrong_input,
)
from optim.cli.target_options import target_options
from optim.devices.target import Target
from optim.intake.pixels import NORMALIZATIONS
from optim.words import count, megabytes, share

if TYPE_CHECKING:
    from optim.intake.bring import Brought

FILE = click.argument("file", type=click.Path(exists=True, path_type=Path))
DATA = click.option(
    "--data",
    type=click.Path(exists=True, path_type=Path),
    help="A folder with a folder of pictures for each class, a zip of one, or an .npz with an "
    "array for each input and the labels under `targets`. Without it, inputs are random.",
)
NAME = click.option("--name", help="What to call the task. Default: the file's name.")
SIZE = click.option(
    "--size", "sizes", multiple=True, metavar="NAME=NUMBER",
    help="A number for a size that FILE leaves free; repeat it for each. The batch needs none.",
)  # fmt: skip
FREEZE = click.option(
    "--freeze", "frozen", multiple=True, metavar="INPUT=VALUE",
    help="An input that becomes a constant, such as sr=16000; repeat it for each.",
)  # fmt: skip
NORMALIZE = click.option(
    "--normalize", type=click.Choice(list(NORMALIZATIONS)),
    help="What the network expects of a pixel. Default: the one with which it is right most often.",
)  # fmt: skip


def assigned(texts: tuple[str, ...], option: str) -> dict[str, float]:
    """Read ``("H=320",)`` as ``{"H": 320.0}``.

    Raises:
        ValueError: if one is not written so.
    """
    found = {}
    for text in texts:
        name, equals, value = text.rpartition("=")
        try:
            found[name] = float(value)
        except ValueError:
            equals = ""
        if not equals or not name:
            raise ValueError(
                f"{option} must be written NAME=NUMBER, such as H=320; got {text!r:.60}."
            )
    return found


def whole_sizes(texts: tuple[str, ...]) -> dict[str, int]:
    """Return sizes, which are integers of at least 1.

    Raises:
        ValueError: if one is not.
    """
    found = assigned(texts, "--size")
    for name, value in found.items():
        if not value.is_integer() or not 1 <= value <= 2**20:
            raise ValueError(
                f"--size {name:.40} must be an integer from 1 to {2**20}; got {value:g}."
            )
    return {name: int(value) for name, value in found.items()}


@click.command()
@FILE
@DATA
@NAME
@SIZE
@FREEZE
@NORMALIZE
@common_options
def bring(
    file: Path,
    data: Path | None,
    name: str | None,
    sizes: tuple[str, ...],
    frozen: tuple[str, ...],
    normalize: str | None,
    workspace: Path | None,
    as_json: bool,
) -> None:
    """Make a task of your own network FILE (ONNX), so that everything works on it.

    The file is read and run in a process with limits, made fit where its answers stay the same, and
    kept in the workspace with the examples you give. Then `edge-optim run NAME --quantize int8`,
    `front NAME` and the dashboard know it like a sample.

    \b
    Examples:
      edge-optim bring detector.onnx --data pictures/ --name detector
      edge-optim bring voice.onnx --freeze sr=16000 --size samples=512 --data calls.npz
      edge-optim bring net.onnx --json
    """
    from optim.intake.bring import bring as bring_file

    opened = open_workspace(workspace)
    with wrong_input():
        numbers, constants = whole_sizes(sizes), assigned(frozen, "--freeze")
    with progress_bar(file.name) as progress:
        made = bring_file(
            file, opened.path, name=name, data=data, sizes=numbers, frozen=constants,
            normalization=normalize, progress=progress,
        )  # fmt: skip
    if as_json:
        print_json(made.to_dict())
        return
    for line in brought_lines(made):
        say(line)


def brought_lines(made: Brought) -> list[str]:
    """Return what came in, what was done to it, and what to do next."""
    before = made.before
    common = ", ".join(f"{n} {kind}" for kind, n in list(before.operators.items())[:6])
    lines = [
        f"{made.name}: {megabytes(before.size_bytes)}, {count(before.parameters)} parameters, "
        f"opset {before.opset}, {sum(before.operators.values())} operators ({common}).",
        *(f"  input   {port.words()}" for port in before.inputs),
        *(f"  output  {port.words()}" for port in before.outputs),
        *made.steps,
    ]
    if not made.free_batch:
        lines.append("It takes one example at a time, which is how it will be measured.")
    splits = ", ".join(f"{n} {name}" for name, n in made.examples.items())
    lines.append(f"Data: {made.data} ({splits}). {_judged(made)}")
    if made.guesses:
        told = ", ".join(f"{way} {share(value)}" for way, value in made.guesses.items())
        lines.append(f"Pixels: {made.preprocessing}. Right on up to 128 examples: {told}.")
    lines.append(f"Next: edge-optim run {made.name} --quantize int8")
    return lines


def _judged(made: Brought) -> str:
    """Return what the metric means, and what it cannot tell."""
    n = made.examples["test"]
    match made.metric:
        case "accuracy":
            return f"{n} test examples tell differences above {_smallest(n):.1f} points apart."
        case "agreement":
            return "There are no labels: what counts is agreement with the original."
        case "mae":
            return "What counts is the mean absolute error."
        case _:
            noise = " Ranges from noise are not to be trusted: give real examples with --data."
            random = made.data == "random inputs"
            return (
                "What counts is the signal to noise against the original's answers."
                f"{noise if random else ''}"
            )


def _smallest(n: int) -> float:
    """Return the points that tell two accuracies near 90 % apart on n paired examples.

    Half of the answers that differ are taken to be lost and gained each (McNemar): with a tenth of
    the answers changed the standard error is sqrt(0.1 / n).
    """
    return float(100 * 1.96 * (0.1 / n) ** 0.5)


@click.command()
@FILE
@DATA
@NAME
@click.option(
    "--to", "folder", type=click.Path(file_okay=False, path_type=Path), required=True,
    help="Folder for the best file, its recipe and card, and the report.",
)  # fmt: skip
@SIZE
@FREEZE
@NORMALIZE
@target_options
@common_options
def shrink(
    file: Path,
    data: Path | None,
    name: str | None,
    folder: Path,
    sizes: tuple[str, ...],
    frozen: tuple[str, ...],
    normalize: str | None,
    target: Target,
    workspace: Path | None,
    as_json: bool,
) -> None:
    """Try every way to make FILE (ONNX) smaller and faster without training, and write the best.

    Fused, FP16, dynamic, INT8 and INT4; where INT8 falls below its promise, the layers that hurt
    are found and left in float. Each is measured against FILE itself; what cannot be done says why.

    \b
    Examples:
      edge-optim shrink detector.onnx --data pictures/ --to small/
      edge-optim shrink net.onnx --to small/ --json
    """
    from optim.intake.bring import bring as bring_file
    from optim.shrink import shrink as shrink_file

    opened = open_workspace(workspace, target)
    with wrong_input():
        numbers, constants = whole_sizes(sizes), assigned(frozen, "--freeze")
    with progress_bar(file.name) as progress:
        made = bring_file(
            file, opened.path, name=name, data=data, sizes=numbers,
            frozen=constants, normalization=normalize, progress=lambda s, w: progress(s * 0.2, w),
        )  # fmt: skip
        found = shrink_file(opened, made.name, progress=lambda s, w: progress(0.2 + s * 0.8, w))
        found.write(opened, folder)
    if as_json:
        print_json(found.to_dict())
        return
    for line in brought_lines(made)[:-1]:
        say(line)
    print_table(found.rows(), empty="Nothing could be made.")
    for line in found.refusals():
        say(line)
    say(found.why)
    if found.best is not None:
        say(f"Written to {folder}.")
