"""Three ways to quantize that need no further thought.

Chosen on the validation splits of four sample tasks (motion-cnn, MobileNetV2, SqueezeNet, ResNet;
1,576 to 5,000 examples, where a tenth of a point is noise) by the noise that they leave in the
logits, in decibels below the signal:

    INT8, every option at its default           37.4   33.5   38.7   35.9     0.0 to -0.2 points
    fast and safe                               40.2   35.5   41.7   37.3     0.0 to -0.1
    INT4, every option at its default           28.9   17.3   27.3   31.4     0.0 to -1.0
    smallest                                    33.3   25.4   30.0   31.8    +0.2 to -0.3

Bias correction moved single answers either way and no task by more than its noise, except for INT4
without learned rounding on MobileNetV2 (-1.0 to -0.4 points); entropy calibration lost 2.2 points
there. INT8 weights with float activations were no more accurate in points and not faster than
FP32, so that no preset has them.
"""

from __future__ import annotations

from optim.recipe.choices import Calibration, Precision, Rounding
from optim.recipe.steps import Quantize

PRESETS: dict[str, Quantize] = {
    "fast and safe": Quantize(
        precision=Precision.INT8, calibration=Calibration.MSE, rounding=Rounding.COMPENSATED
    ),
    "smallest": Quantize(precision=Precision.INT4, rounding=Rounding.LEARNED),
    "accurate": Quantize(
        precision=Precision.INT8, calibration=Calibration.MSE, rounding=Rounding.LEARNED
    ),
}
PRESET_WORDS: dict[str, str] = {
    "fast and safe": "INT8 weights and activations, made in seconds.",
    "smallest": "INT4 weights learned on examples, as fast as INT8, made in a minute.",
    "accurate": "INT8 with weights learned on examples, made in a minute.",
}
"""What each does, in a sentence."""
