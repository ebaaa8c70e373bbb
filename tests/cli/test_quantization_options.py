"""The options of quantization mean the step that they name."""

from __future__ import annotations

import pytest

from optim.cli.asked_steps import PRESET_OPTIONS
from optim.recipe import Quantize, Recipe
from optim.recipe.presets import PRESET_WORDS, PRESETS
from tests.cli.conftest import TASK, Run


@pytest.mark.parametrize(
    ("words", "step"),
    [
        ("--quantize int4 --activations float", Quantize(precision="int4", activations="float")),
        (
            "--quantize int8 --calibration mse --rounding learned --bias-correction --equalize",
            Quantize(calibration="mse", rounding="learned", bias_correction=True, equalize=True),
        ),
        (
            "--quantize INT8 --smooth 0.5 --per-tensor --calibration-examples 64",
            Quantize(smooth=0.5, per_channel=False, calibration_examples=64),
        ),
        *((f"--preset {slug}", PRESETS[name]) for slug, name in PRESET_OPTIONS.items()),
    ],
)
def test_a_run_makes_the_step_that_its_options_name(
    run: Run, no_making: list[Recipe], words: str, step: Quantize
) -> None:
    run("run", TASK, *words.split())
    assert [recipe.steps for recipe in no_making] == [(step,)]


def test_every_preset_has_a_sentence() -> None:
    assert list(PRESETS) == list(PRESET_WORDS)
    assert all(words.endswith(".") for words in PRESET_WORDS.values())
