"""Unstructured and semi-structured pruning: single weights become zero, shapes stay.

What share of the weights a step asks for is the share of the layers that become sparse; which those
are stands in ``zeros.py``. Gradually means the cubic schedule of Zhu and Gupta 2017 (equation 1),

    s_t = s (1 - (1 - t / RAMP)^3),     t the share of the training that is done,

in which weights that are zero stay zero; the rest of the training lets the others settle.
"""

from __future__ import annotations

from torch import nn

from optim.compress.sparsity.masks import (
    Places,
    SparsityMask,
    apply_mask,
    keep_masked,
    lowest,
    magnitudes,
    mask_of,
    places,
    with_mask,
)
from optim.compress.sparsity.sparsegpt import repair
from optim.compress.training.evaluation import reestimate_batchnorm
from optim.compress.training.fine_tune import fine_tune
from optim.compress.training.loop import Follow
from optim.recipe import Sparsify, SparsifyMethod
from optim.task.task import Task

RAMP = 0.7
"""Share of the training after which a gradual step has all its zeros."""
UPDATES = 50
"""So often a gradual step chooses anew."""


def sparsify(
    task: Task, network: nn.Module, step: Sparsify, *, seed: int, follow: Follow
) -> nn.Module:
    """Make weights zero, and train the others if the step says so.

    Nothing but calibration examples, without their labels, is looked at if ``step.epochs`` is 0. A
    repaired network then keeps its batch norms, whose outputs it was fitted to; after the choice by
    magnitude they are estimated again.

    Args:
        network: on the CPU; it is left alone.

    Returns:
        A network on the CPU, in evaluation mode. Of each sparse layer (with global scope: of all
        together) exactly round(share * weights) are zero.

    Raises:
        RefusedError: if no layer can have the pattern.
        ArithmeticError: if the loss stops being a finite number.
    """
    where = places(network, step.pattern, task.input_shape)
    follow.progress(0.0, where.words())
    examples = task.split("calibration").inputs
    if step.method is SparsifyMethod.GRADUAL:
        ramp = Ramp(where, step)
        trained = fine_tune(
            task, network, step, seed=seed, after_step=ramp, keep_from=RAMP, follow=follow
        )
        return with_mask(trained, ramp.zeros)
    zeros: SparsityMask = lowest(
        magnitudes(network, where.weights), step.sparsity, step.pattern, step.scope
    )
    repaired = step.method is SparsifyMethod.SPARSEGPT
    if repaired:
        counts = {name: int(zero.sum()) for name, zero in zeros.items()}
        network = repair(
            network, counts, step.pattern, examples, seed=seed, progress=follow.progress
        )
        zeros = {name: zero for name, zero in mask_of(network).items() if name in zeros}
    else:
        network = with_mask(network, zeros)
    if step.epochs == 0:
        return network if repaired else reestimate_batchnorm(network, examples)
    trained = fine_tune(
        task, network, step, seed=seed, after_step=keep_masked(zeros), follow=follow
    )
    return with_mask(trained, zeros)


class Ramp:
    """More and more zeros while a network trains; called after each step of the optimizer."""

    def __init__(self, where: Places, step: Sparsify) -> None:
        self.where, self.step = where, step
        self.zeros: SparsityMask = {}
        self.stage = 0

    def __call__(self, done: float, network: nn.Module) -> None:
        """Hold the zeros there are, and choose more where it is time."""
        apply_mask(
            network, self.zeros
        )  # what has just moved away from zero must not count as large
        stage = min(UPDATES, int(UPDATES * done / RAMP))
        if stage > self.stage:
            self.stage = stage
            share = self.step.sparsity * (1 - (1 - stage / UPDATES) ** 3)
            scores = magnitudes(network, self.where.weights)
            self.zeros = lowest(scores, share, self.step.pattern, self.step.scope)
            apply_mask(network, self.zeros)
