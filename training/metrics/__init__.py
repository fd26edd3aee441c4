"""Measures of samples and codes, all on plain tensors; nothing here knows of a run.

frechet, kernel, coverage   how far generated images are from real ones, by their features
features                    the small network those features come from; inception: the one of the published FID
structure                   what the prior's components have learned of the classes
agreement                   how well prior and codes agree in the latent space
"""
