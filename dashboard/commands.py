"""The command line and the Python that do what a button does, for copying."""

from __future__ import annotations

import shlex

from optim.recipe import Fuse, Prune, Recipe, recipe_of
from optim.task import Task


def command_line(task: Task, recipe: Recipe) -> str:
    """The command that makes and measures a recipe.

    >>> from optim.task import load_task
    >>> command_line(load_task("fashion-resnet"), recipe_of(precision="int8", fuse=True))
    'edge-optim run fashion-resnet --fuse --quantize int8'
    """
    if not _in_options(recipe):
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
    if _in_options(recipe):
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


def _in_options(recipe: Recipe) -> bool:
    """True if options can say everything that the recipe says."""
    return recipe == _from_options(recipe)


def _from_options(recipe: Recipe) -> Recipe:
    step = recipe.step(Prune)
    return recipe_of(
        precision=recipe.precision,
        pruning_ratio=recipe.pruning_ratio,
        epochs=1.0 if step is None else step.epochs,
        distill=True if step is None else step.distill,
        fuse=recipe.step(Fuse) is not None,
        seed=recipe.seed,
    )


def _arguments(recipe: Recipe) -> list[str]:
    step = recipe.step(Prune)
    arguments = []
    if step is not None:
        arguments.append(f"pruning_ratio={step.ratio:g}")
        arguments += [] if step.epochs == 1 else [f"epochs={step.epochs:g}"]
        arguments += [] if step.distill else ["distill=False"]
    if recipe.precision != "fp32":
        arguments.append(f'precision="{recipe.precision.value}"')
    if recipe.step(Fuse) is not None:
        arguments.append("fuse=True")
    if recipe.seed:
        arguments.append(f"seed={recipe.seed}")
    return arguments
