"""AdaRound: whether a weight goes up or down is learnt, so that a layer's output stays what it was.

    w_q = clamp(b + h(V)),    h(V) = clamp(1.2 sigmoid(V) - 0.1, 0, 1)

    minimise over V:   E |f(W x + a) - f(s w_q x^ + a)|^2 / e  +  c mean(1 - |2 h(V) - 1|^beta)

a is the bias, f the Relu or Clip behind the layer; x^ is what the quantized network so far gives
it, x what the float network does; e is the error of nearest rounding, which makes the two terms
comparable in every layer. beta falls from 20 to 2: at first h may lie anywhere between down (0) and
up (1), in the end it must be one of them.

Source: Nagel et al. 2020, "Up or down? Adaptive rounding for post-training quantization", equations
21 to 25. Where we differ: a step draws rows of the layer's matrix product instead of whole
pictures, which makes it as cheap for a large picture as for a small one; and V may start from a
rounding whose errors are compensated already (``rounding.py``), b being the lower of its level and
the neighbour on the weight's side. On a layer of the sample ResNet (64 outputs, 576 inputs, four
bits, rows not learnt from) the error is then 0.19 of nearest rounding's after 400 steps; 0.29 to
0.32 after as many from b = floor(w / s), as in the paper.
"""

from __future__ import annotations

import numpy as np

ITERATIONS = 400
ROWS_PER_STEP = 256
LEARNING_RATE = 0.01
PUSH = 100.0
"""Weight c of the second term."""
LEAN = 0.1
"""How far from 0 or 1 a given start lets h begin."""
QUIET_SHARE = 0.2
"""At the beginning there is no second term."""
BETAS = (20.0, 2.0)
STRETCH_LOW, STRETCH_HIGH = -0.1, 1.1


def learn_rounding(
    weight: np.ndarray,
    inputs: np.ndarray,
    targets: np.ndarray,
    scale: np.ndarray,
    *,
    low: int,
    high: int,
    bias: np.ndarray | None = None,
    clamp: tuple[float, float] = (-np.inf, np.inf),
    start_from: np.ndarray | None = None,
    iterations: int = ITERATIONS,
    seed: int = 0,
) -> np.ndarray:
    """Choose for each weight the level below or above it; weights that are zero stay zero.

    Args:
        weight: shape (G, O, d): groups, outputs per group, inputs per output.
        inputs: rows that the layer reads in the quantized network, shape (S, G, d).
        targets: what it gives for them in the float network, before the clamp, shape (S, G, O).
        scale: broadcasts against (G, O, 1).
        low, high: levels are clipped to these.
        bias: shape (G, O).
        clamp: the numbers between which f keeps the output.
        start_from: integers to begin with, shape (G, O, d); else each weight's own fraction.
        iterations: steps of Adam.
        seed: of the order of the rows.

    Returns:
        Integers from low to high, int8, shape (G, O, d).
    """
    import torch

    shuffled = np.random.default_rng(seed).permutation(len(inputs))
    x, y = (
        torch.from_numpy(np.ascontiguousarray(rows[shuffled].transpose(1, 2, 0), np.float32))
        for rows in (inputs, targets)
    )  # (G, d, S) and (G, O, S)
    s = torch.from_numpy(np.array(scale, np.float32))
    w = torch.from_numpy(np.array(weight, np.float32)) / s
    b = torch.from_numpy(
        np.zeros((1, 1), np.float32) if bias is None else np.array(bias, np.float32)
    )
    y, shift, below, stays = y.clamp(*clamp), b[:, :, None], w.floor(), w != 0

    def error(levels: torch.Tensor, rows: slice) -> torch.Tensor:
        given = torch.bmm(levels * s, x[:, :, rows]) + shift
        return (given.clamp(*clamp) - y[:, :, rows]).square().mean()

    with torch.no_grad():
        unit = max(float(error(w.round().clamp(low, high), slice(None))), 1e-20)
    if start_from is None:
        first = w - below
    else:
        near = torch.from_numpy(np.array(start_from, np.float32))
        below = near - (near > w).float()
        first = LEAN + (1 - 2 * LEAN) * (near - below)
    v = torch.logit((first - STRETCH_LOW) / (STRETCH_HIGH - STRETCH_LOW)).requires_grad_()
    adam = torch.optim.Adam([v], lr=LEARNING_RATE)
    for step in range(iterations):
        start = step * ROWS_PER_STEP % max(1, x.shape[2] - ROWS_PER_STEP + 1)
        up = (torch.sigmoid(v) * (STRETCH_HIGH - STRETCH_LOW) + STRETCH_LOW).clamp(0, 1)
        levels = (below + up).clamp(low, high) * stays
        loss = error(levels, slice(start, start + ROWS_PER_STEP)) / unit
        progress = (step / iterations - QUIET_SHARE) / (1 - QUIET_SHARE)
        if progress > 0:
            beta = BETAS[1] + (BETAS[0] - BETAS[1]) * 0.5 * (1 + np.cos(progress * np.pi))
            away = (2 * up - 1).abs().clamp(min=1e-3)  # its power would be too small for float32
            loss = loss + PUSH * (1 - away**beta).mean()
        adam.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        adam.step()
    with torch.no_grad():
        chosen = (below + (v > 0)).clamp(low, high) * stays
        found: np.ndarray = chosen.to(torch.int8).numpy()
    return found
