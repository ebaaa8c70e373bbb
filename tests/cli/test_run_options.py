"""The options of `run` about what is cut and who teaches mean the steps that they name."""

from __future__ import annotations

import pytest

from optim.recipe import Distill, Prune, Quantize, Recipe, Replace, Sparsify
from tests.cli.conftest import TASK, Run

EPOCHS, CRITERION = 3.0, "taylor"
"""What suits the task, and what was found best for it."""


@pytest.mark.parametrize(
    ("words", "steps"),
    [
        (
            "--prune 0.7 --prune-unit MACs --criterion taylor --scope global --rounds 3",
            (
                Prune(
                    ratio=0.7, unit="macs", criterion="taylor", scope="global", rounds=3,
                    epochs=EPOCHS,
                ),
            ),
        ),
        (
            "--layer-ratio a.b=0.5 --layer-ratio c=0.25 --blocks 1 --epochs 2 --no-distill",
            (
                Prune(
                    ratio=0, blocks=1, layers={"a.b": 0.5, "c": 0.25}, epochs=2, distill=False,
                    criterion=CRITERION,
                ),
            ),
        ),
        (
            "--prune 0.5 --from-scratch",
            (Prune(ratio=0.5, epochs=EPOCHS, keep_weights=False),),
        ),
        (
            "--student SMALL_RESNET --width 0.5 --stride 2 --student-epochs 4 --quantize int8",
            (
                Replace(architecture="small_resnet", width=0.5, stride=2, epochs=4),
                Quantize(),
            ),
        ),
        (
            "--distill-epochs 2 --teacher fashion-resnet --teacher fashion-mobilenetv2 "
            "--distill-loss hints --temperature 2 --alpha 0.9 --no-labels --data-share 0.1 "
            "--patience 2",
            (
                Distill(
                    epochs=2, teacher=("fashion-resnet", "fashion-mobilenetv2"), loss="hints",
                    temperature=2, alpha=0.9, labels=False, data_share=0.1, patience=2,
                ),
            ),
        ),
        ("--sparsity 0.8", (Sparsify(sparsity=0.8, epochs=EPOCHS),)),
        (
            "--pattern 2:4 --sparsify-method sparsegpt",
            (Sparsify(pattern="2:4", method="sparsegpt", epochs=0),),
        ),
    ],
)  # fmt: skip
def test_a_run_makes_the_steps_that_its_options_name(
    run: Run, no_making: list[Recipe], words: str, steps: tuple[object, ...]
) -> None:
    run("run", TASK, *words.split())
    assert [recipe.steps for recipe in no_making] == [steps]


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ("--criterion l1", "--criterion says how to prune, and nothing is pruned"),
        ("--from-scratch", "--from-scratch says how to prune"),
        ("--prune 0.5 --rounds 0", "prune rounds must be an integer from 1"),
        ("--prune 0.5 --prune-unit layers", "'layers' is not one of 'channels', 'parameters'"),
        ("--layer-ratio conv", "must be a layer's name and a share"),
        ("--layer-ratio conv=half", "must be a layer's name and a share"),
        ("--layer-ratio =0.5", "must be a layer's name and a share"),
        ("--layer-ratio conv=1.5", "prune layers conv must be between 0 and 0.95"),
        ("--layer-ratio conv=0.5 --prune-unit macs", "leave unit at channels"),
        ("--width 0.5", "--width is about a student"),
        ("--student resnet --width 2", "replace width must be between 0.1 and 1"),
        ("--student vit", "'vit' is not one of 'resnet'"),
        ("--temperature 2", "--temperature says how to learn from a teacher"),
        ("--teacher fashion-resnet", "--teacher says how to learn from a teacher"),
        ("--distill-epochs 1 --no-labels --alpha 0", "alpha must be above 0"),
        ("--sparsify-method sparsegpt", "add --sparsity 0.5 or --pattern 2:4"),
        ("--pattern unstructured", "add --sparsity 0.5 or --pattern 2:4"),
        ("--sparsity 1", "sparsify sparsity must be above 0 and at most 0.99"),
        ("--sparsity 0.6 --pattern 2:4", "leave sparsity at 0.5"),
        ("--sparsity 0.5 --quantize int8 --qat-epochs 1", "leave one of them out"),
    ],
)
def test_wrong_options_name_the_option(run: Run, words: str, sentence: str) -> None:
    code, out, error = run("run", TASK, *words.split())
    assert (code, out) == (2, "")
    assert sentence in error
    assert error.count("\n") == 1
