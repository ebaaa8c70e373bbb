"""Train the network of a sample task from scratch, as its card says, and write weights and figures.

    python -m sample_models.train fashion-resnet

The card's ``training`` table holds the schedule, and may name another task as teacher; this script
fills ``results``. Validation picks the epoch, the test split is read once, at the end. An
interrupted run resumes at its last epoch.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file

from optim.compress.training.answers import teacher_answers
from optim.compress.training.evaluation import accuracy_of
from optim.compress.training.loop import Follow, train
from optim.compress.training.schedule import Schedule
from optim.graph.export import export_onnx
from optim.graph.inspect import graph_facts
from optim.task.architectures import build
from optim.task.datasets import DATASETS, SAMPLES, load_split
from optim.task.task import load_task


def main(name: str, scratch: Path) -> None:
    """Train one task and fill its card."""
    folder = SAMPLES / name
    card = json.loads((folder / "card.json").read_text(encoding="utf-8"))
    data = DATASETS[card["dataset"]]
    schedule = Schedule(**card["training"]["schedule"])
    seed = card["training"]["seed"]
    torch.manual_seed(seed)
    network = build(card["architecture"], in_channels=data.input_shape[0], classes=len(data.labels))
    training = load_split(data.name, "train")
    started = time.monotonic()
    follow = Follow(
        progress=lambda share, words: (
            None if "step" in words else print(f"{share:.3f} {words}", flush=True)
        ),
        checkpoint=scratch / f"{name}.pt",
        answers=scratch / "teachers",
    )
    scratch.mkdir(parents=True, exist_ok=True)
    trained = train(
        network,
        training,
        load_split(data.name, "validation"),
        kind=data.kind,
        schedule=schedule,
        seed=seed,
        teacher_logits=_teacher(card["training"].get("teacher"), follow),
        follow=follow,
    )
    state = {key: value.contiguous() for key, value in trained.network.state_dict().items()}
    save_file(state, folder / "weights.safetensors")
    card["results"] = {
        "validation_accuracy": round(trained.score, 5),
        "test_accuracy": round(accuracy_of(trained.network, load_split(data.name, "test")), 5),
        "parameters": sum(p.numel() for p in trained.network.parameters()),
        "macs": graph_facts(export_onnx(trained.network, data.input_shape)).macs,
        "epoch_kept": trained.best.epoch,
        "training_minutes": round((time.monotonic() - started) / 60, 1),
    }
    (folder / "card.json").write_text(
        json.dumps(card, indent=2, ensure_ascii=False) + "\n", encoding="utf-8"
    )
    print(json.dumps(card["results"]), flush=True)


def _teacher(name: str | None, follow: Follow) -> np.ndarray | None:
    """The answers of another sample network of the same data set, if the card names one."""
    return None if name is None else teacher_answers(load_task(name), follow)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("task", help="folder below sample_models")
    parser.add_argument("--scratch", type=Path, default=Path(".scratch"), help="checkpoints")
    arguments = parser.parse_args()
    main(arguments.task, arguments.scratch)
