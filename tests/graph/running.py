"""Run a file's bytes, plainly."""

import numpy as np
import onnxruntime as ort


def answers(model: bytes, inputs: np.ndarray) -> np.ndarray:
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    session = ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    return session.run(["logits"], {"input": inputs})[0]


def noise_db(logits: np.ndarray, reference: np.ndarray) -> float:
    """Signal-to-noise ratio in decibels; 20 means that a tenth of the amplitude is noise."""
    return float(10 * np.log10((reference**2).mean() / ((logits - reference) ** 2).mean()))
