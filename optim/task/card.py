"""The card of a task: ``card.json``, read once, checked, and from then on a value.

A task's folder holds the card, its network (weights beside an architecture that is known here, or
an ONNX file) and, unless it is made for a data set that ships, its data. Every fault is one
sentence: which file, which key, what must hold, what stands there.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from optim.errors import BrokenTaskError
from optim.recipe import Prune
from optim.task.architectures import ARCHITECTURES
from optim.task.datasets import DATASETS, Dataset, Kind
from optim.task.metric import METRICS, Metric, metric_named, metric_without_labels

T = TypeVar("T")

CARD_NAME = "card.json"
USUAL_RATE_SHARE = 0.25
"""Of the peak rate of its own training, what fine-tuning takes under SGD."""
FOUND_FIELDS = ("criterion", "scope", "epochs", "rounds", "round_to")
"""What of pruning a card may say to be best for its network."""
KINDS: tuple[Kind, ...] = ("image", "series", "other")


@dataclass(frozen=True, kw_only=True)
class Training:
    """Training of the original.

    Attributes:
        schedule: keyword arguments of ``optim.compress.training.schedule.Schedule``.
        teacher: name of the task whose network taught it.
    """

    seed: int = 0
    augmentation: str = ""
    schedule: Mapping[str, Any] = field(default_factory=dict)
    teacher: str | None = None


@dataclass(frozen=True, kw_only=True)
class Card:
    """Content of a task's card.

    Attributes:
        title, summary: what a page calls it, and a sentence on it.
        origin: where the network comes from, in words.
        licence: of the network.
        architecture: one of ``optim.task.architectures.ARCHITECTURES``; None for an ONNX file.
        model: name of the ONNX file in the task's folder; None beside an architecture.
        dataset: labels, shape and licence of the data.
        metric: what scores its examples.
        fine_tuning_epochs: after pruning; small data sets need more passes.
        short_rate_share: as ``USUAL_RATE_SHARE``, for a short fine-tuning.
        pruning: how this network is pruned best, if somebody has found out on validation; its
            ratio and unit say nothing.
        training: how the original was trained; None if nobody knows.
        results: what the original scored, as the card has it: plain numbers by name.
    """

    title: str
    summary: str = ""
    origin: str = ""
    licence: str = ""
    architecture: str | None = None
    model: str | None = None
    dataset: Dataset
    metric: Metric
    fine_tuning_epochs: float = 1.0
    short_rate_share: float = USUAL_RATE_SHARE
    pruning: Prune | None = None
    training: Training | None = None
    results: Mapping[str, float] = field(default_factory=dict)


def read_card(folder: Path) -> Card:
    """Read the card of a task's folder.

    Raises:
        BrokenTaskError: if it is missing, no JSON, or says what cannot be.
    """
    path = folder / CARD_NAME
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise _broken(path, f"it cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise _broken(path, f"it must hold JSON: {error}") from error
    return card_from(data, path)


def card_from(data: object, path: Path) -> Card:
    """Check a card's content.

    Args:
        path: the file it was read from, for sentences.

    Raises:
        BrokenTaskError: naming the key, what must hold, and what stands there.
    """
    if not isinstance(data, dict):
        raise _broken(path, f"it must hold an object, not {_shown(data)}")
    keys = _Keys(data, path)
    results = _Keys(keys.object("results"), path, "results.")
    if "architecture" in data:
        for key in ("parameters", "validation_accuracy"):
            results.number(key, -1.0, above=0.0)
    epochs = keys.number("fine_tuning_epochs", 1.0, above=0.0)
    dataset = _dataset(keys, path)
    return Card(
        title=keys.text("title"),
        summary=keys.text("summary", ""),
        origin=keys.text("source", ""),
        licence=keys.text("licence", ""),
        **_network(keys),
        dataset=dataset,
        metric=_metric(keys, dataset),
        fine_tuning_epochs=epochs,
        short_rate_share=keys.number("short_rate_share", USUAL_RATE_SHARE, above=0.0),
        pruning=keys.read("pruning", lambda value: _pruning(value, epochs), None),
        training=_training(keys.object("training"), path) if "training" in data else None,
        results=results.data,
    )


@dataclass(frozen=True)
class _Keys:
    """The keys of one object of a card."""

    data: Mapping[str, Any]
    path: Path
    within: str = ""

    def broken(self, key: str, rule: str) -> BrokenTaskError:
        """Return one sentence: which file, which key, what must hold, what stands there."""
        stands = _shown(self.data[key]) if key in self.data else "nothing"
        return _broken(self.path, f"{self.within}{key} must be {rule}, and is {stands}")

    def text(self, key: str, usual: str | None = None) -> str:
        """Return a text; without a usual one it must be there and not empty."""
        value = self.data.get(key, usual)
        if not isinstance(value, str) or (usual is None and not value.strip()):
            raise self.broken(key, "a text")
        return value

    def number(self, key: str, usual: float, *, above: float) -> float:
        """Return a number above a bound."""
        value = self.data.get(key, usual)
        if isinstance(value, bool) or not isinstance(value, int | float) or not value > above:
            raise self.broken(key, f"a number above {above:g}")
        return float(value)

    def object(self, key: str) -> Mapping[str, Any]:
        """Return an object; empty if it is not there."""
        value = self.data.get(key, {})
        if not isinstance(value, dict):
            raise self.broken(key, "an object")
        return value

    def one_of(self, key: str, known: tuple[T, ...], usual: T) -> T:
        """Return one of some values."""
        value = self.data.get(key, usual)
        if value not in known:
            raise self.broken(key, f"one of {', '.join(map(str, known))}")
        return known[known.index(value)]

    def numbers(self, key: str) -> tuple[int, ...]:
        """Return integers of at least 1, at least one of them."""
        value = self.data.get(key)
        fits = isinstance(value, list) and all(type(each) is int and each > 0 for each in value)
        if not fits or not value:
            raise self.broken(key, "a list of integers above 0")
        return tuple(value)

    def texts(self, key: str) -> tuple[str, ...]:
        """Return texts; none if the key is not there."""
        value = self.data.get(key, [])
        if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
            raise self.broken(key, "a list of texts")
        return tuple(value)

    def read(self, key: str, reader: Callable[[Any], T], usual: T) -> T:
        """Read a value; the reader's ``ValueError`` becomes the sentence's rule."""
        if key not in self.data:
            return usual
        try:
            return reader(self.data[key])
        except (TypeError, ValueError) as error:
            raise _broken(self.path, f"{self.within}{key} cannot be: {error}") from error


def _network(keys: _Keys) -> dict[str, str]:
    """Return the architecture or the file, one of the two."""
    if ("architecture" in keys.data) == ("model" in keys.data):
        raise _broken(
            keys.path,
            "it must name either an architecture, with weights.safetensors beside the card, or a "
            "model, an ONNX file beside the card",
        )
    if "architecture" in keys.data:
        return {"architecture": str(keys.one_of("architecture", ARCHITECTURES, ARCHITECTURES[0]))}
    name = keys.text("model")
    if Path(name).name != name or not name.endswith(".onnx"):
        raise keys.broken("model", "the name of an .onnx file beside the card")
    return {"model": name}


def _dataset(keys: _Keys, path: Path) -> Dataset:
    """Return a data set that ships, by name, or the one whose files lie in the task's folder."""
    if "dataset" in keys.data:
        return DATASETS[keys.one_of("dataset", tuple(DATASETS), "")]
    if "data" not in keys.data:
        raise _broken(
            path,
            f"it must name a dataset ({', '.join(DATASETS)}), or describe its own data under data",
        )
    own = _Keys(keys.object("data"), path, "data.")
    return Dataset(
        name=f"own:{path.parent.name}",
        title=own.text("title", "own data"),
        licence=own.text("licence", "not stated"),
        source=own.text("source", "not stated"),
        labels=own.texts("labels"),
        input_shape=own.numbers("input_shape"),
        input_names=own.text("input_names", ""),
        preprocessing=own.text("preprocessing", ""),
        kind=own.one_of("kind", KINDS, "other"),
        folder=path.parent / "data",
    )


def _metric(keys: _Keys, dataset: Dataset) -> Metric:
    """Return the card's metric, else accuracy where there are classes, or one without labels."""
    if "metric" in keys.data:
        if not isinstance(keys.data["metric"], str):
            raise keys.broken("metric", f"one of {', '.join(METRICS)}")
        return keys.read("metric", metric_named, metric_named("accuracy"))
    if "dataset" in keys.data:
        return metric_named("accuracy")
    return metric_without_labels(classes=bool(dataset.labels))


def _pruning(value: object, epochs: float) -> Prune:
    known = f"known are {', '.join(FOUND_FIELDS)}"
    if not isinstance(value, dict):
        raise ValueError(f"it must be an object; {known}")
    if unknown := set(value) - set(FOUND_FIELDS):
        raise ValueError(f"unknown key {min(unknown)!r:.40}; {known}")
    return Prune(ratio=0.5, **{"epochs": epochs, **value})


def _training(data: Mapping[str, Any], path: Path) -> Training:
    keys = _Keys(data, path, "training.")
    return Training(
        seed=int(keys.number("seed", 0, above=-1)),
        augmentation=keys.text("augmentation", ""),
        schedule=keys.object("schedule"),
        teacher=keys.text("teacher") if "teacher" in data else None,
    )


def _shown(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else f"{text[:60]} ..."


def _broken(path: Path, fault: str) -> BrokenTaskError:
    where = f"{path.parent.name}/{path.name}"
    return BrokenTaskError(
        f"the card {where} cannot be used: {fault.rstrip('.')}. Mend it, or restore it, for "
        "example with `git checkout`."
    )
