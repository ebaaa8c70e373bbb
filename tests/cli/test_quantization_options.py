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
            "--quantize int8 --calibration mse --rounding adaround --bias-correction --equalize",
            Quantize(calibration="mse", rounding="adaround", bias_correction=True, equalize=True),
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


@pytest.mark.parametrize(
    ("words", "note", "step"),
    [
        (
            "--quantize int8 --rounding learned",
            "`--rounding learned` is called `adaround` now",
            Quantize(rounding="adaround"),
        ),
        (
            "--quantize int8 --rounding Compensated",
            "`--rounding compensated` is called `gptq` now",
            Quantize(rounding="gptq"),
        ),
    ],
)
def test_a_word_of_a_former_version_is_read_with_a_note(
    run: Run, no_making: list[Recipe], words: str, note: str, step: Quantize
) -> None:
    _, _, error = run("run", TASK, *words.split())
    assert note in error
    assert [recipe.steps for recipe in no_making] == [(step,)]
