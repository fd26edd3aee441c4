"""Torch lives here: data, models, relational regularizers, the training loop and its evaluation."""
