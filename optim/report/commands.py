"""The command line and the Python that do what a button does, for copying."""

from __future__ import annotations

import shlex
from enum import StrEnum

from optim.recipe import (
    Distill,
    Fuse,
    Pattern,
    Prune,
    Quantize,
    QuantizeAware,
    Recipe,
    Replace,
    Scope,
    Sparsify,
    SparsifyMethod,
    Step,
    TrainingStep,
    recipe_of,
    told_fields,
)
from optim.task.task import FOUND_FIELDS, Task, usual_pruning

MOST_CODE = 400
"""Characters of a recipe in Python; a longer one is read from a file."""


def command_line(task: Task, recipe: Recipe) -> str:
    """The command that makes and measures a recipe; what options cannot say stands in a file.

    >>> from optim.task.task import load_task
    >>> command_line(load_task("fashion-resnet"), recipe_of(precision="int8", fuse=True))
    'edge-optim run fashion-resnet --fuse --quantize int8'
    """
    words = ["run", shlex.quote(task.name), *_student(recipe), *_pruning(task, recipe)]
    words += [*_teaching(recipe), *_zeros(task, recipe)]
    if recipe.step(Fuse) is not None:
        words.append("--fuse")
    words += _quantization(recipe)
    if not _distils(recipe):
        words.append("--no-distill")
    if recipe.seed:
        words += ["--seed", str(recipe.seed)]
    if not _can_be_said(recipe):
        words = ["run", shlex.quote(task.name), "--recipe", "recipe.yaml"]
    return " ".join(["edge-optim", *words])


def _can_be_said(recipe: Recipe) -> bool:
    """True if options say all of it: some steps have none, and one switch rules all teachers."""
    kinds = (Replace, Prune, Distill, Sparsify, QuantizeAware, Fuse, Quantize)
    quantize, aware = recipe.step(Quantize), recipe.step(QuantizeAware)
    zeros = recipe.step(Sparsify)
    teachers = {step.distill for step in _ruled(recipe)}
    return (
        all(isinstance(step, kinds) for step in recipe.steps)
        and len(teachers) <= 1
        and (quantize is None or not quantize.calibration_seed)
        and (aware is None or (aware.per_channel and quantize is not None))
        and (aware is None or {8: "int8", 4: "int4"}[aware.weight_bits] == recipe.precision)
        and (zeros is None or zeros.scope is Scope.UNIFORM)
    )


def _ruled(recipe: Recipe) -> list[TrainingStep]:
    """The training steps that ``--no-distill`` speaks to; a ``Distill`` step says it itself."""
    return [step for step in recipe.training_steps() if not isinstance(step, Distill)]


def _student(recipe: Recipe) -> list[str]:
    step = recipe.step(Replace)
    return (
        [] if step is None else _told(step, {"architecture": "student", "epochs": "student-epochs"})
    )


def _pruning(task: Task, recipe: Recipe) -> list[str]:
    """The options of a pruning step; what the task would choose anyway is left out."""
    step = recipe.step(Prune)
    if step is None:
        return []
    usual = {
        **Prune(ratio=0.5).__dict__,
        **usual_pruning(task, step.ratio, layered=bool(step.layers)),
    }
    words = ["--prune", _plain(step.ratio)] if step.ratio else []
    words += ["--prune-unit", str(step.unit)] if step.unit != usual["unit"] else []
    for name in FOUND_FIELDS:
        if getattr(step, name) != usual[name]:
            words += [f"--{name.replace('_', '-')}", _plain(getattr(step, name))]
    for name, share in step.layers:
        words += ["--layer-ratio", shlex.quote(f"{name}={_plain(share)}")]
    words += ["--blocks", str(step.blocks)] if step.blocks else []
    return words + ([] if step.keep_weights else ["--from-scratch"])


def _teaching(recipe: Recipe) -> list[str]:
    step = recipe.step(Distill)
    if step is None:
        return []
    told = {name: value for name, value in told_fields(step).items() if name != "epochs"}
    words = ["--distill-epochs", _plain(step.epochs)]
    for name, value in told.items():
        if name == "teacher":
            words += [w for each in step.teacher for w in ("--teacher", shlex.quote(each))]
        elif name == "labels":
            words.append("--no-labels")
        else:
            option = "distill-loss" if name == "loss" else name.replace("_", "-")
            words += [f"--{option}", _plain(value)]
    return words


def _zeros(task: Task, recipe: Recipe) -> list[str]:
    step = recipe.step(Sparsify)
    if step is None:
        return []
    patterned = step.pattern is not Pattern.UNSTRUCTURED
    words = ["--pattern", str(step.pattern)] if patterned else ["--sparsity", _plain(step.sparsity)]
    if step.method is not SparsifyMethod.MAGNITUDE:
        words += ["--sparsify-method", str(step.method)]
    if step.epochs != task.epochs_with_zeros(step.method):
        words += ["--sparsify-epochs", _plain(step.epochs)]
    return words


def _told(step: Step, names: dict[str, str]) -> list[str]:
    """Fields at unusual values as options; the switch of the teacher is told elsewhere."""
    told = {name: value for name, value in told_fields(step).items() if name != "distill"}
    return [
        word
        for name, value in told.items()
        for word in (f"--{names.get(name, name)}", _plain(value))
    ]


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
        words += ["--qat-epochs", _plain(aware.epochs)]
        words += ["--learned-scales"] if aware.learned_scales else []
    return words


def _plain(value: object) -> str:
    """A value as the command line reads it again, digit by digit."""
    if isinstance(value, float):
        return f"{value:g}" if float(f"{value:g}") == value else repr(value)
    return str(value)


def _distils(recipe: Recipe) -> bool:
    """True unless a training step learns from labels alone."""
    return all(step.distill for step in _ruled(recipe))


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
    if isinstance(value, tuple) and all(isinstance(item, str) for item in value):
        return f"({', '.join(map(_value_code, value))}{',' if len(value) == 1 else ''})"
    if isinstance(value, tuple):  # of pairs: a layer and its precision
        pairs = (f"{_value_code(key)}: {_value_code(item)}" for key, item in value)
        return "{" + ", ".join(pairs) + "}"
    text = repr(str(value) if isinstance(value, StrEnum) else value)
    return f'"{value}"' if text == f"'{value}'" and '"' not in text else text
