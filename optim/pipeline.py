"""The one place where a step of a recipe meets its algorithm.

    network --Prune--> smaller network --export--> ONNX --Fuse, Quantize--> ONNX file

Every finished prefix is kept: a network pruned and trained once serves all four precisions, and a
file that exists is never made again.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, assert_never

from optim.artifact import Artifact, store_artifact
from optim.candidate import Candidate, role_of
from optim.errors import RefusedError
from optim.recipe import Fuse, Prune, Quantize, Recipe
from optim.task import Task

if TYPE_CHECKING:
    from torch import nn

    from optim.compress.training import Schedule
    from optim.store.results import Results

Progress = Callable[[float, str], None]

TRAINING_SHARE = 0.8
"""Share of the progress bar that training takes when there is any."""


def candidate_id(task: Task, recipe: Recipe) -> str:
    """The name of a candidate: the same task, recipe and algorithms give the same 12 digits."""
    text = f"{task.fingerprint}/{recipe.fingerprint}"
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def make_candidate(
    results: Results, task: Task, recipe: Recipe, *, progress: Progress = lambda share, words: None
) -> Candidate:
    """Make a candidate's file unless it is there; nothing is measured.

    Returns:
        The candidate with its artifact, or with a refusal.
    """
    found = registered(results, task, recipe)
    if found.artifact is not None and found.artifact.path.exists():
        return found
    started = time.monotonic()
    try:
        content = _build(results, task, recipe, progress)
    except RefusedError as error:
        results.refuse(found.id, error.refusal)
        return registered(results, task, recipe)
    artifact = store_artifact(content, results.artifacts)
    keep_file(results, found.id, artifact, seconds=time.monotonic() - started)
    progress(1.0, "file written")
    return registered(results, task, recipe)


def registered(results: Results, task: Task, recipe: Recipe, *, starter: bool = False) -> Candidate:
    """The candidate's row, added if it is new."""
    name = candidate_id(task, recipe)
    results.add(name, task=task.name, recipe=recipe, role=role_of(recipe), starter=starter)
    found = results.candidate(name, None)
    assert found is not None  # just added
    return found


def keep_file(results: Results, name: str, artifact: Artifact, *, seconds: float | None) -> None:
    """Record a candidate's finished file with what can be counted in it."""
    from optim.graph.inspect import graph_facts

    facts = graph_facts(artifact.path.read_bytes())
    results.finish(name, artifact=artifact, facts=facts, seconds=seconds)


def _build(results: Results, task: Task, recipe: Recipe, progress: Progress) -> bytes:
    """The bytes of the recipe's ONNX file."""
    prefix = recipe.training_prefix()
    if recipe == prefix:
        return _train_and_export(results, task, prefix, progress)
    parent = make_candidate(results, task, prefix, progress=_part(progress, 0.0, TRAINING_SHARE))
    if parent.artifact is None:
        assert parent.refusal is not None  # made or refused
        raise RefusedError(parent.refusal)
    content = parent.artifact.path.read_bytes()
    for step in recipe.steps:
        match step:
            case Prune():
                pass  # done in the prefix
            case Fuse():
                from optim.graph.fuse import fuse

                progress(TRAINING_SHARE, "folding layers")
                content = fuse(content)
            case Quantize():
                from optim.graph.quantize import quantize

                progress(TRAINING_SHARE, f"quantizing to {step.precision.upper()}")
                content = quantize(content, step, task.split("calibration").inputs)
            case _:
                assert_never(step)
    return content


def _train_and_export(results: Results, task: Task, recipe: Recipe, progress: Progress) -> bytes:
    from optim.graph.export import export_onnx

    network = trained_network(results, task, recipe, progress=_part(progress, 0.0, 0.9))
    progress(0.9, "writing the ONNX file")
    return export_onnx(network, task.input_shape)


def trained_network(
    results: Results, task: Task, recipe: Recipe, *, progress: Progress = lambda share, words: None
) -> nn.Module:
    """The torch network after the recipe's training steps, from the store where it is known."""
    from safetensors.torch import load, save

    network = task.network()
    step = recipe.step(Prune)
    if step is None:
        return network
    from optim.compress.prune import fit_to_state, fresh_weights, prune

    name = candidate_id(task, recipe.training_prefix())
    known = results.checkpoint(name)
    if known is not None and known.path.exists():
        return fit_to_state(network, load(known.path.read_bytes()))
    progress(0.0, f"removing {step.ratio:.0%} of the channels")
    pruned = prune(network, step, input_shape=task.input_shape)
    if not step.keep_weights:
        pruned = fresh_weights(pruned, seed=recipe.seed)
    pruned = fine_tune(task, pruned, step, seed=recipe.seed, progress=progress)
    state = {key: value.contiguous() for key, value in pruned.state_dict().items()}
    checkpoint = store_artifact(save(state), results.artifacts, suffix=".safetensors")
    results.add_checkpoint(name, checkpoint)
    return pruned


def fine_tune(
    task: Task, network: nn.Module, step: Prune, *, seed: int, progress: Progress
) -> nn.Module:
    """Train a pruned network on the task's training split, from the original's answers if asked."""
    from optim.compress.training import label_views, reestimate_batchnorm, train

    training = task.split("train")
    network = reestimate_batchnorm(network, training.take(2048, seed=seed).inputs)
    if step.epochs == 0:
        return network
    teacher = None
    if step.distill:
        teacher = task.teacher_logits()
        if teacher is None:
            progress(0.0, "asking the original network for its answers")
            teacher = label_views(task.network(), training.inputs, task.dataset.kind)
    return train(
        network,
        training,
        task.split("validation"),
        kind=task.dataset.kind,
        schedule=fine_tuning_schedule(task, step),
        seed=seed,
        teacher_logits=teacher,
        progress=progress,
    ).network


def fine_tuning_schedule(task: Task, step: Prune) -> Schedule:
    """The task's own schedule, shortened; labels stay hard, because the teacher is soft already."""
    from optim.compress.training import Schedule

    base = Schedule(**task.card["training"]["schedule"])
    # Adam scales its steps itself; SGD at the full rate would undo what the weights have learnt.
    share = 0.25 if step.keep_weights and base.optimizer == "sgd" else 1.0
    return replace(
        base,
        epochs=step.epochs,
        max_lr=base.max_lr * share,
        batch_size=min(base.batch_size, 128),
        label_smoothing=0.0,
        ema_decay=0.0 if step.epochs < 3 else base.ema_decay,
        weight_decay=base.weight_decay if step.epochs >= 3 else base.weight_decay * 0.2,
    )


def _part(progress: Progress, start: float, end: float) -> Progress:
    return lambda share, words: progress(start + (end - start) * share, words)
