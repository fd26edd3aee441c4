"""What Table 4 prints (Xu et al., ICML 2020): accuracy in per cent and its spread, by data set and row."""

TABLE_4: dict[str, dict[str, tuple[float, float]]] = {
    "caltech7": {
        "vae": (56.92, 1.67),
        "coreg": (76.58, 1.38),
        "cca-linear": (78.33, 1.88),
        "cca": (80.24, 1.22),
        "w": (83.07, 1.69),
        "gw": (84.29, 1.74),
    },
    "caltech20": {
        "vae": (33.07, 2.09),
        "coreg": (60.25, 1.66),
        "cca-linear": (52.27, 2.32),
        "cca": (62.37, 1.35),
        "w": (69.58, 2.03),
        "gw": (69.39, 2.01),
    },
    "handwritten": {
        "vae": (52.09, 5.82),
        "coreg": (56.20, 5.25),
        "cca-linear": (66.28, 5.02),
        "cca": (69.72, 4.64),
        "w": (71.21, 5.55),
        "gw": (72.36, 3.82),
    },
    "cathgen": {
        "vae": (64.36, 1.93),
        "coreg": (66.79, 1.30),
        "cca-linear": (65.28, 2.17),
        "cca": (66.89, 1.57),
        "w": (66.06, 1.68),
        "gw": (66.99, 1.77),
    },
}
