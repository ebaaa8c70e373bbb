"""What pages copy: commands and Python that make the very recipe."""

from __future__ import annotations

import shlex
from dataclasses import replace
from unittest.mock import Mock, patch

import pytest
from hypothesis import given
from hypothesis import strategies as st

import optim
from optim.cli import cli
from optim.recipe import (
    Activations,
    Calibration,
    Distill,
    MixedPrecision,
    Precision,
    Prune,
    Quantize,
    QuantizeAware,
    Recipe,
    Replace,
    ReplaceActivation,
    Rounding,
    Sparsify,
    recipe_of,
)
from optim.report import commands
from optim.task.task import load_task
from tests.any_recipe import recipes as any_recipes
from tests.dashboard.factories import control

TASK = load_task("fashion-squeezenet")
PLAIN = replace(TASK, card=replace(TASK.card, pruning=None))
"""Whose card says nothing of pruning, so that it is pruned as usual."""

recipes = st.builds(
    recipe_of,
    precision=st.sampled_from(list(Precision)),
    pruning_ratio=st.integers(0, 18).map(lambda step: step / 20),
    epochs=st.sampled_from([0.0, 0.5, 1.0, 4.0]),
    distill=st.booleans(),
    fuse=st.booleans(),
    seed=st.integers(0, 3),
)


rich_recipes = st.builds(
    recipe_of,
    pruning_ratio=st.integers(0, 18).map(lambda step: step / 20),
    blocks=st.integers(0, 3),
    epochs=st.sampled_from([0.5, 1.0]),
    distill=st.booleans(),
    quantize=st.builds(
        Quantize,
        precision=st.sampled_from([Precision.INT8, Precision.INT4]),
        activations=st.sampled_from([None, *Activations]),
        calibration=st.sampled_from(list(Calibration)),
        per_channel=st.booleans(),
        rounding=st.sampled_from([None, *Rounding]),
        smooth=st.sampled_from([0.0, 0.5]),
    ),
)


def asked_by(line: str) -> Recipe:
    """What the real command line makes of a copied command; everything but the making is there."""
    words = shlex.split(line)
    assert words[:2] == ["edge-optim", "run"]
    with patch("optim.cli.run.open_workspace") as opened:
        opened.return_value.submit.return_value = Mock(id="0", words="made")
        cli.main([*words[1:], "--background"], standalone_mode=False)
    (_, asked), _ = opened.return_value.submit.call_args
    return asked


@given(recipes | rich_recipes)
def test_the_copied_command_makes_the_same_recipe(recipe: Recipe) -> None:
    line = commands.command_line(TASK, recipe)
    assert "--recipe" not in line
    assert asked_by(line) == recipe


@given(any_recipes())
def test_any_recipe_is_said_by_options_exactly_or_not_at_all(recipe: Recipe) -> None:
    line = commands.command_line(TASK, recipe)
    if "--recipe" not in line:
        assert asked_by(line) == recipe


full_recipes = st.builds(
    lambda *steps, seed: Recipe(steps=tuple(s for s in steps if s is not None), seed=seed),
    st.none()
    | st.builds(ReplaceActivation, epochs=st.sampled_from([0.5, 1.0]), distill=st.booleans()),
    st.sampled_from([None, Prune(ratio=0.0, blocks=1), Prune(ratio=0.3, keep_weights=False)]),
    st.none()
    | st.builds(QuantizeAware, weight_bits=st.just(8), epochs=st.sampled_from([0.25, 1.0])),
    st.builds(Quantize, per_channel=st.just(True), bias_correction=st.booleans()),
    st.sampled_from(
        [None, MixedPrecision(layers={"head": "fp32", 'it\'s "a" stem\\': "int8"})],
    ),
    seed=st.integers(0, 1),
)


@given(recipes | rich_recipes | full_recipes | any_recipes())
def test_the_copied_python_makes_the_same_recipe(recipe: Recipe) -> None:
    line = next(x for x in commands.python_code(TASK, recipe).splitlines() if "recipe =" in x)
    if "recipe.yaml" in line:
        return
    assert eval(line.removeprefix("recipe = "), {"optim": optim}) == recipe


def test_a_recipe_beyond_the_options_is_copied_as_a_file() -> None:
    recipe = Recipe(steps=(Quantize(), MixedPrecision(layers={"head": "fp32"})))
    assert commands.command_line(TASK, recipe).endswith("--recipe recipe.yaml")
    assert "recipe.yaml" not in commands.python_code(TASK, recipe)
    many = {f"layer{i}.conv": "fp32" for i in range(40)}
    recipe = Recipe(steps=(Quantize(), MixedPrecision(layers=many)))
    assert "recipe.yaml" in commands.python_code(TASK, recipe)
    other = Recipe(steps=(ReplaceActivation(),))
    assert commands.command_line(TASK, other).endswith("--recipe recipe.yaml")


@pytest.mark.parametrize(
    ("recipe", "options"),
    [
        (recipe_of(blocks=2, epochs=3), "--blocks 2"),
        (control(0.5), "--prune 0.5 --from-scratch --epochs 6 --no-distill"),
        (
            Recipe(steps=(Prune(ratio=0.7, unit="macs", criterion="taylor", rounds=3, epochs=3),)),
            "--prune 0.7 --prune-unit macs --criterion taylor --rounds 3",
        ),
        (
            Recipe(steps=(Prune(ratio=0.0, layers={"a.b": 0.5, "c": 0.25}, epochs=3),)),
            "--layer-ratio a.b=0.5 --layer-ratio c=0.25",
        ),
        (
            Recipe(steps=(Replace(architecture="resnet", width=0.5), Distill(labels=False))),
            "--student resnet --width 0.5 --distill-epochs 5 --no-labels",
        ),
        (Recipe(steps=(Sparsify(pattern="4:8", method="sparsegpt", epochs=0),)), "--pattern 4:8 "
         "--sparsify-method sparsegpt"),
    ],
)  # fmt: skip
def test_commands_name_only_what_the_task_would_not_choose(recipe: Recipe, options: str) -> None:
    assert PLAIN.pruning == Prune(ratio=0.5, epochs=3)
    assert commands.command_line(PLAIN, recipe) == f"edge-optim run {PLAIN.name} {options}"


def test_what_a_task_chooses_itself_is_left_out_and_anything_else_is_said() -> None:
    card = replace(
        TASK.card, pruning=Prune(ratio=0.5, criterion="taylor", scope="global", epochs=3)
    )
    best = replace(TASK, card=card)
    found = Recipe(steps=(Prune(ratio=0.5, criterion="taylor", scope="global", epochs=3),))
    assert commands.command_line(best, found).endswith(f"run {TASK.name} --prune 0.5")
    plain_one = commands.command_line(best, recipe_of(pruning_ratio=0.5))
    assert plain_one.endswith("--prune 0.5 --scope uniform --criterion l2 --epochs 1")


def test_python_names_the_steps_themselves() -> None:
    """As a reader would write it; a file is needed for neither of the two."""
    aware = Recipe(steps=(QuantizeAware(epochs=2.0), Quantize(precision=Precision.INT4)))
    mixed = Recipe(steps=(Quantize(), MixedPrecision(layers={"head": "fp32"})))
    assert (
        'optim.recipe_of(quantize_aware=optim.QuantizeAware(epochs=2.0), precision="int4")'
        in commands.python_code(TASK, aware)
    )
    assert (
        'optim.Recipe(steps=(optim.Quantize(precision="int8"), '
        'optim.MixedPrecision(layers={"head": "fp32"})))' in commands.python_code(TASK, mixed)
    )
