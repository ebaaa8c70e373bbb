"""The command line and the Python that do what a button does, for copying."""

from __future__ import annotations

import shlex
from dataclasses import replace
from enum import StrEnum

from optim.recipe import (
    Fuse,
    Prune,
    Quantize,
    QuantizeAware,
    Recipe,
    recipe_of,
)
from optim.recipe.steps import Step, told_fields
from optim.task import Task

MOST_CODE = 400
"""Characters of a recipe in Python; a longer one is read from a file."""


def command_line(task: Task, recipe: Recipe) -> str:
    """The command that makes and measures a recipe; what options cannot say stands in a file.

    >>> from optim.task import load_task
    >>> command_line(load_task("fashion-resnet"), recipe_of(precision="int8", fuse=True))
    'edge-optim run fashion-resnet --fuse --quantize int8'
    """
    if recipe != _from_options(recipe):
        return f"edge-optim run {shlex.quote(task.name)} --recipe recipe.yaml"
    words = ["edge-optim", "run", shlex.quote(task.name), *_pruning(task, recipe)]
    if recipe.step(Fuse) is not None:
        words.append("--fuse")
    words += _quantization(recipe)
    if not _distils(recipe):
        words.append("--no-distill")
    if recipe.seed:
        words += ["--seed", str(recipe.seed)]
    return " ".join(words)


def _pruning(task: Task, recipe: Recipe) -> list[str]:
    step = recipe.step(Prune)
    if step is None:
        return []
    usual = step.epochs == task.fine_tuning_epochs
    return ["--prune", f"{step.ratio:g}", *([] if usual else ["--epochs", f"{step.epochs:g}"])]


def _quantization(recipe: Recipe) -> list[str]:
    """The options that say how to quantize, and how long to train on the grid."""
    step, aware = recipe.step(Quantize), recipe.step(QuantizeAware)
    if step is None:
        return []
    words = ["--quantize", step.precision.value]
    for name, value in told_fields(step).items():
        if name == "precision":
            continue
        option = "--per-tensor" if name == "per_channel" else f"--{name.replace('_', '-')}"
        words += [option] if isinstance(value, bool) else [option, _plain(value)]
    if aware is not None:
        words += ["--qat-epochs", f"{aware.epochs:g}"]
        words += ["--learned-scales"] if aware.learned_scales else []
    return words


def _plain(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _distils(recipe: Recipe) -> bool:
    """True unless a training step learns from labels alone."""
    return all(step.distill for step in recipe.training_steps())


def python_code(task: Task, recipe: Recipe) -> str:
    """A few lines of Python that do the same."""
    made = _made(recipe)
    if len(made) > MOST_CODE:
        made = 'optim.Recipe.from_text(open("recipe.yaml").read())'
    return (
        "import optim\n\n"
        'workspace = optim.Workspace(".workspace")\n'
        f"recipe = {made}\n"
        f"candidate = workspace.make({task.name!r}, recipe)\n"
        "print(candidate.latency.p50_ms, candidate.accuracy.value, candidate.artifact.path)"
    )


def _made(recipe: Recipe) -> str:
    """An expression that gives the recipe, with the names that ``optim`` exports."""
    if recipe == _from_arguments(recipe):
        return f"optim.recipe_of({', '.join(_arguments(recipe))})"
    steps = ", ".join(_step_code(step) for step in recipe.steps)
    comma = "," if len(recipe.steps) == 1 else ""
    seed = f", seed={recipe.seed}" if recipe.seed else ""
    return f"optim.Recipe(steps=({steps}{comma}){seed})"


def _from_options(recipe: Recipe) -> Recipe:
    """What the options of the command line can say of a recipe."""
    prune, quantize = recipe.step(Prune), recipe.step(Quantize)
    aware = recipe.step(QuantizeAware)
    if aware is not None:
        aware = QuantizeAware(
            weight_bits=aware.weight_bits,
            epochs=aware.epochs,
            learned_scales=aware.learned_scales,
            distill=_distils(recipe),
        )
    return recipe_of(
        pruning_ratio=recipe.pruning_ratio,
        epochs=1.0 if prune is None else prune.epochs,
        distill=_distils(recipe),
        fuse=recipe.step(Fuse) is not None,
        seed=recipe.seed,
        quantize_aware=aware,
        quantize=None if quantize is None else replace(quantize, calibration_seed=0),
    )


def _from_arguments(recipe: Recipe) -> Recipe:
    """What the arguments of ``recipe_of`` can say of a recipe."""
    step = recipe.step(Prune)
    return recipe_of(
        pruning_ratio=recipe.pruning_ratio,
        blocks=0 if step is None else step.blocks,
        epochs=1.0 if step is None else step.epochs,
        distill=True if step is None else step.distill,
        fuse=recipe.step(Fuse) is not None,
        seed=recipe.seed,
        quantize_aware=recipe.step(QuantizeAware),
        quantize=recipe.step(Quantize),
    )


def _arguments(recipe: Recipe) -> list[str]:
    step, quantize = recipe.step(Prune), recipe.step(Quantize)
    aware = recipe.step(QuantizeAware)
    arguments = []
    if step is not None:
        arguments += [f"pruning_ratio={step.ratio:g}"] if step.ratio else []
        arguments += [f"blocks={step.blocks}"] if step.blocks else []
        arguments += [] if step.epochs == 1 else [f"epochs={step.epochs:g}"]
        arguments += [] if step.distill else ["distill=False"]
    if aware is not None:
        arguments.append(f"quantize_aware={_step_code(aware)}")
    if quantize is not None:
        usual = quantize == Quantize(precision=quantize.precision)
        plain = f'precision="{quantize.precision}"'
        arguments.append(plain if usual else f"quantize={_step_code(quantize)}")
    if recipe.step(Fuse) is not None:
        arguments.append("fuse=True")
    if recipe.seed:
        arguments.append(f"seed={recipe.seed}")
    return arguments


def _step_code(step: Step) -> str:
    told = ", ".join(f"{name}={_value_code(value)}" for name, value in told_fields(step).items())
    return f"optim.{type(step).__name__}({told})"


def _value_code(value: object) -> str:
    if isinstance(value, tuple):  # of pairs: a layer and its precision
        pairs = (f"{_value_code(key)}: {_value_code(item)}" for key, item in value)
        return "{" + ", ".join(pairs) + "}"
    text = repr(str(value) if isinstance(value, StrEnum) else value)
    return f'"{value}"' if text == f"'{value}'" and '"' not in text else text
