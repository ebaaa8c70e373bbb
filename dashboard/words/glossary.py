"""Glossary: each term in words for somebody who has never met it."""

from __future__ import annotations

from optim.recipe.fields import controls

GLOSSARY: dict[str, str] = {
    **{control.term or control.label: control.about for _, _, control in controls()},
    "FP32": (
        "Each number of the network takes 4 bytes, a floating-point number of 32 bits. This is "
        "how networks are trained, and what everything here is compared with."
    ),
    "FP16": (
        "Each number takes 2 bytes instead of 4, so the file is half as large. Most CPUs cannot "
        "compute in FP16: the engine widens the numbers again, and nothing gets faster."
    ),
    "INT8": (
        "Weights and intermediate results are integers from -128 to 127 (or 0 to 255), 1 "
        "byte each. The file shrinks to about a quarter, and CPUs can compute integers "
        "faster."
    ),
    "INT4": (
        "Weights take half a byte each: only 16 different values. The smallest file. Few engines "
        "compute in 4 bits: here the weights are widened to INT8 when the file is loaded."
    ),
    "Precision": (
        "How many bits store each number of the network. Fewer bits make a smaller file; whether "
        "it also runs faster depends on the engine and the processor, so it is measured."
    ),
    "Quantization": (
        "Rounding the network's numbers to a coarse grid, so that each takes fewer bits. No "
        "training is needed: a few hundred examples show which range the grid must cover."
    ),
    "QDQ": (
        "The form in which a quantized ONNX file is written: pairs of Quantize and Dequantize "
        "marks that tell any engine where it may compute in integers."
    ),
    "Quantization-aware training": (
        "The network is trained with the rounding that its file will have. It takes time, and pays "
        "where rounding afterwards hurts: 4-bit weights, one scale per layer, hard pruning."
    ),
    "Blocks": (
        "Whole residual blocks are replaced by their shortcut, those that change least first. "
        "Networks without residual blocks have none to remove."
    ),
    "Presets": (
        "Three tried sets of the choices under More. Each sets the precision and how it is "
        "reached; pruning stays as it is."
    ),
    "Sensitivity": (
        "How much this layer alone, quantized, disturbs the network's answers while everything "
        "else stays in FP32. Taken on validation examples, never on test examples."
    ),
    "Noise": (
        "How far the outputs move, in percent of their own size, if this layer alone is "
        "quantized. It tells layers apart that lose no countable accuracy."
    ),
    "Budget": (
        "Of all mixes of precisions that keep the budget, the one whose layers together disturb "
        "the answers least. It is exact for the sensitivities, and a guess until it is measured."
    ),
    "What to set": (
        "Layer by layer, either the precision of the weights or how many channels are pruned. Both "
        "are steps of one recipe and can be combined."
    ),
    "Pruning curves": (
        "What it costs to remove channels: each layer is pruned alone, further and further, while "
        "all others stay whole. A layer whose curve stays flat is redundant."
    ),
    "Channel plan": (
        "Of all shares of channels that keep the budget, those whose layers together are predicted "
        "to cost least. It is a guess from the curves until it is measured."
    ),
    "Overhead": (
        "Work that only prepares the work of others: converting between integers and floating "
        "point, and moving data into another order."
    ),
    "Waterfall": (
        "The same network with a little more of it quantized at each step, so that the loss of "
        "accuracy can be laid at one door. Taken on validation examples."
    ),
    "Pruning ratio": (
        "The share of channels (the network's parallel feature detectors) that are removed. Half "
        "of the channels is about three quarters of the weights, for each weight joins two "
        "channels."
    ),
    "Pruning": (
        "Removing the channels that matter least, then training a little so that the rest makes "
        "up for them. The network that remains is an ordinary, smaller network."
    ),
    "Student": (
        "Another, smaller network that is trained from scratch to give the original's answers. It "
        "keeps nothing of the original but these."
    ),
    "Width": (
        "How many channels each layer of the student has, in percent of what its family usually "
        "has. Half the width is about a quarter of the weights."
    ),
    "First stride": (
        "2 lets the student look at the input at half the resolution: about a quarter of the work "
        "in every layer behind it."
    ),
    "Student epochs": (
        "How long the student is trained, in passes over the training examples. It starts from "
        "nothing, so it needs more than fine-tuning does."
    ),
    "Teacher": (
        "Whose answers a student learns. A more accurate network on the same data may teach more "
        "than the original, but where channels are pruned the original teaches."
    ),
    "Zeros": (
        "Single weights become zero, and the shapes stay. An ordinary engine computes zeros like "
        "any number: only the compressed file shrinks, unless the engine is a sparse one."
    ),
    "Fine-tuning": (
        "Some more training after channels were removed, so that the remaining ones make up for "
        "them. An epoch is one pass over the training examples."
    ),
    "Distillation": (
        "While it is fine-tuned, the small network also learns to give the same answers as the "
        "original, doubts included. That teaches it more than the bare labels do."
    ),
    "Fusion": (
        "Neighbouring steps of the network are merged into one. The engine does this anyway when "
        "it loads a file, so it makes the file tidier, not the network faster."
    ),
    "Original": (
        "The network as it was trained, in FP32 and run by the same engine with all its "
        "optimizations on. Every 'times faster' on these pages is against this one."
    ),
    "Pareto front": (
        "The candidates that nobody beats: to be faster than one of them you must give up "
        "accuracy (or size). Everything below the staircase is beaten by a point on it."
    ),
    "Dominated": (
        "Another measured candidate is at least as good in everything and better in something. "
        "There is no reason to choose this one."
    ),
    "Tied": (
        "The figures differ by less than the measurement can tell. Calling one better would be "
        "guessing, so neither is ranked above the other."
    ),
    "Hypervolume": (
        "One number for how good the whole front is: the area (or volume) it covers. The original "
        "alone counts 1. A new candidate raises it only if it offers something new."
    ),
    "Latency": (
        "The time from one input to its answer, one at a time, on this machine. Lower is better."
    ),
    "Threads": (
        "How many cores a network may use at once while it is timed. Figures with other numbers "
        "of threads are kept apart, and never stand on one plot."
    ),
    "p50": (
        "The median: half of the runs were faster, half slower. Unlike the mean it is not upset "
        "by a few runs in which the machine was busy with something else."
    ),
    "p99": (
        "99 of 100 runs were at least this fast: the slow end, which matters when an answer may "
        "never come late."
    ),
    "Speed-up": (
        "The original's time over this candidate's, interleaved, so that whatever else the "
        "machine was doing hit both. It is more trustworthy than the milliseconds themselves."
    ),
    "Confidence interval": (
        "The range in which the true value plausibly lies. With 95 %, about 19 of 20 such ranges "
        "hold the truth. More test examples make it narrower."
    ),
    "Accuracy": (
        "The share of test examples that get the right answer. The test examples were kept apart: "
        "they were used neither for training nor for choosing."
    ),
    "Agreement with the original": (
        "The share of test examples that get the class that the original gives them. It needs no "
        "labels, and says nothing of how often the original is right."
    ),
    "Signal to noise against the original": (
        "How loud the original's output is against the error of this one, in decibels, averaged "
        "over the test examples: 20 dB are an error of a tenth. 120 dB stand for no difference."
    ),
    "Mean absolute error": (
        "How far the output lies from its target, averaged over the test examples, in the target's "
        "own unit. Lower is better."
    ),
    "Points": (
        "Percentage points: from 94 % to 93 % is 1 point lost, that is, one more wrong answer in "
        "a hundred."
    ),
    "Changed answers": (
        "The test examples that now get another answer than from the original. Some become wrong "
        "and some become right. If both are about equally many, the change is luck (McNemar's "
        "test)."
    ),
    "A/A null": (
        "The original timed against itself. The result should be 1.00x; how far it is off shows "
        "how noisy the measurement is. Smaller differences than that mean nothing."
    ),
    "Parameters": "The numbers that the network has learned: its weights and biases.",
    "MACs": (
        "Multiply-accumulates: how many multiplications one answer takes. A rough measure of "
        "work; real time also depends on memory and on how well the processor is used, so it is "
        "measured."
    ),
    "Float operators": (
        "The heavy steps (convolutions and matrix products) that the engine still computes in "
        "floating point. In a good INT8 file there are none; each one left costs speed."
    ),
    "File size": (
        "Bytes on disk of the very file that you download. The compressed size beside it is what "
        "a download or an update takes."
    ),
    "Cold start": ("The time to load the file and give the first answer, once after each start."),
    "Control": (
        "A network of the same small shape, trained from scratch. Compressing the large one is "
        "only worth it if the result beats this at the same speed."
    ),
    "Prebuilt": "A ready-made file that came with the sample, made by the recipe that is shown.",
    "Predicted": (
        "Not measured: estimated from the candidates that are. Drawn hollow, with a box around it "
        "that shows the doubt. Press Measure to find out."
    ),
    "Recorded": (
        "This accuracy was measured when the file was made and came with it; the file is the "
        "same, its hash was checked. It is measured again here in the background."
    ),
    "Recipe": (
        "The ordered list of steps that makes this network out of the original. With the recipe "
        "anyone can make the same file again."
    ),
    "Three objectives": (
        "The front is computed in latency, size and accuracy together. A point may lie off the "
        "drawn staircase and still be on the front, because it is better in the third."
    ),
}


def what_is(term: str) -> str:
    """Return the explanation of a term.

    Raises:
        KeyError: if nobody has written it yet: write it, above.
    """
    return GLOSSARY[term]
