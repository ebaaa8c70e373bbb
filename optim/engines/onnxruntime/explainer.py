"""Explainer of ONNX Runtime's profiles."""

from __future__ import annotations

from optim.engines.explainer import Explainer

EXPLAINER = Explainer(
    title="ONNX Runtime",
    unsigned="ONNX Runtime's integer kernels are made for them.",
    rewritten=("HardSwish", "HardSigmoid"),
    # The quantization is moved in front of a MaxPool, and maxima of integers are quick only in the
    # layout of the integer convolutions. On SqueezeNet at 224 x 224 pixels with its first layer in
    # float one MaxPool took 3.4 ms of 4.9, and the file was slower than FP32.
    float_stops_before=("MaxPool",),
    elsewhere="OpenVINO reads the same file, and may have kernels for",
)
