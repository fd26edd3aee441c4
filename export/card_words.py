"""What scores and methods are, in words for a reader of a model card."""

import re

from serving.manifest import Manifest

SCORES = {
    "reconstruction_error": "squared error of reconstructions, summed over an item",
    "frechet": "Fréchet distance of samples from test images, on features of a small network",
    "frechet_reconstruction": "the same of reconstructions, which no prior can better",
    "kid": "kernel distance of samples from test images, on the same features",
    "fid": "Fréchet distance on Inception's features",
    "precision": "share of samples among the test images",
    "recall": "share of test images among the samples",
    "coverage": "share of test images with a sample as near as their fifth neighbour",
    "component_purity": "share of test images of the commonest class of their component",
    "nmi": "mutual information of components and classes, normalised",
    "components_used": "components that test images fall to",
    "sliced_wasserstein_to_prior": "sliced Wasserstein distance of test codes from the prior",
    "accuracy": "share of test objects classified right by the codes of all views",
}
PER_VIEW = {
    "reconstruction_{}": "squared error of {}, standardised; 1 is what its mean has",
    "accuracy_{}": "accuracy by {} alone",
    "accuracy_missing_{}": "accuracy where {} is missing",
    "accuracy_translated_{}": "accuracy where {} is translated from the other views",
}
PER_PAIR = {
    "translation_classes_{}_{}": "share of rows translated from {} to {} that keep their class",
    "translation_{}_{}": "squared error of rows translated from {} to {}, standardised likewise",
}
METHODS = {
    "vae": "A variational autoencoder.",
    "gmvae": "A variational autoencoder whose prior is a learned mixture of Gaussians (GMVAE).",
    "vampprior": "A variational autoencoder under a VampPrior, kept as a mixture of Gaussians.",
    "prae": "A probabilistic autoencoder whose prior, a mixture of Gaussians, was learned with it under a relational "
    "regularizer, the fused Gromov-Wasserstein distance (P-RAE).",
    "wae": "A Wasserstein autoencoder.",
    "swae": "A sliced Wasserstein autoencoder.",
    "drae": "A deterministic autoencoder whose prior, a mixture of Gaussians, was learned with it under a relational "
    "regularizer, the sliced fused Gromov-Wasserstein distance (D-RAE).",
    "ae": "A plain autoencoder, to whose codes a mixture of Gaussians was fitted.",
}
SEVERAL = "Autoencoders of several views of the same things, co-trained"


def score_meaning(key: str, manifest: Manifest) -> str | None:
    """What a score is, in a few words; None for one that only its makers read.

    Args:
        key: Its name in the manifest.
        manifest: The manifest, whose views are named in it.

    Returns:
        The words.
    """
    if key in SCORES:
        return SCORES[key]
    names = "|".join(map(re.escape, manifest.views))
    for table in (PER_VIEW, PER_PAIR):
        for pattern, words in table.items():
            if found := re.fullmatch(pattern.replace("{}", f"({names})"), key):
                return words.format(*found.groups())
    return None


def method_sentence(manifest: Manifest) -> str:
    """The sentence that says what kind of model a bundle is."""
    method = str(manifest.training.config.get("model", {}).get("method", ""))
    if len(manifest.views) > 1:
        return f"{SEVERAL} by the method `{method}`." if method else f"{SEVERAL}."
    return METHODS.get(method, "An autoencoder with a Gaussian-mixture prior.")
