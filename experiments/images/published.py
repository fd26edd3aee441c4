"""What the paper prints (Xu et al., ICML 2020), by data set and method; RAE stands there as prae and drae."""

from typing import NamedTuple


class Published(NamedTuple):
    """A row of Table 2.

    Attributes:
        reconstruction: Loss on the test images.
        fid: Frechet inception distance.
    """

    reconstruction: float
    fid: float


TABLE_2: dict[str, dict[str, Published]] = {
    "mnist": {
        "vae": Published(16.60, 156.11),
        "gmvae": Published(16.76, 60.88),
        "vampprior": Published(22.41, 127.81),
        "prae": Published(14.14, 41.99),
        "wae": Published(9.97, 52.78),
        "swae": Published(11.10, 35.63),
        "drae": Published(10.37, 49.39),
    },
    "celeba": {
        "vae": Published(96.36, 59.99),
        "gmvae": Published(108.13, 353.17),
        "prae": Published(63.21, 52.20),
        "wae": Published(63.83, 52.07),
        "swae": Published(87.02, 88.91),
        "drae": Published(64.49, 51.45),
    },
}

# Seconds per epoch on a GTX 1080 Ti.
TABLE_3: dict[str, dict[str, float]] = {
    "mnist": {"wae": 25.6, "swae": 24.7, "prae": 26.9, "drae": 24.8},
    "celeba": {"wae": 602.2, "swae": 553.4, "prae": 618.5, "drae": 569.7},
}
