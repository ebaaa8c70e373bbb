"""Commands about channels, layer by layer: what each costs, and a plan that keeps a budget."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from optim.artifact import write_atomically
from optim.candidate import Candidate
from optim.cli.analysis import known_or_made
from optim.cli.output import (
    Finite,
    common_options,
    known_task,
    open_workspace,
    print_json,
    print_table,
    progress_bar,
    say,
    wrong_input,
)
from optim.cli.rows import candidate_card
from optim.cli.target_options import target_options
from optim.devices.target import Target
from optim.errors import WorkspaceError
from optim.progress import Progress
from optim.recipe import INTEGER_PRECISIONS, Precision, Prune, Quantize, Recipe
from optim.recipe.fields import MAX_EPOCHS
from optim.recipe.steps import Step
from optim.report.record import candidate_record
from optim.search.grid import suitable_epochs
from optim.store.analyses import AnalysisKind
from optim.store.names import to_stored
from optim.words import count, milliseconds, share
from optim.workspace import Workspace

if TYPE_CHECKING:
    from optim.analysis.channel_plan import ChannelPlan
    from optim.analysis.pruning_curves import LayerCurve, PruningCurves


FREE_DROP = 0.01
PRECISIONS = click.Choice([str(precision) for precision in Precision], case_sensitive=False)
SHARE = Finite(0, 1, min_open=True)


@click.command("pruning-curves")
@click.argument("task", callback=known_task)
@target_options
@common_options
def pruning_curves(task: str, target: Target, workspace: Path | None, as_json: bool) -> None:
    """Show what channels cost in each layer of TASK: accuracy against the share pruned.

    One group of layers that shrink together is pruned at a time, by magnitude and without training;
    batch norms are re-estimated. Accuracy is taken on validation examples. "Free" is the largest
    share that can be pruned alone within 1 point. With --json come the loss, the shapes of all
    layers and their measured times at every width.

    \b
    Examples:
      edge-optim pruning-curves fashion-resnet
      edge-optim pruning-curves motion-cnn --json
    """
    from optim.analysis.pruning_curves import redundancy_words

    opened = open_workspace(workspace, target)
    with progress_bar(task) as progress:
        whole = opened.make(task, Recipe())
        found = _curves(opened, whole, progress, anew=True)
    if as_json:
        print_json({"task": task, "candidate": whole.id, **found.to_dict()})
        return
    print_table([_curve_row(curve) for curve in found.curves], empty="There is no layer.")
    say(
        f"On {count(found.n)} validation examples; the whole network is right in "
        f"{share(found.score)} of them.\n{redundancy_words(found, FREE_DROP)}"
    )


@click.command()
@click.argument("task", callback=known_task)
@click.option("--latency", type=SHARE, help="Share of the measured latency that may stay.")
@click.option("--macs", type=SHARE, help="Share of the multiply-accumulates that may stay.")
@click.option("--parameters", type=SHARE, help="Share of the parameters that may stay.")
@click.option(
    "--epochs", type=Finite(0, MAX_EPOCHS), help="Fine-tuning afterwards. Default: what suits TASK."
)
@click.option("--quantize", type=PRECISIONS, default="fp32", help="Precision of the file.")
@click.option("--run", "runs", is_flag=True, help="Make and measure the candidate.")
@click.option(
    "--recipe-out",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write the recipe to a YAML file, for `edge-optim run --recipe`.",
)
@target_options
@common_options
def plan(
    task: str,
    latency: float | None,
    macs: float | None,
    parameters: float | None,
    epochs: float | None,
    quantize: str,
    runs: bool,
    recipe_out: Path | None,
    target: Target,
    workspace: Path | None,
    as_json: bool,
) -> None:
    """Plan how many channels each layer of TASK keeps, so that a budget is kept and least is lost.

    Give one of --latency, --macs and --parameters: a share of the whole network's. The ratios have
    the least sum of losses with single layers pruned, which are measured first if not known.
    Latency is the sum of measured times of single layers; with --quantize int8 or int4 it counts in
    INT8. Everything but what --run measures is predicted, and before any training; accuracy is
    predicted too kindly: layers pruned together lose more than the sum of each alone.

    \b
    Examples:
      edge-optim plan fashion-resnet --latency 0.5
      edge-optim plan fashion-resnet --latency 0.3 --quantize int8 --epochs 2 --run
      edge-optim plan motion-cnn --macs 0.5 --recipe-out recipe.yaml --json
    """
    from optim.analysis.channel_plan import channel_plan

    given = {"latency": latency, "macs": macs, "parameters": parameters}
    asked = [(of, budget) for of, budget in given.items() if budget is not None]
    if len(asked) != 1:
        raise click.UsageError(
            "give one of --latency, --macs and --parameters, for example --latency 0.5.",
            click.get_current_context(),
        )
    ((of, budget),) = asked
    precision = Precision(quantize.lower())
    clock = Precision.INT8 if precision in INTEGER_PRECISIONS else Precision.FP32
    opened = open_workspace(workspace, target)
    made = None
    with progress_bar(task) as progress:
        known = _curves(opened, opened.make(task, Recipe()), progress, anew=False)
        found = channel_plan(known, budget=budget, of=of, precision=clock)
        with wrong_input():
            recipe = _recipe(found, suitable_epochs(opened.task(task), epochs), precision)
        if recipe_out is not None:
            _write(recipe_out, recipe)
        if runs:
            made = opened.make(task, recipe, progress=progress)
    if as_json:
        record = None if made is None else candidate_record(made)
        predicted = {
            "of": of,
            "budget": budget,
            **to_stored(asdict(found)),
            "layers": dict(found.layers),
        }
        print_json({"task": task, "plan": predicted, "recipe": recipe.to_dict(), "made": record})
        return
    print_table(_plan_rows(known, found), empty="")
    say(_prediction(known, found, clock))
    if made is not None:
        say(candidate_card(made, opened.candidate_of(task, Recipe())))


def _curves(
    opened: Workspace, whole: Candidate, progress: Progress, *, anew: bool
) -> PruningCurves:
    from optim.analysis.pruning_curves import PruningCurves

    return known_or_made(opened, whole, AnalysisKind.PRUNING, PruningCurves, progress, anew=anew)


def _recipe(found: ChannelPlan, epochs: float, precision: Precision) -> Recipe:
    steps: list[Step] = []
    if found.layers:
        steps.append(Prune(ratio=0.0, layers=found.layers, epochs=epochs))
    if precision is not Precision.FP32:
        steps.append(Quantize(precision=precision))
    return Recipe(steps=tuple(steps))


def _write(path: Path, recipe: Recipe) -> None:
    try:
        write_atomically(path, recipe.to_yaml().encode())
    except WorkspaceError as error:
        raise WorkspaceError(f"the recipe cannot be written: {error}") from error


def _curve_row(curve: LayerCurve) -> dict[str, str]:
    cuts = [f"{_percent(p.ratio)}: {share(p.score)}" for p in curve.points[1:]]
    return {
        "layer": curve.layer,
        "with it": count(len(curve.layers) - 1),
        "channels": count(curve.channels),
        "free": _percent(curve.free_ratio(FREE_DROP)),
        "accuracy without so much": ", ".join(cuts),
    }


def _plan_rows(known: PruningCurves, found: ChannelPlan) -> list[dict[str, str]]:
    ratios = dict(found.layers)
    rows = []
    for curve in known.curves:
        point = next(p for p in curve.points if p.ratio == ratios.get(curve.layer, 0.0))
        rows.append(
            {
                "layer": curve.layer,
                "channels": count(curve.channels),
                "kept": count(point.kept),
                "removed": _percent(point.ratio),
                "accuracy if pruned alone": share(point.score),
            }
        )
    return rows


def _prediction(known: PruningCurves, found: ChannelPlan, clock: Precision) -> str:
    lines = [
        f"Predicted, before any training: {share(found.score)} right on {count(known.n)} "
        f"validation examples, where the whole network has {share(known.score)}.",
        f"Predicted to stay: {share(found.macs)} of the MACs, {share(found.parameters)} of the "
        "parameters",
    ]
    if found.latency is not None:
        lines[-1] += f", {share(found.latency)} of the latency in {clock.upper()}"
    if found.latency_ms is not None and known.latency_ms is not None:
        lines.append(
            f"Predicted latency in FP32: {milliseconds(found.latency_ms)}, where the whole network "
            f"takes {milliseconds(known.latency_ms)}."
        )
    lines[1] += "."
    return "\n".join(lines)


def _percent(ratio: float) -> str:
    """Return a share in whole percent; channels are no finer."""
    return f"{100 * ratio:.0f} %"
