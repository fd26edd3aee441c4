"""Section 6.2: co-training on several views, one training run per experiment, row and seed."""
