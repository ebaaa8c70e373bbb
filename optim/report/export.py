"""Export: the model file, how it was made, what was measured, how to run it.

model.onnx    the very file that was measured
recipe.yaml   the steps; `edge-optim run TASK --recipe recipe.yaml` makes it again
card.json     hashes, figures with intervals and environment, labels, preprocessing, licences
README.txt    the same in words, with a program that runs the model
"""

from __future__ import annotations

import json
import os
import textwrap
from pathlib import Path
from typing import Any

from optim.artifact import Artifact, sha256_of, write_atomically
from optim.candidate import Candidate
from optim.errors import OptimError
from optim.recipe import Activations, Precision, Quantize, Recipe
from optim.report.record import candidate_record
from optim.report.score_text import change_interval_text, change_text, interval_text, value_text
from optim.task.datasets import normalisation
from optim.task.task import Task
from optim.version import __version__
from optim.words import between, count, megabytes, milliseconds, times

MODEL, RECIPE, CARD, README = "model.onnx", "recipe.yaml", "card.json", "README.txt"

PROGRAM = """\
import json
import numpy as np
import onnxruntime

card = json.load(open("card.json", encoding="utf-8"))
options = onnxruntime.SessionOptions(){options}
session = onnxruntime.InferenceSession("model.onnx", options, ["CPUExecutionProvider"])
example = np.zeros([1, *card["input"]["shape"]], np.float32)  # yours, prepared as said above
logits = session.run(None, {{session.get_inputs()[0].name: example}})[0]
print(card["labels"][int(logits[0].argmax())])
"""
CLASSIFIES = "Output: one logit per class; the largest wins."
OTHER_OUTPUT = "Output: as the original gives it."

WEIGHTS_ONLY_OPTION = """
options.add_session_config_entry("session.disable_quant_qdq", "1")  # unpack the weights once"""


def export_candidate(candidate: Candidate, task: Task, folder: Path) -> tuple[Path, ...]:
    """Write model, recipe, card and a README to a folder; files of these names are replaced.

    Returns:
        The paths of the four files, in that order.

    Raises:
        OptimError: if the candidate has no file, the file is not what was made, or the folder
            cannot be written.
    """
    artifact = candidate.artifact
    if artifact is None:
        why = f" It was refused: {candidate.refusal}" if candidate.refusal else ""
        raise OptimError(
            f"candidate {candidate.id} ({candidate.words()}) has no model file to export.{why} "
            f"Make one with `edge-optim run {task.name}`."
        )
    artifact.verify()
    _make_writable(folder)
    contents = {MODEL: artifact.path.read_bytes(), RECIPE: candidate.recipe.to_yaml().encode()}
    hashes = {name: sha256_of(content) for name, content in contents.items()}
    card = candidate_card(candidate, task, hashes)
    contents[CARD] = (json.dumps(card, indent=2, ensure_ascii=False) + "\n").encode()
    contents[README] = _readme(candidate, artifact, task).encode()
    for name, content in contents.items():
        write_atomically(folder / name, content)
    return tuple(folder / name for name in contents)


def candidate_card(candidate: Candidate, task: Task, hashes: dict[str, str]) -> dict[str, Any]:
    """Return the content of card.json.

    Args:
        hashes: sha256 of the files beside the card, by name.
    """
    data = task.dataset
    record = candidate_record(candidate)
    figures = {name: record[name] for name in ("graph", "accuracy", "latency")}
    size = record["file"] and {
        name: record["file"][name] for name in ("size_bytes", "compressed_bytes")
    }
    return {
        "edge_optim": __version__,
        "id": candidate.id,
        "words": candidate.words(),
        "task": {
            "name": task.name,
            "title": task.title,
            "architecture": task.architecture,
            "source": task.card.origin,
        },
        "files": {name: {"sha256": value} for name, value in hashes.items()},
        "recipe": record["recipe"],
        "fingerprint": record["fingerprint"],
        "input": {
            "shape": list(task.input_shape),
            "axes": data.input_names,
            "dtype": "float32",
            "preprocessing": data.preprocessing,
            **({} if data.folder else normalisation(data.name)),
        },
        "labels": list(task.labels),
        "size": size,
        **figures,
        "licence": {"network": task.card.licence, "data": data.licence},
        "data": {"name": data.title, "source": data.source},
    }


def _weights_only(recipe: Recipe) -> bool:
    """True if integers are stored but nothing is computed in them."""
    step = recipe.step(Quantize)
    return (
        step is not None
        and step.precision is not Precision.FP16
        and step.activations is Activations.FLOAT
    )


def _readme(candidate: Candidate, artifact: Artifact, task: Task) -> str:
    title = f"{task.title}: {candidate.words()}"
    options = WEIGHTS_ONLY_OPTION if _weights_only(candidate.recipe) else ""
    program = PROGRAM.format(options=options)
    shape = " x ".join(map(str, task.input_shape))
    paragraphs = (
        f"{title}\n{'=' * len(title)}",
        _wrapped(
            f"Made by edge-optim {__version__}, candidate {candidate.id}. The file {MODEL} "
            "is the very one that was measured; card.json holds its hash and every figure."
        ),
        "\n".join(_figures(candidate, artifact)),
        f"Input: float32, shape N x {shape} ({task.dataset.input_names}), prepared as\n"
        f"    {task.dataset.preprocessing}\n"
        f"(the numbers are in card.json). {CLASSIFIES if task.metric.of_classes else OTHER_OUTPUT}",
        "To run it (pip install numpy onnxruntime):",
        "\n".join(f"    {line}".rstrip() for line in program.splitlines()),
        f"To make it again: edge-optim run {task.name} --recipe {RECIPE}",
        _wrapped(
            f"Licence of the network: {task.card.licence}. It was trained on "
            f"{task.dataset.title} ({task.dataset.licence}; {task.dataset.source})."
        ),
    )
    return "\n\n".join(paragraphs) + "\n"


def _wrapped(text: str) -> str:
    return textwrap.fill(text, 90, break_long_words=False, break_on_hyphens=False)


def _figures(candidate: Candidate, artifact: Artifact) -> list[str]:
    """Return the known figures, one per line."""
    lines = [
        f"Size      {megabytes(artifact.size_bytes)} "
        f"({megabytes(artifact.compressed_bytes)} compressed)"
    ]
    score, latency = candidate.score, candidate.latency
    if score is not None:
        origin = "recorded when the file was made" if score.recorded else "measured here"
        lines.append(
            f"{score.scored_by.name.capitalize():9s} {value_text(score)} (95 % interval "
            f"{interval_text(score)}) on {count(score.n)} test examples, {origin}"
        )
        span = change_interval_text(score)
        lines.append(f"          {change_text(score)} against the original (95 % interval {span})")
    if latency is not None:
        lines.append(
            f"Latency   {milliseconds(latency.p50_ms)} at the median "
            f"(10th to 90th percentile {between(latency.spread_ms, milliseconds)}), batch 1"
        )
        lines.append(
            f"          {times(latency.speedup)} as fast as the original "
            f"(95 % interval {between(latency.speedup_interval, times)})"
        )
        lines.append(f"          on {latency.environment.words()}")
    else:
        lines.append("Latency   not measured on this machine")
    return lines


def _make_writable(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OptimError(
            f"the folder {folder} cannot be made: {error.strerror}. Choose another folder."
        ) from error
    if not os.access(folder, os.W_OK | os.X_OK):
        raise OptimError(f"the folder {folder} cannot be written. Choose another folder.")
