import torch
from torch.distributions import Categorical, Independent, MixtureSameFamily, Normal

from training.autoencoder import Autoencoder
from training.config import DataConfig, ModelConfig
from training.data import load_images
from training.evaluation import encode_all
from training.gaussian import Gaussian
from training.refit import merge, refit_prior


def test_merged_gaussians_have_the_moments_of_their_mixtures() -> None:
    generator = torch.Generator().manual_seed(0)
    mean = 100 + torch.randn(30, 4, generator=generator, dtype=torch.float64)
    std = torch.rand(30, 4, generator=generator, dtype=torch.float64)
    coupling = torch.rand(30, 3, generator=generator, dtype=torch.float64) / 45
    merged = merge(Gaussian(mean, std), coupling)
    for k in range(3):
        mixture = MixtureSameFamily(Categorical(coupling[:, k]), Independent(Normal(mean, std), 1))
        torch.testing.assert_close(merged.mean[k], mixture.mean)
        torch.testing.assert_close(merged.std[k], mixture.stddev)


def test_the_refitted_mixture_has_the_moments_of_all_codes() -> None:
    data = load_images(DataConfig(data="digits"))
    autoencoder = Autoencoder(data.shape, ModelConfig(method="drae", width=4, components=5), seed=0)
    refit_prior(autoencoder, data, beta=0.1)
    codes = encode_all(autoencoder, data, data.train)
    mean, std = (rows.detach() for rows in autoencoder.prior.gaussians())
    torch.testing.assert_close(mean.mean(0), codes.mean(0), rtol=1e-3, atol=1e-5)
    second = (std.square() + (mean - codes.mean(0)).square()).mean(0)
    torch.testing.assert_close(second, codes.var(0, correction=0), rtol=1e-3, atol=1e-6)
    assert len({tuple(row) for row in mean.tolist()}) == 5  # the plan parted the codes, it did not blur them
