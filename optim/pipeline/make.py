"""The one place where a step of a recipe meets its algorithm.

    network --Prune, Distill--> smaller network --export--> ONNX --Fuse, Quantize--> ONNX file

Every finished prefix is kept: a network pruned and trained once serves all four precisions, and a
file that exists is never made again.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, assert_never

from optim.artifact import Artifact, store_artifact
from optim.candidate import Candidate, candidate_id, role_of
from optim.engines.engine import Feeds
from optim.errors import Refusal, RefusedError
from optim.progress import Progress, part
from optim.recipe import (
    Distill,
    Fuse,
    MixedPrecision,
    Prune,
    Quantize,
    QuantizeAware,
    Recipe,
    Replace,
    ReplaceActivation,
    Sparsify,
    TrainingStep,
)
from optim.store.training_log import TrainingLog
from optim.task.source import OnnxSource
from optim.task.task import Task

if TYPE_CHECKING:
    import numpy as np
    from torch import nn

    from optim.compress.training.loop import Follow
    from optim.store.results import Results


SCORING_EXAMPLES = 512
"""On so many blocks and channels show how much they matter."""
TRAINING_SHARE = 0.8
"""Share of the progress bar that training takes when there is any."""


def make_candidate(
    results: Results,
    task: Task,
    recipe: Recipe,
    *,
    known: Mapping[str, Candidate] | None = None,
    progress: Progress = lambda share, words: None,
) -> Candidate:
    """Make a candidate's file unless it is there; nothing is measured.

    Args:
        known: what the store has just said of candidates, by id: those that are not among them are
            new. The store is asked if None.

    Returns:
        The candidate with its artifact, or with a refusal. Its seconds are those from nothing:
        what was trained before, for another precision or until it was stopped, is counted.
    """
    found = registered(results, task, recipe, known=known)
    if found.artifact is not None and found.artifact.path.exists():
        return found
    started, trained_s = time.monotonic(), _seconds_trained(results, task, recipe)
    try:
        content = _build(results, task, recipe, progress, known)
    except RefusedError as error:
        results.refuse(found.id, error.refusal)
        return replace(found, refusal=error.refusal)
    artifact = store_artifact(content, results.artifacts)
    made = keep_file(results, found, artifact, seconds=trained_s + time.monotonic() - started)
    progress(1.0, "file written")
    return made


def registered(
    results: Results,
    task: Task,
    recipe: Recipe,
    *,
    prebuilt: bool = False,
    known: Mapping[str, Candidate] | None = None,
) -> Candidate:
    """Return the candidate's row, added if it is new; ``known`` as for ``make_candidate``."""
    name, role = candidate_id(task, recipe), role_of(recipe)
    if known is not None and name in known:
        return known[name]
    results.add(name, task=task.name, recipe=recipe, role=role, prebuilt=prebuilt)
    if known is not None:
        return Candidate(id=name, task=task.name, recipe=recipe, role=role, prebuilt=prebuilt)
    found = results.candidate(name, None)
    assert found is not None  # just added
    return found


def keep_file(
    results: Results, candidate: Candidate, artifact: Artifact, *, seconds: float | None
) -> Candidate:
    """Record a candidate's finished file with what can be counted in it.

    Returns:
        The candidate with the file; figures of another file are gone.
    """
    from optim.graph.inspect import graph_facts

    facts = graph_facts(artifact.path.read_bytes())
    results.finish(candidate.id, artifact=artifact, facts=facts, seconds=seconds)
    same = candidate.artifact is not None and candidate.artifact.sha256 == artifact.sha256
    figures = candidate if same else replace(candidate, latency=None, elsewhere=(), score=None)
    return replace(figures, artifact=artifact, facts=facts, seconds=seconds, refusal=None)


def file_of(
    results: Results, task: Task, recipe: Recipe, *, progress: Progress = lambda share, words: None
) -> bytes:
    """Return the bytes of a recipe's file, for a look at it: no candidate is added for them.

    What training is needed is done and kept, as for a candidate.

    Raises:
        RefusedError: if the recipe cannot be done.
    """
    return _build(results, task, recipe, progress, None)


def _build(
    results: Results,
    task: Task,
    recipe: Recipe,
    progress: Progress,
    known: Mapping[str, Candidate] | None,
) -> bytes:
    """Return the bytes of the recipe's ONNX file."""
    prefix = recipe.training_prefix()
    if recipe == prefix:
        return _train_and_export(results, task, prefix, progress)
    parent = make_candidate(
        results, task, prefix, known=known, progress=part(progress, 0.0, TRAINING_SHARE)
    )
    if parent.artifact is None:
        assert parent.refusal is not None  # made or refused
        raise RefusedError(parent.refusal)
    content = parent.artifact.path.read_bytes()
    mixed = recipe.step(MixedPrecision)
    for step in recipe.steps:
        match step:
            case (
                Replace() | ReplaceActivation() | Prune() | Distill() | Sparsify() | QuantizeAware()
            ):
                pass  # done in the prefix
            case MixedPrecision():
                pass  # part of the quantization before it
            case Fuse():
                from optim.graph.fuse import fuse

                progress(TRAINING_SHARE, "folding layers")
                content = fuse(content)
            case Quantize():
                from optim.graph.quantization.quantize import quantize

                progress(TRAINING_SHARE, f"quantizing to {step.precision.upper()}")
                content = quantize(
                    content,
                    step,
                    _calibration(task, step),
                    layers=dict(mixed.layers) if mixed else {},
                    weight_scales=_weight_scales(results, task, prefix),
                )
            case _:
                assert_never(step)
    return content


def _calibration(task: Task, step: Quantize) -> Feeds:
    """Return the calibration examples: the split kept for it, or drawn by the step's seed."""
    if step.calibration_seed == 0:
        return task.split("calibration").feeds
    drawn = task.split("train").take(step.calibration_examples, seed=step.calibration_seed)
    return drawn.feeds


def _train_and_export(results: Results, task: Task, recipe: Recipe, progress: Progress) -> bytes:
    from optim.graph.export import export_onnx

    if isinstance(task.source, OnnxSource) and not recipe.steps:
        return _admitted(task.source)
    network = trained_network(results, task, recipe, progress=part(progress, 0.0, 0.9))
    progress(0.9, "writing the ONNX file")
    return export_onnx(network, task.input_shape)


def _admitted(source: OnnxSource) -> bytes:
    """Return the bytes of a file that was made elsewhere, once it has passed the gate."""
    from optim.intake.gate import admit

    return admit(source.path).content


def trained_network(
    results: Results, task: Task, recipe: Recipe, *, progress: Progress = lambda share, words: None
) -> nn.Module:
    """Return the torch network after the recipe's training steps, from the store if known."""
    from safetensors.torch import load, save

    prefix = recipe.training_prefix()
    if not prefix.steps:
        return task.network()
    if task.untrainable is not None:
        raise RefusedError(task.untrainable)
    name = candidate_id(task, prefix)
    known = results.checkpoint(name)
    if known is not None and known.path.exists():
        from optim.compress.pruning.cutting import fit_to_state

        return fit_to_state(_same_shape(task, prefix), load(known.path.read_bytes()))
    before = _before(prefix)
    network = trained_network(results, task, before, progress=part(progress, 0.0, 0.5))
    follow = _follow(results, name, part(progress, 0.5 if before.steps else 0.0, 1.0))
    network = _trained_by(task, prefix, network, follow)
    state = {key: value.contiguous() for key, value in network.state_dict().items()}
    checkpoint = store_artifact(save(state), results.artifacts, suffix=".safetensors")
    results.add_checkpoint(name, checkpoint)
    if follow.checkpoint is not None:
        follow.checkpoint.unlink(missing_ok=True)
    return network


def _seconds_trained(results: Results, task: Task, recipe: Recipe) -> float:
    """Return how long a recipe has been trained already, by the log of its epochs."""
    prefix, log, seconds = recipe.training_prefix(), TrainingLog(results.folder), 0.0
    while prefix.steps:
        seconds += sum(epoch.seconds for epoch in log.get(candidate_id(task, prefix)))
        prefix = _before(prefix)
    return seconds


def _before(prefix: Recipe) -> Recipe:
    """Return what must be trained before a prefix's last step, a round of pruning included."""
    earlier = prefix.earlier_round() if isinstance(prefix.steps[-1], Prune) else None
    return earlier or _whole(prefix)


def _whole(prefix: Recipe) -> Recipe:
    """Return what a prefix does before its last step, all rounds of that step included."""
    return Recipe(steps=prefix.steps[:-1], seed=prefix.seed)


def _follow(results: Results, name: str, progress: Progress) -> Follow:
    """Keep each epoch in the log, the state until it is finished, and what teachers answer."""
    from optim.compress.training.loop import Follow

    folder = results.folder / "training"
    folder.mkdir(exist_ok=True)
    log = TrainingLog(results.folder)
    return Follow(
        progress=progress,
        on_epoch=lambda epoch: log.add(name, epoch),
        checkpoint=folder / f"{name}.pt",
        answers=results.folder / "teachers",
    )


def _same_shape(task: Task, prefix: Recipe) -> nn.Module:
    """Return the original network with the operators that the steps give it."""
    network = task.network()
    for step in prefix.training_steps():
        match step:
            case Replace():
                from optim.compress.student import student

                network = student(task, step, seed=prefix.seed)
            case ReplaceActivation():
                from optim.compress.replace import replace_activations

                network = replace_activations(network, step)
            case QuantizeAware():
                from optim.compress.qat.qat import with_scales

                network = with_scales(network, step, input_shape=task.input_shape)
            case Prune() | Distill() | Sparsify():
                pass  # the weights say how many channels are left, and which are zero
            case _:
                assert_never(step)
    return network


def _trained_by(task: Task, prefix: Recipe, network: nn.Module, follow: Follow) -> nn.Module:
    """Return the network after the last step of a prefix.

    Raises:
        RefusedError: if the step cannot be done, or the training did not hold.
    """
    try:
        return _step_done(task, prefix, network, follow)
    except ArithmeticError as error:
        raise RefusedError(Refusal(reason=str(error))) from error


def _step_done(task: Task, prefix: Recipe, network: nn.Module, follow: Follow) -> nn.Module:
    seed = prefix.seed
    step: TrainingStep = prefix.training_steps()[-1]
    match step:
        case Replace():
            from optim.compress.student import student
            from optim.compress.training.fine_tune import fine_tune

            network = student(task, step, seed=seed)
            return fine_tune(task, network, step, seed=seed, follow=follow)
        case ReplaceActivation():
            from optim.compress.replace import replace_activations
            from optim.compress.training.fine_tune import fine_tune

            network = replace_activations(network, step)
            return fine_tune(task, network, step, seed=seed, follow=follow)
        case Prune():
            from optim.compress.pruning.prune import prune, reset_parameters_of
            from optim.compress.training.fine_tune import fine_tune

            follow.progress(0.0, "choosing what is removed")
            network = prune(
                network,
                step,
                examples=task.split("calibration").take(SCORING_EXAMPLES, seed=seed),
                seed=seed,
                original=network if step.rounds == 1 else _same_shape(task, _whole(prefix)),
            )
            if not step.keep_weights:
                network = reset_parameters_of(network, seed=seed)
            return fine_tune(task, network, step, seed=seed, follow=follow)
        case Distill():
            from optim.compress.distill import distill

            return distill(
                task, network, step, seed=seed, from_scratch=_from_scratch(prefix), follow=follow
            )
        case Sparsify():
            from optim.compress.sparsity.sparsify import sparsify

            return sparsify(task, network, step, seed=seed, follow=follow)
        case QuantizeAware():
            from optim.compress.qat.qat import train_quantized

            return train_quantized(task, network, step, seed=seed, follow=follow)
        case _:
            assert_never(step)


def _from_scratch(prefix: Recipe) -> bool:
    """True if nothing has trained the weights before a prefix's last step."""
    student, pruned = prefix.step(Replace), prefix.step(Prune)
    if pruned is not None:
        return not pruned.keep_weights and pruned.epochs == 0
    return student is not None and student.epochs == 0


def _weight_scales(results: Results, task: Task, prefix: Recipe) -> dict[str, np.ndarray]:
    """Return the scales of quantization-aware training by layer; empty without it."""
    step = prefix.step(QuantizeAware)
    if step is None:
        return {}
    from optim.compress.qat.qat import scales_of

    return scales_of(trained_network(results, task, prefix), step)
