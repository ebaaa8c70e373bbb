"""Commands that make and measure: starters, run, sweep, measure."""

from __future__ import annotations

from pathlib import Path

import click
from click.core import ParameterSource

from optim.candidate import Candidate
from optim.cli.output import (
    common_options,
    known_task,
    open_workspace,
    print_json,
    print_table,
    progress_bar,
    wrong_input,
)
from optim.cli.quantization import QUANTIZATION_OPTIONS, Quantization, quantization_options
from optim.cli.rows import candidate_card, candidate_row
from optim.errors import BrokenRecipeError
from optim.grid import Grid, make_each, suitable_epochs
from optim.recipe import MAX_RECIPE_BYTES, Precision, QuantizeAware, Recipe, recipe_of
from optim.report.record import candidate_record, job_record
from optim.report.words import between, count, megabytes, milliseconds, points, share, times

PRECISIONS = click.Choice([str(precision) for precision in Precision], case_sensitive=False)
EPOCHS_HELP = "Fine-tuning after pruning, in passes over the data. Default: what suits TASK."
QAT_HELP = (
    "Train on the grid of the file's 4- or 8-bit weights, in passes over the data; only beside "
    "--quantize int4 or int8."
)
STEP_OPTIONS = (
    "prune", "quantize", "epochs", "no_distill", "fuse", "seed", "qat_epochs", "learned_scales",
    *QUANTIZATION_OPTIONS,
)  # fmt: skip


@click.command()
@click.argument("task", callback=known_task)
@common_options
def starters(task: str, workspace: Path | None, as_json: bool) -> None:
    """Measure the ready-made candidates of TASK.

    Their files were made by the ordinary pipeline and are shipped with their recorded accuracy;
    latency is measured here, because it belongs to a machine.

    \b
    Examples:
      edge-optim starters fashion-resnet
    """
    opened = open_workspace(workspace)
    with progress_bar(task) as progress:
        found = opened.take_starters(task, progress=progress)
    _print_candidates(found, as_json)


@click.command()
@click.argument("task", callback=known_task)
@click.option("--prune", type=float, default=0.0, help="Share of channels to remove, 0 to 0.95.")
@click.option("--quantize", type=PRECISIONS, default="fp32", help="Precision of the file.")
@quantization_options
@click.option("--epochs", type=float, help=EPOCHS_HELP)
@click.option("--no-distill", is_flag=True, help="Fine-tune on labels alone, without a teacher.")
@click.option("--qat-epochs", type=float, help=QAT_HELP)
@click.option("--learned-scales", is_flag=True, help="Beside --qat-epochs: train the grid as well.")
@click.option("--fuse", is_flag=True, help="Fold batch norms into the layers before them.")
@click.option("--seed", type=int, default=0, show_default=True, help="Of everything random.")
@click.option(
    "--recipe",
    "recipe_file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A recipe in YAML or JSON instead of the options above.",
)
@click.option("--background", is_flag=True, help="Queue it as a job and return at once.")
@common_options
@click.pass_context
def run(
    context: click.Context,
    task: str,
    prune: float,
    quantize: str,
    quantization: Quantization,
    epochs: float | None,
    no_distill: bool,
    qat_epochs: float | None,
    learned_scales: bool,
    fuse: bool,
    seed: int,
    recipe_file: Path | None,
    background: bool,
    workspace: Path | None,
    as_json: bool,
) -> None:
    """Make one candidate of TASK, measure it, and print its figures.

    A candidate that is finished, or came with the task, is not made again; a ratio is trained once
    for all precisions.

    \b
    Examples:
      edge-optim run fashion-resnet --quantize int8
      edge-optim run fashion-resnet --prune 0.5 --quantize int8
      edge-optim run fashion-squeezenet --preset smallest
      edge-optim run motion-cnn --quantize int8 --calibration mse --rounding compensated
      edge-optim run fashion-resnet --prune 0.75 --epochs 4 --quantize int8 --background
      edge-optim run fashion-mobilenetv2 --quantize int4 --qat-epochs 1
      edge-optim run motion-cnn --recipe recipe.yaml --json

    \b
    A recipe file:
      version: 1
      seed: 0
      steps:
      - {step: prune, ratio: 0.5, epochs: 1.0, distill: true}
      - {step: quantize, precision: int8}
    """
    if recipe_file is not None:
        _refuse_beside_recipe(context)
        recipe = read_recipe(recipe_file)
    else:
        with wrong_input():
            step = quantization.step(quantize)
            bits = quantize if step is None else step.precision
            recipe = recipe_of(
                quantize=step,
                pruning_ratio=prune,
                epochs=suitable_epochs(task, epochs),
                distill=not no_distill,
                fuse=fuse,
                seed=seed,
                quantize_aware=_quantize_aware(bits, qat_epochs, learned_scales, no_distill),
            )
    opened = open_workspace(workspace)
    if background:
        job = opened.submit(task, recipe)
        if as_json:
            print_json(job_record(job))
        else:
            click.echo(f"Job {job.id}: {job.words}. `edge-optim jobs` shows how it goes.")
        return
    with progress_bar(recipe.words()) as progress:
        made = opened.make(task, recipe, progress=progress)
    if as_json:
        print_json(candidate_record(made))
        return
    click.echo(candidate_card(made, opened.candidate_of(task, Recipe())))


@click.command()
@click.argument("task", callback=known_task)
@click.option(
    "--prune", default="0,0.25,0.5,0.75", show_default=True, help="Ratios, separated by commas."
)
@click.option(
    "--quantize", default="fp32,int8", show_default=True, help="Precisions, separated by commas."
)
@click.option("--epochs", type=float, help=EPOCHS_HELP)
@click.option("--no-distill", is_flag=True, help="Fine-tune on labels alone, without a teacher.")
@click.option("--seed", type=int, default=0, show_default=True, help="Of everything random.")
@common_options
def sweep(
    task: str,
    prune: str,
    quantize: str,
    epochs: float | None,
    no_distill: bool,
    seed: int,
    workspace: Path | None,
    as_json: bool,
) -> None:
    """Make and measure a grid of candidates of TASK.

    Every ratio is combined with every precision. Each ratio is trained once. A sweep that is
    stopped keeps what is finished, and goes on from there when it is started again.

    \b
    Examples:
      edge-optim sweep fashion-resnet
      edge-optim sweep fashion-resnet --prune 0,0.25,0.5 --quantize fp32,int8
      edge-optim sweep motion-cnn --prune 0.5 --quantize fp16,int8,int4 --json
    """
    with wrong_input():
        recipes = Grid(
            pruning_ratios=[_number(text) for text in _parts(prune)],
            precisions=_parts(quantize),
            epochs=suitable_epochs(task, epochs),
            distill=not no_distill,
            seed=seed,
        ).recipes()
    opened = open_workspace(workspace)
    with progress_bar(f"{len(recipes)} candidates") as progress:
        made = tuple(make_each(opened, task, recipes, progress=progress))
    _print_candidates(made, as_json)


@click.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--task", callback=known_task, required=True, help="Whose test split it answers.")
@common_options
def measure(file: Path, task: str, workspace: Path | None, as_json: bool) -> None:
    """Measure any ONNX FILE on a task.

    Accuracy is taken on the task's test split, latency in turn with the task's original network.
    The file must take the task's input and give one logit per class; it is not kept.

    \b
    Examples:
      edge-optim measure my-model/model.onnx --task fashion-resnet
      edge-optim measure other.onnx --task motion-cnn --json
    """
    from optim.measure_file import measure_file, measured_record

    opened = open_workspace(workspace)
    with progress_bar(file.name) as progress:
        found = measure_file(opened.results, task, file, progress=progress)
    if as_json:
        print_json(measured_record(found))
        return
    accuracy, latency = found.accuracy, found.latency
    click.echo(
        f"{file.name} on {task}\n"
        f"  accuracy  {share(accuracy.value)}, 95 % interval {between(accuracy.interval, share)}, "
        f"n = {count(accuracy.n)}\n"
        f"            {points(accuracy.difference)} against the task's original\n"
        f"  latency   {milliseconds(latency.p50_ms)} at the median, "
        f"{times(latency.speedup)} as fast as the original, 95 % interval "
        f"{between(latency.speedup_interval, times)}\n"
        f"            on {latency.environment.words()}\n"
        f"  size      {megabytes(found.artifact.size_bytes)}, {count(found.facts.parameters)} "
        f"parameters, {count(found.facts.macs)} multiply-accumulates\n"
        f"  float     {found.facts.float_count} of {found.facts.operators} heavy operators are "
        "computed in floating point"
    )


def read_recipe(path: Path) -> Recipe:
    """Read a recipe file, as if a stranger had written it.

    Raises:
        BrokenRecipeError: if it is too long, not text, or not a recipe.
    """
    try:
        with path.open("rb") as file:
            return Recipe.from_text(file.read(MAX_RECIPE_BYTES + 1).decode())
    except UnicodeDecodeError as error:
        raise BrokenRecipeError(
            f"the recipe file {path.name} is not text in UTF-8. Is it really a recipe?"
        ) from error
    except OSError as error:
        raise BrokenRecipeError(
            f"the recipe file {path.name} cannot be read: {error.strerror}. Check its path and "
            "its permissions."
        ) from error


def _quantize_aware(
    precision: str, epochs: float | None, learned_scales: bool, no_distill: bool
) -> QuantizeAware | None:
    """The step that --qat-epochs means, for as many bits as the file will have."""
    if epochs is None and not learned_scales:
        return None
    bits = {"int8": 8, "int4": 4}.get(precision.lower())
    if bits is None or epochs is None:
        raise ValueError(
            "--qat-epochs trains for whole-number weights and needs --quantize int4 or int8; "
            f"--learned-scales needs --qat-epochs. Got --quantize {precision}"
            f"{'' if epochs is None else f' --qat-epochs {epochs:g}'}."
        )
    return QuantizeAware(
        weight_bits=bits, epochs=epochs, learned_scales=learned_scales, distill=not no_distill
    )


def _refuse_beside_recipe(context: click.Context) -> None:
    for name in STEP_OPTIONS:
        if context.get_parameter_source(name) is ParameterSource.COMMANDLINE:
            raise click.UsageError(
                f"--recipe says everything, so --{name.replace('_', '-')} may not stand beside it. "
                "Write it into the file, or leave --recipe out.",
                context,
            )


def _print_candidates(found: tuple[Candidate, ...], as_json: bool) -> None:
    if as_json:
        print_json([candidate_record(candidate) for candidate in found])
        return
    print_table([candidate_row(candidate) for candidate in found], empty="No candidate was made.")
    environment = next((c.latency.environment for c in found if c.latency), None)
    if environment is not None:
        click.echo(f"Latency: batch 1 on {environment.words()}.")


def _parts(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise ValueError(f"prune ratios must be numbers such as 0.5; got {text!r:.40}.") from None
