"""The only bridge from training to serving: a trained run becomes a bundle, with proof that it computes the same."""

import os

# onnxruntime reports to its makers unless this is set before it is first imported.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"
