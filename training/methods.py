"""The methods, as far as a model's shape depends on them; `training.objectives` says what each minimises."""

from typing import Literal, NamedTuple


class Method(NamedTuple):
    """What a method asks of an autoencoder.

    Attributes:
        probabilistic: Whether codes are Gaussians or points.
        prior: fixed: one standard normal. learned: a mixture, by gradient. fitted: a mixture, after the last step.
    """

    probabilistic: bool
    prior: Literal["fixed", "learned", "fitted"]


METHODS = {
    "vae": Method(probabilistic=True, prior="fixed"),
    "gmvae": Method(probabilistic=True, prior="learned"),
    "vampprior": Method(probabilistic=True, prior="fitted"),
    "prae": Method(probabilistic=True, prior="learned"),
    "wae": Method(probabilistic=False, prior="fixed"),
    "swae": Method(probabilistic=False, prior="fixed"),
    "drae": Method(probabilistic=False, prior="learned"),
    "ae": Method(probabilistic=False, prior="fitted"),
}
