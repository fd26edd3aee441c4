"""Recipes of co-training: the value of every setting that a run leaves to its method.

paper      eq. 14 with gamma 1, tau 0.5, as section 6.2 prints it, and normal priors
relatent   our own
"""

from typing import Any, Literal

Method = Literal["independent", "coreg", "cca", "w", "gw"]
Recipe = Literal["relatent", "paper"]

PAPER: dict[str, Any] = {
    "codes": "gaussians",
    "gamma": 1.0,
    "tau": 0.5,
    "divergence": "wasserstein",
    "pairs": "unpaired",
    "relative": False,
    "directions": 50,
    "max_iter": 20,
    "prior_speed": 1.0,
    "prior_decay": False,
}
METHODS: dict[Method, dict[str, Any]] = {
    "independent": {"tau": 0.0},
    "coreg": {"pairs": "paired"},
    "cca": {"pairs": "paired"},
}
RECIPES: dict[Recipe, dict[Method, dict[str, Any]]] = {
    "paper": {},
    "relatent": {
        # In units of the codes' spread a distance is of order 1, a batch's summed squared error of order 10^4. Points,
        # because Gaussians may also become alike by their standard deviations, of which no feature is made.
        "gw": {"codes": "points", "pairs": "paired", "relative": True, "gamma": 3000.0, "tau": 0.9997},
        # These two as they did best with few labels among weights of 100 to 10 000.
        "coreg": {"gamma": 1000.0, "tau": 0.9},
        "cca": {"gamma": 3000.0, "tau": 0.99},
    },
}


def settings(recipe: Recipe, method: Method) -> dict[str, Any]:
    """The value of every setting that a recipe decides, by the setting's name."""
    return PAPER | METHODS.get(method, {}) | RECIPES[recipe].get(method, {})
