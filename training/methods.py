"""The methods, as far as a model's shape depends on them; `training.objectives` says what each minimises."""

from typing import Literal, NamedTuple

Codes = Literal["gaussians", "points"]
PriorKind = Literal["fixed", "learned", "fitted"]
Covariance = Literal["diagonal", "full", "fitted"]


class Method(NamedTuple):
    """What a method asks of an autoencoder.

    Attributes:
        codes: Whether codes are Gaussians or points.
        prior: fixed: one standard normal. learned: a mixture, by gradient. fitted: a mixture, after the last step.
    """

    codes: Codes
    prior: PriorKind


METHODS = {
    "vae": Method("gaussians", prior="fixed"),
    "gmvae": Method("gaussians", prior="learned"),
    "vampprior": Method("gaussians", prior="fitted"),
    "prae": Method("gaussians", prior="learned"),
    "wae": Method("points", prior="fixed"),
    "swae": Method("points", prior="fixed"),
    "drae": Method("points", prior="learned"),
    "ae": Method("points", prior="fitted"),
}
