"""Numpy, onnxruntime and BentoML: a trained bundle behind HTTP. Nothing here imports torch, training or export."""

import os

# onnxruntime reports to its makers unless this is set before it is first imported.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"
