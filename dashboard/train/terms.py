"""What is this? The words of Distill & train for somebody who has never met them."""

from __future__ import annotations

TERMS: dict[str, str] = {
    "Student": (
        "The small network that learns. A pruned one starts with what the original knows; a "
        "narrower one and one of another family start with nothing, and need more epochs."
    ),
    "Rounds": (
        "Cut a little, train, and cut again instead of all at once. The epochs are spread over "
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
    "Loss": (
        "What of the teacher is imitated. Soft: its answers with all doubts (Hinton 2015). "
        "Decoupled: the right class and the doubts apart (Zhao 2022). Hints: its answers, and "
        "features inside it (Romero 2015)."
    ),
    "Temperature": (
        "Softens the teacher's answers: at a high temperature its doubts between the wrong classes "
        "become visible, and they say which classes are alike. 2 to 6 is usual."
    ),
    "Alpha": (
        "How much the teacher counts against the labels: 1 is the teacher alone. Training without "
        "a teacher is 0, and that is what the second button trains beside it."
    ),
    "Labels": (
        "Off: no label of the training data is used, the teacher's answers are all there is. So "
        "learns who has pictures but nobody to label them."
    ),
    "Data share": (
        "Only so much of the training data is used, drawn by the seed and the same from each "
        "class. It shows how little is enough, and what the teacher is worth then."
    ),
    "Kept": (
        "Validation is the best epoch so far: that network is kept. Test is of the file, in the "
        "precision that stands behind it."
    ),
    "Patience": (
        "Stop after so many epochs without a better accuracy on validation. The best epoch is kept "
        "in any case."
    ),
}


def what_it_is(term: str) -> str:
    """The explanation of a word of this page.

    Raises:
        KeyError: if the word is not explained here.
    """
    return TERMS[term]
