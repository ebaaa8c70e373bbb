"""Distillation losses as the papers write them: one example after the other, in plain numbers."""

import math


def soft(student, teacher, temperature):
    """Hinton et al. 2015: T^2 times the mean of KL(teacher || student)."""
    total = 0.0
    for q_logits, p_logits in zip(student, teacher, strict=True):
        q, p = softmax(q_logits, temperature), softmax(p_logits, temperature)
        total += divergence(p, q)
    return temperature**2 * total / len(student)


def decoupled(student, teacher, targets, temperature, beta):
    """Zhao et al. 2022, equation 7: a number for all examples, or for each of them, as beta."""
    betas = beta if isinstance(beta, list) else [beta] * len(student)
    total = 0.0
    for q_logits, p_logits, t, weight in zip(student, teacher, targets, betas, strict=True):
        q, p = softmax(q_logits, temperature), softmax(p_logits, temperature)
        others = [i for i in range(len(p)) if i != t]
        right = divergence(*([x[t], sum(x[i] for i in others)] for x in (p, q)))
        p_others = softmax([p_logits[i] for i in others], temperature)
        q_others = softmax([q_logits[i] for i in others], temperature)
        total += right + weight * divergence(p_others, q_others)
    return temperature**2 * total / len(student)


def unexplained(mine, theirs):
    """Mean square of mine minus standardised theirs; both are lists of channels of numbers."""
    total, count = 0.0, 0
    for ours, channel in zip(mine, theirs, strict=True):
        mean = sum(channel) / len(channel)
        variance = sum((x - mean) ** 2 for x in channel) / len(channel)
        for x, y in zip(ours, channel, strict=True):
            total += (x - (y - mean) / math.sqrt(variance + 1e-5)) ** 2
            count += 1
    return total / count


def softmax(logits, temperature):
    """Probabilities."""
    powers = [math.exp(x / temperature) for x in logits]
    return [power / sum(powers) for power in powers]


def divergence(p, q):
    """KL(p || q)."""
    return sum(a * math.log(a / b) for a, b in zip(p, q, strict=True) if a > 0)
