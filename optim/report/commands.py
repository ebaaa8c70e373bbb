"""The command line and the Python that do what a button does, for copying."""

from __future__ import annotations

import shlex
from enum import StrEnum
from typing import Any, assert_never

from optim.devices.target import Target
from optim.recipe import (
    Distill,
    Fuse,
    Prune,
    Quantize,
    QuantizeAware,
    Recipe,
    Replace,
    ReplaceActivation,
    Sparsify,
    Step,
    recipe_of,
    told_fields,
)
from optim.recipe.edit import suiting
from optim.recipe.field import (
    Choice,
    Field,
    Flag,
    Integer,
    Names,
    Number,
    Table,
    as_text,
)
from optim.recipe.steps import GraphStep, fields_of, usual_step
from optim.task.task import Task

MOST_CODE = 400
"""Characters of a recipe in Python; a longer one is read from a file."""


def command_line(task: Task, recipe: Recipe, target: Target | None = None) -> str:
    """Return the command that makes and measures a recipe, or takes a file beyond its options.

    >>> from optim.task.task import load_task
    >>> command_line(load_task("fashion-resnet"), recipe_of(precision="int8", fuse=True))
    'edge-optim run fashion-resnet --fuse --quantize int8'
    """
    if not _can_be_said(task, recipe):
        said = ["--recipe recipe.yaml"]
    else:
        said = [words for step in recipe.steps for words in _options(task, recipe, step)]
        said += [f"--seed {recipe.seed}"] if recipe.seed else []
    said += _target(target or Target())
    once = dict.fromkeys(said)  # one option may speak to several steps
    return " ".join(["edge-optim run", shlex.quote(task.name), *once])


def _target(target: Target) -> list[str]:
    usual, words = Target(), []
    if target.threads != usual.threads:
        words.append(f"--threads {target.threads}")
    if target.engine != usual.engine:
        words.append(f"--engine {shlex.quote(target.engine)}")
    return words


def _can_be_said(task: Task, recipe: Recipe) -> bool:
    """True if options say all of it: some fields have none, and one option rules all teachers."""
    teachers = {step.distill for step in recipe.training_steps() if not isinstance(step, Distill)}
    asked_for = all(
        isinstance(step, Fuse) or any(each.option and each.option.asks for each in fields_of(step))
        for step in recipe.steps
    )
    told = (each for step in recipe.steps for each in _told(task, recipe, step))
    aware = recipe.step(QuantizeAware)
    return (
        asked_for
        and len(teachers) <= 1
        and all(each.option is not None for each in told)
        and (aware is None or recipe.step(Quantize) is not None)
    )


def _told(task: Task, recipe: Recipe, step: Step) -> list[Field]:
    """Return the fields that a command must say: those whose values it would not choose itself."""
    usual = {**vars(usual_step(step)), **_chosen(task, recipe, step)}
    values = {each.name: getattr(step, each.name) for each in fields_of(step)}
    told = [
        each
        for each in fields_of(step)
        if (values[each.name] if each.defines else values[each.name] != usual[each.name])
    ]
    asking = [each for each in fields_of(step) if each.option is not None and each.option.asks]
    return told if any(each in asking for each in told) else [*asking[:1], *told]


def _chosen(task: Task, recipe: Recipe, step: Step) -> dict[str, Any]:
    """Return the fields that the command line chooses for a step."""
    if isinstance(step, GraphStep):
        return {}
    match step:
        case Prune():
            return suiting(step, task.pruning)
        case Sparsify():
            return {"epochs": task.epochs_with_zeros(step.method)}
        case QuantizeAware():
            return {"weight_bits": recipe.precision.bits}
        case Replace() | ReplaceActivation() | Distill():
            return {}
        case _:
            assert_never(step)


def _options(task: Task, recipe: Recipe, step: Step) -> list[str]:
    """Return the options that say a step, each with its value."""
    if isinstance(step, Fuse):
        return ["--fuse"]
    found = []
    for each in _told(task, recipe, step):
        assert each.option is not None  # _can_be_said has looked
        name, value = f"--{each.option.name}", getattr(step, each.name)
        match each.kind:
            case Flag():
                found.append(name)
            case Names():
                found += [f"{name} {shlex.quote(one)}" for one in value]
            case Table():
                pairs = (shlex.quote(f"{layer}={as_text(one)}") for layer, one in value)
                found += [f"{name} {pair}" for pair in pairs]
            case Number() | Integer() | Choice():
                found.append(f"{name} {as_text(value)}")
            case _:
                assert_never(each.kind)
    return found


def python_code(task: Task, recipe: Recipe, target: Target | None = None) -> str:
    """Return a few lines of Python that do the same."""
    made = _made(recipe)
    if len(made) > MOST_CODE:
        made = 'optim.Recipe.from_text(open("recipe.yaml").read())'
    on = "" if target is None or target == Target() else f", target={_target_code(target)}"
    return (
        "import optim\n\n"
        f'workspace = optim.Workspace(".workspace"{on})\n'
        f"recipe = {made}\n"
        f"candidate = workspace.make({task.name!r}, recipe)\n"
        "print(candidate.latency.p50_ms, candidate.score.value, candidate.artifact.path)"
    )


def _target_code(target: Target) -> str:
    usual = Target().to_dict()
    told = {key: value for key, value in target.to_dict().items() if value != usual[key]}
    return f"optim.Target({', '.join(f'{key}={value!r}' for key, value in told.items())})"


def _made(recipe: Recipe) -> str:
    """Return an expression that gives the recipe, with the names that ``optim`` exports."""
    if recipe == _from_arguments(recipe):
        return f"optim.recipe_of({', '.join(_arguments(recipe))})"
    steps = ", ".join(_step_code(step) for step in recipe.steps)
    comma = "," if len(recipe.steps) == 1 else ""
    seed = f", seed={recipe.seed}" if recipe.seed else ""
    return f"optim.Recipe(steps=({steps}{comma}){seed})"


def _from_arguments(recipe: Recipe) -> Recipe:
    """Return the part of a recipe that the arguments of ``recipe_of`` can say."""
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
