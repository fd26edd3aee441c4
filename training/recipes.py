"""Recipes: the value of every setting that a run leaves to its method.

paper      as Xu et al. (2020) print it: eq. 5 with gamma 1, beta 0.1, 50 directions
authors    the sliced term as the authors' code weights it: directions not normalised, costs summed (docs/method.md)
relatent   our own

The baselines are the same in all three.
"""

from typing import Any, Literal

Recipe = Literal["relatent", "paper", "authors"]

PAPER: dict[str, Any] = {
    "covariance": "diagonal",
    "standardise": False,
    "gamma": 1.0,
    "beta": 0.1,
    "directions": 50,
    "max_iter": 20,
    "queue": 0,
    "encoder_weight": 1.0,
    "code_noise": 0.0,
    "refit": "none",
    "prior_speed": 1.0,
    "prior_decay": False,
}
BASELINES: dict[str, dict[str, Any]] = {
    # The distances of these two are means, the squared errors a sum: weights that pull the codes to N(0, I).
    "wae": {"gamma": 10_000.0},
    "swae": {"gamma": 10_000.0},
    "ae": {"gamma": 0.0, "covariance": "full"},
}
RECIPES: dict[str, dict[str, dict[str, Any]]] = {
    "paper": {},
    "authors": {"drae": {"gamma": 36_400.0, "beta": 0.011}},
    "relatent": {
        "prae": {"gamma": 100.0, "covariance": "fitted", "refit": "em"},
        "drae": {
            "gamma": 1_000.0,
            "directions": 12,
            "covariance": "full",
            "standardise": True,
            "code_noise": 0.1,
            "queue": 500,
            "prior_speed": 5.0,
            "prior_decay": True,
            "refit": "anew",
        },
    },
}


def settings(recipe: Recipe, method: str) -> dict[str, Any]:
    """The value of every setting that a recipe decides, by the setting's name."""
    return PAPER | BASELINES.get(method, {}) | RECIPES[recipe].get(method, {})
