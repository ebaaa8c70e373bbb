"""Three ways to quantize that need no further thought.

Chosen on the validation splits of the five sample tasks (1,576 to 5,000 examples, where a tenth of
a point is noise), by the decibels that the noise in the logits lies below the signal:

                                    motion  MobileNetV2  EfficientNet  SqueezeNet  ResNet
    INT8, all else by default         37.4         33.5          31.6        38.7    35.9
    INT8, GPTQ                        37.8         34.5          33.7        41.0    36.6
    INT8, GPTQ, mse                   40.2         35.5          28.1        41.7    37.3
    INT4, nearest                     23.1         10.8             -        18.5    19.1
    INT4, GPTQ                        28.9         17.3          17.8        27.3    31.4
    INT4, AdaRound                    33.3         25.4          24.7        30.0    31.8

In accuracy no row of INT8 differs from FP32 by more than 0.24 points, nor does AdaRound in INT4 by
more than 0.28; GPTQ in INT4 loses 1.0 on MobileNetV2. Ranges of least square error are finer on
four tasks and coarser on the fifth, so the presets keep min-max; entropy calibration lost 2.2
points on MobileNetV2. Bias correction moved the noise by +2.5 to -1.6 decibels. INT8 weights with
float activations were no more accurate in points, and engines compute them in float: no preset has
them.
"""

from __future__ import annotations

from optim.recipe.choices import Precision, Rounding
from optim.recipe.graph_steps import Quantize

PRESETS: dict[str, Quantize] = {
    "fast and safe": Quantize(precision=Precision.INT8, rounding=Rounding.GPTQ),
    "smallest": Quantize(precision=Precision.INT4, rounding=Rounding.ADAROUND),
    "accurate": Quantize(precision=Precision.INT8, rounding=Rounding.ADAROUND),
}
PRESET_WORDS: dict[str, str] = {
    "fast and safe": "INT8 weights and activations, made in seconds.",
    "smallest": "INT4 weights learned on examples, as fast as INT8, made in a minute.",
    "accurate": "INT8 with weights learned on examples, made in a minute.",
}
"""What each does, in a sentence."""
