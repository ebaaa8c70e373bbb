"""The command that makes and measures one candidate: `run`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from optim.candidate import Candidate
from optim.cli.asked_steps import PRESET_OPTIONS, asked_steps, preset_help
from optim.cli.old_names import RenamedOptions
from optim.cli.output import (
    common_options,
    known_task,
    open_workspace,
    print_json,
    progress_bar,
    say,
    workspace_folder,
    wrong_input,
)
from optim.cli.rows import candidate_card
from optim.cli.step_options import OPTION_NAMES, Given, step_options
from optim.cli.target_options import target_options
from optim.devices.target import Target
from optim.errors import BrokenArtifactError, BrokenRecipeError, RefusedError
from optim.intake.reading import read_regular
from optim.jobs.job import job_record
from optim.recipe import MAX_RECIPE_BYTES, Recipe
from optim.report.record import candidate_record
from optim.search.named_presets import find_named_presets, outcome
from optim.task.task import Task, load_task
from optim.workspace import Workspace

RECIPE_OPTIONS = (*OPTION_NAMES, "preset", "fuse", "seed")
"""Whatever says a part of a recipe."""


@click.command(cls=RenamedOptions)
@click.argument("task", callback=known_task)
@step_options
@click.option("--preset", type=click.Choice(list(PRESET_OPTIONS)), help=preset_help())
@click.option("--fuse", is_flag=True, help="Fold batch norms into the layers before them.")
@click.option("--seed", type=int, default=0, show_default=True, help="Of everything random.")
@click.option(
    "--recipe",
    "recipe_file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A recipe in YAML or JSON instead of the options above.",
)
@click.option(
    "--named-preset",
    metavar="NAME",
    help="A named preset of TASK instead of the options above, or `all`; `edge-optim presets` "
    "lists them.",
)
@click.option("--background", is_flag=True, help="Queue it as a job and return at once.")
@target_options
@common_options
@click.pass_context
def run(
    context: click.Context,
    task: str,
    given: Given,
    preset: str | None,
    fuse: bool,
    seed: int,
    recipe_file: Path | None,
    named_preset: str | None,
    background: bool,
    target: Target,
    workspace: Path | None,
    as_json: bool,
) -> None:
    """Make one candidate of TASK, measure it, and print its figures.

    A candidate that is finished, or came with the task, is not made again; a ratio is trained once
    for all precisions. What is left out of pruning is the best that was found for TASK on
    validation, where somebody has looked.

    \b
    Examples:
      edge-optim run fashion-resnet --quantize int8
      edge-optim run fashion-resnet --prune 0.5 --quantize int8
      edge-optim run fashion-resnet --prune 0.7 --prune-unit macs --scope global --rounds 3
      edge-optim run fashion-resnet --student small_resnet --width 0.5 --quantize int8
      edge-optim run fashion-squeezenet --preset smallest
      edge-optim run motion-cnn --quantize int8 --calibration mse --rounding gptq
      edge-optim run motion-cnn --pattern 2:4 --quantize int8
      edge-optim run fashion-resnet --prune 0.75 --distill-epochs 4 --quantize int8 --background
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
    if named_preset is not None:
        _refuse_beside(context, "named-preset", *RECIPE_OPTIONS, "recipe_file")
        recipes = tuple(
            found.recipe
            for found in find_named_presets(
                load_task(task, workspace_folder(workspace)), named_preset
            )
        )
    elif recipe_file is not None:
        _refuse_beside(context, "recipe", *RECIPE_OPTIONS)
        recipes = (read_recipe(recipe_file),)
    else:
        with wrong_input():
            steps = asked_steps(
                load_task(task, workspace_folder(workspace)), given, preset=preset, fuse=fuse
            )
            recipes = (Recipe(steps=steps, seed=seed),)
    act = _queue if background else _make
    act(task, recipes, open_workspace(workspace, target), as_json=as_json)


def _queue(task: str, recipes: tuple[Recipe, ...], opened: Workspace, *, as_json: bool) -> None:
    jobs = [opened.submit(task, recipe) for recipe in recipes]
    if as_json:
        _print_records([job_record(job) for job in jobs])
        return
    for job in jobs:
        say(f"Job {job.id}: {job.words}. `edge-optim jobs` shows how it goes.")


def _make(task: str, recipes: tuple[Recipe, ...], opened: Workspace, *, as_json: bool) -> None:
    """Make and measure one after the other; a refused one does not keep the others from it.

    Raises:
        RefusedError: the first refusal, in the end.
    """
    records: list[dict[str, Any]] = []
    refused: list[RefusedError] = []
    for recipe in recipes:
        try:
            with progress_bar(recipe.words()) as progress:
                made = opened.make(task, recipe, progress=progress)
        except RefusedError as error:
            refused.append(error)
            continue
        if as_json:
            records.append(candidate_record(made))
        else:
            baseline = opened.candidate_of(task, Recipe())
            say(candidate_card(made, baseline) + _promise(opened.task(task), made, baseline))
    if records:
        _print_records(records)
    if refused:
        raise refused[0]


def _print_records(records: list[dict[str, Any]]) -> None:
    """Print records as JSON; a single one is no list."""
    print_json(records[0] if len(records) == 1 else records)


def _promise(task: Task, made: Candidate, baseline: Candidate | None) -> str:
    """Return a line of the card for each named preset that this candidate is: was it kept here?"""
    found = (outcome(each, made, baseline) for each in find_named_presets(task, "all"))
    return "".join(f"\n  preset    {each.words}" for each in found if each is not None)


def read_recipe(path: Path) -> Recipe:
    """Read a recipe file, as if a stranger had written it.

    Raises:
        BrokenRecipeError: if it is too long, not text, or not a recipe.
    """
    try:
        content = read_regular(path, at_most=MAX_RECIPE_BYTES)
        return Recipe.from_text(content.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise BrokenRecipeError(
            f"the recipe file {path.name} is not text in UTF-8. Is it really a recipe?"
        ) from error
    except BrokenArtifactError as error:
        raise BrokenRecipeError(f"the recipe cannot be used: {error}") from error


def _refuse_beside(context: click.Context, what: str, *names: str) -> None:
    """Refuse these options beside --recipe or --named-preset, which say everything."""
    for name in names:
        if context.get_parameter_source(name) is ParameterSource.COMMANDLINE:
            option = name.removesuffix("_file").replace("_", "-")
            raise click.UsageError(
                f"--{what} says everything, so --{option} may not stand beside it. Leave one of "
                "the two out.",
                context,
            )
