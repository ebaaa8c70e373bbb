"""Optimal brain surgeon as it is written: one weight leaves, all others move, again and again."""

import numpy as np


def error(weight, other, hessian):
    """(w - v) H (w - v)^T, summed over the rows."""
    difference = weight - other
    return float(np.sum((difference @ hessian) * difference))


def remove_in_order(row, hessian, order):
    """Remove these weights of a row one after the other (Hassibi and Stork 1993, equation 5)."""
    row, inverse = row.copy(), np.linalg.inv(hessian)
    for j in order:
        row = row - row[j] / inverse[j, j] * inverse[:, j]
        row[j] = 0.0
        inverse = inverse - np.outer(inverse[:, j], inverse[j]) / inverse[j, j]
        inverse[j, :] = inverse[:, j] = 0.0
        inverse[j, j] = 1.0
    return row


def remove_cheapest(weight, hessian, count):
    """Remove what costs least of the whole matrix, ``count`` times (OBC, algorithm 1)."""
    weight = weight.copy()
    gone = np.zeros(weight.shape, bool)
    inverses = [np.linalg.inv(hessian) for _ in weight]
    for _ in range(count):
        costs = np.array(
            [row**2 / np.diag(inverse) for row, inverse in zip(weight, inverses, strict=True)]
        )
        costs[gone] = np.inf
        i, j = np.unravel_index(costs.argmin(), costs.shape)
        inverse = inverses[i]
        weight[i] -= weight[i, j] / inverse[j, j] * inverse[:, j]
        inverse -= np.outer(inverse[:, j], inverse[j]) / inverse[j, j]
        inverse[j, :] = inverse[:, j] = 0.0
        inverse[j, j] = 1.0
        gone[i, j] = True
        weight[gone] = 0.0
    return weight
