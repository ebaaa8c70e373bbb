"""How many channels each layer keeps under a budget of MACs, parameters or measured latency."""

from __future__ import annotations

from optim.pruning_curves import PruningCurves


def plan_channels(
    curves: PruningCurves, *, budget: float, of: str = "macs"
) -> tuple[tuple[str, float], ...]:
    """Choose a ratio per layer: the least predicted loss within the budget.

    Args:
        curves: measured, of the network as it is.
        budget: share of the whole network's MACs, parameters or latency that may stay, 0..1.
        of: ``macs``, ``parameters`` or ``latency``.

    Returns:
        Pairs for ``Prune.layers``; layers that stay whole are left out.

    Raises:
        RefusedError: if nothing reaches the budget, with what can be reached.
        ValueError: if latencies are not measured, or the budget is out of range.
    """
    raise NotImplementedError
