"""Glossary of Distill & train, for somebody who has never met its words."""

from __future__ import annotations

TERMS: dict[str, str] = {
    "Student": (
        "The small network that learns. A pruned one starts with what the original knows; a "
        "narrower one and one of another family start with nothing, and need more epochs."
    ),
    "Rounds": (
        "Prune a little, train, and prune again instead of all at once. The epochs are spread over "
        "the rounds, so that both ways train equally long. Each round is a candidate of its own."
    ),
    "Width": (
        "Every layer has this share of its channels. Half the width is about a quarter of the "
        "weights, for each weight joins two channels."
    ),
    "Resolution": (
        "The first layer moves by two steps instead of one, so everything behind it sees a quarter "
        "of the pixels: much faster, and coarser."
    ),
    "Ensemble": (
        "Networks that were trained on the same data. Of several the answers are averaged: they "
        "err in different places, so together they often know more than each."
    ),
    "Kept": (
        "Validation is the best epoch so far: that network is kept. Test is of the file, in the "
        "precision that stands behind it."
    ),
}


def what_it_is(term: str) -> str:
    """Return the explanation of a word of this page.

    Raises:
        KeyError: if the word is not explained here.
    """
    return TERMS[term]
