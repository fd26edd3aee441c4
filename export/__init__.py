"""The only bridge from training to serving: a trained run becomes a bundle, with proof that it computes the same."""
