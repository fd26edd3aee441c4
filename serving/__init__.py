"""Numpy, onnxruntime and BentoML: a trained bundle behind HTTP. Nothing here imports torch, training or export."""
