"""The options of `run` that say what is cut out, and the steps that they mean together."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any

import click

from optim.cli.training_options import choice, given_of
from optim.recipe import Criterion, Pattern, Prune, PruningUnit, Scope, Sparsify, SparsifyMethod
from optim.task.task import Task, usual_pruning


@dataclass(frozen=True, kw_only=True)
class Pruning:
    """What the command line says of pruning beside ``--epochs``; None is left out."""

    prune: float
    prune_unit: str | None
    criterion: str | None
    scope: str | None
    rounds: int | None
    round_to: int | None
    layer_ratio: tuple[str, ...]
    blocks: int
    from_scratch: bool

    def step(self, task: Task, *, epochs: float | None, distill: bool) -> Prune | None:
        """The step that it means; what is left out is the best found for the task, if any.

        Raises:
            ValueError: if options contradict each other, or a value is out of range.
        """
        layers = dict(map(_layer_ratio, self.layer_ratio))
        cuts = self.prune != 0 or self.blocks != 0 or layers
        own = given_of(self, "prune_unit", "criterion", "scope", "rounds", "round_to")
        if not cuts:
            for name in (*own, *(["from_scratch"] if self.from_scratch else [])):
                raise ValueError(
                    f"--{name.replace('_', '-')} says how to prune, and nothing is pruned. Add "
                    "--prune 0.5, --layer-ratio or --blocks."
                )
            return None
        usual = usual_pruning(task, self.prune, layered=bool(layers))
        unit = {"unit": own.pop("prune_unit")} if "prune_unit" in own else {}
        trained = {} if epochs is None else {"epochs": epochs}
        return Prune(
            ratio=self.prune,
            blocks=self.blocks,
            distill=distill,
            layers=layers,  # type: ignore[arg-type]  # a table becomes pairs
            keep_weights=not self.from_scratch,
            **{**usual, **own, **unit, **trained},
        )


@dataclass(frozen=True, kw_only=True)
class Zeros:
    """What the command line says of single weights that become zero; None is left out."""

    sparsity: float | None
    pattern: str | None
    sparsify_method: str | None
    sparsify_epochs: float | None

    def step(self, task: Task, *, distill: bool) -> Sparsify | None:
        """The step that it means.

        Raises:
            ValueError: if a value is out of range, or a choice has nothing to choose.
        """
        own = given_of(self, "sparsity", "pattern", "sparsify_method", "sparsify_epochs")
        patterned = own.get("pattern", Pattern.UNSTRUCTURED) != Pattern.UNSTRUCTURED
        if not own:
            return None
        if self.sparsity is None and not patterned:
            option = next(iter(own)).replace("_", "-")
            raise ValueError(
                f"--{option} says how weights become zero; add --sparsity 0.5 or --pattern 2:4."
            )
        method = SparsifyMethod(own.pop("sparsify_method", SparsifyMethod.MAGNITUDE).lower())
        epochs = own.pop("sparsify_epochs", task.epochs_with_zeros(method))
        return Sparsify(method=method, epochs=epochs, distill=distill, **own)


PRUNING_OPTIONS = tuple(field.name for field in fields(Pruning))
ZEROS_OPTIONS = tuple(field.name for field in fields(Zeros))


def pruning_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options; the command gets them together, as ``pruning`` and ``zeros``."""

    @functools.wraps(command)
    def gathering(*args: Any, **values: Any) -> None:
        pruning = Pruning(**{name: values.pop(name) for name in PRUNING_OPTIONS})
        zeros = Zeros(**{name: values.pop(name) for name in ZEROS_OPTIONS})
        command(*args, pruning=pruning, zeros=zeros, **values)

    for option in reversed((*_OF_PRUNING, *_OF_ZEROS)):
        gathering = option(gathering)
    return gathering


_BEST = "Default: the best found for TASK, else"
_OF_PRUNING = (
    click.option(
        "--prune", type=float, default=0.0, help="Share to remove of --prune-unit, 0 to 0.95."
    ),
    click.option(
        "--prune-unit",
        type=choice(PruningUnit),
        help="What --prune is a share of: channels, or the network's parameters or MACs. "
        "Default: channels.",
    ),
    click.option(
        "--criterion", type=choice(Criterion), help=f"Which channels of a layer leave. {_BEST} l2."
    ),
    click.option(
        "--scope",
        type=choice(Scope),
        help="The same share in every layer, or the least important channels of the whole "
        f"network. {_BEST} uniform.",
    ),
    click.option(
        "--rounds",
        type=int,
        metavar="N",
        help=f"Cut and train in so many rounds; each is kept as a candidate. {_BEST} 1.",
    ),
    click.option(
        "--round-to",
        type=int,
        metavar="N",
        help=f"Kept channels are a multiple of this. {_BEST} 16.",
    ),
    click.option(
        "--layer-ratio",
        multiple=True,
        metavar="NAME=RATIO",
        help="Share of the channels of one layer, instead of --prune there; repeatable.",
    ),
    click.option(
        "--blocks",
        type=int,
        default=0,
        metavar="N",
        help="Residual blocks to replace by their shortcut.",
    ),
    click.option(
        "--from-scratch",
        is_flag=True,
        help="Throw the weights away and train the small network anew: the honest control.",
    ),
)
_OF_ZEROS = (
    click.option("--sparsity", type=float, metavar="SHARE", help="Weights that become zero."),
    click.option(
        "--pattern",
        type=choice(Pattern),
        help="Which zeros are allowed; 2:4 and 4:8 make half of the weights zero. "
        "Default: unstructured.",
    ),
    click.option(
        "--sparsify-method",
        type=choice(SparsifyMethod),
        help="How weights become zero. Default: magnitude.",
    ),
    click.option(
        "--sparsify-epochs",
        type=float,
        help="Training with the zeros held, in passes over the data. Default: what suits TASK; "
        "0 for repair.",
    ),
)


def _layer_ratio(text: str) -> tuple[str, float]:
    name, _, number = text.rpartition("=")
    try:
        share = float(number)
    except ValueError:
        name = ""
    if not name:
        raise ValueError(
            "--layer-ratio must be a layer's name and a share, such as layer1.0.conv1=0.5; got "
            f"{text!r:.60}."
        )
    return name, share
