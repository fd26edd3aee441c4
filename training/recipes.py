"""Recipes: the value of every setting that a run leaves to its method.

paper      as Xu et al. (2020) print it: eq. 5 with gamma 1, beta 0.1, 50 directions; eq. 14 with gamma 1, tau 0.5
authors    the sliced term as the authors' code weights it: directions not normalised, costs summed (docs/method.md)
relatent   our own

The baselines of one view are the same in all three.
"""

from typing import Any, Literal

Recipe = Literal["relatent", "paper", "authors"]

PAPER: dict[str, Any] = {
    "covariance": "diagonal",
    "standardise": False,
    "gamma": 1.0,
    "warmup": 0.0,
    "beta": 0.1,
    "directions": 50,
    "max_iter": 20,
    "queue": 0,
    "code_noise": 0.0,
    "refit": "none",
    "prior_speed": 1.0,
    "prior_decay": False,
    # Several views
    "codes": "gaussians",
    "tau": 0.5,
    "divergence": "wasserstein",
    "pairs": "unpaired",
    "relative": False,
}
METHODS: dict[str, dict[str, Any]] = {
    # The distances of these two are means, the squared errors a sum: weights that pull the codes to N(0, I).
    "wae": {"gamma": 10_000.0},
    "swae": {"gamma": 10_000.0},
    "ae": {"gamma": 0.0, "covariance": "full"},
    # Several views
    "independent": {"tau": 0.0},
    "coreg": {"pairs": "paired"},
    "cca": {"pairs": "paired"},
}
RECIPES: dict[str, dict[str, dict[str, Any]]] = {
    "paper": {},
    "authors": {"drae": {"gamma": 36_400.0, "beta": 0.011}},
    "relatent": {
        "prae": {"gamma": 100.0, "warmup": 0.5, "covariance": "fitted", "refit": "em"},
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
        # Several views. In units of the codes' spread a distance is of order 1, a batch's summed squared error of order
        # 10^4. Points, because Gaussians may also become alike by standard deviations, of which no feature is made.
        "gw": {"codes": "points", "pairs": "paired", "relative": True, "gamma": 3000.0, "tau": 0.9997},
        # These two as they did best with few labels among weights of 100 to 10 000.
        "coreg": {"gamma": 1000.0, "tau": 0.9},
        "cca": {"gamma": 3000.0, "tau": 0.99},
    },
}


def settings(recipe: str, method: str) -> dict[str, Any]:
    """The value of every setting that a recipe decides, by the setting's name, of one view or of several."""
    return PAPER | METHODS.get(method, {}) | RECIPES[recipe].get(method, {})
