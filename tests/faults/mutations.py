"""Files with a few bytes changed, cut out, doubled or moved; the same for the same seed."""

from __future__ import annotations

import random

SWAPS = (
    b"\xff" * 8,
    b"\0" * 8,
    b"\x80" * 4 + b"\x01",
    b"-1",
    b"nan",
    b"\x1b[31m",
    b"../",
    b"[" * 40,
)


def mutated(content: bytes, seed: int) -> bytes:
    """One to six changes."""
    chance, changed = random.Random(seed), bytearray(content)
    for _ in range(chance.randint(1, 6)):
        if not changed:
            break
        at = chance.randrange(len(changed))
        length = chance.choice((1, 1, 2, 4, 16, 200))
        match chance.randrange(7):
            case 0:
                changed[at] ^= 1 << chance.randrange(8)
            case 1:
                changed[at] = chance.randrange(256)
            case 2:
                del changed[at : at + length]
            case 3:
                changed[at:at] = changed[at : at + length]
            case 4:
                swap = chance.choice(SWAPS)
                changed[at : at + len(swap)] = swap
            case 5:
                to = chance.randrange(len(changed))
                changed[to : to + length] = changed[at : at + length]
            case _:
                del changed[at:]
    return bytes(changed)
