"""The command line and the Python that do what a button does, for copying."""

from __future__ import annotations

import shlex
from dataclasses import fields
from enum import StrEnum

from optim.recipe import Fuse, Prune, Quantize, Recipe, recipe_of
from optim.task import Task


def command_line(task: Task, recipe: Recipe) -> str:
    """The command that makes and measures a recipe; what options cannot say stands in a file.

    >>> from optim.task import load_task
    >>> command_line(load_task("fashion-resnet"), recipe_of(precision="int8", fuse=True))
    'edge-optim run fashion-resnet --fuse --quantize int8'
    """
    if recipe != _from_options(recipe):
        return f"edge-optim run {shlex.quote(task.name)} --recipe recipe.yaml"
    step = recipe.step(Prune)
    words = ["edge-optim", "run", shlex.quote(task.name)]
    if step is not None:
        words += ["--prune", f"{step.ratio:g}"]
        usual = task.fine_tuning_epochs
        words += [] if step.epochs == usual else ["--epochs", f"{step.epochs:g}"]
        words += [] if step.distill else ["--no-distill"]
    if recipe.step(Fuse) is not None:
        words.append("--fuse")
    if recipe.precision != "fp32":
        words += ["--quantize", recipe.precision.value]
    if recipe.seed:
        words += ["--seed", str(recipe.seed)]
    return " ".join(words)


def python_code(task: Task, recipe: Recipe) -> str:
    """A few lines of Python that do the same."""
    if recipe == _from_arguments(recipe):
        made = f"optim.recipe_of({', '.join(_arguments(recipe))})"
    else:
        made = 'optim.Recipe.from_text(open("recipe.yaml").read())'
    return (
        "import optim\n\n"
        'workspace = optim.Workspace(".workspace")\n'
        f"recipe = {made}\n"
        f"candidate = workspace.make({task.name!r}, recipe)\n"
        "print(candidate.latency.p50_ms, candidate.accuracy.value, candidate.artifact.path)"
    )


def _from_options(recipe: Recipe) -> Recipe:
    """What the options of the command line can say of a recipe."""
    step = recipe.step(Prune)
    return recipe_of(
        precision=recipe.precision,
        pruning_ratio=recipe.pruning_ratio,
        epochs=1.0 if step is None else step.epochs,
        distill=True if step is None else step.distill,
        fuse=recipe.step(Fuse) is not None,
        seed=recipe.seed,
    )


def _from_arguments(recipe: Recipe) -> Recipe:
    """What the arguments of ``recipe_of`` can say with the names that ``optim`` exports."""
    step = recipe.step(Prune)
    return recipe_of(
        pruning_ratio=recipe.pruning_ratio,
        blocks=0 if step is None else step.blocks,
        epochs=1.0 if step is None else step.epochs,
        distill=True if step is None else step.distill,
        fuse=recipe.step(Fuse) is not None,
        seed=recipe.seed,
        quantize=recipe.step(Quantize),
    )


def _arguments(recipe: Recipe) -> list[str]:
    step, quantize = recipe.step(Prune), recipe.step(Quantize)
    arguments = []
    if step is not None:
        arguments += [f"pruning_ratio={step.ratio:g}"] if step.ratio else []
        arguments += [f"blocks={step.blocks}"] if step.blocks else []
        arguments += [] if step.epochs == 1 else [f"epochs={step.epochs:g}"]
        arguments += [] if step.distill else ["distill=False"]
    if quantize is not None:
        usual = quantize == Quantize(precision=quantize.precision)
        plain = f'precision="{quantize.precision}"'
        arguments.append(plain if usual else f"quantize=optim.Quantize({_unusual(quantize)})")
    if recipe.step(Fuse) is not None:
        arguments.append("fuse=True")
    if recipe.seed:
        arguments.append(f"seed={recipe.seed}")
    return arguments


def _unusual(step: Quantize) -> str:
    """The arguments of a step that differ from its usual ones."""
    usual = Quantize(precision=step.precision)
    chosen = {field.name: getattr(step, field.name) for field in fields(step)}
    return ", ".join(
        f'{name}="{value}"' if isinstance(value, StrEnum) else f"{name}={value!r}"
        for name, value in chosen.items()
        if value != getattr(usual, name) or name == "precision"
    )
