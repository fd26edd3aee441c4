"""Scores of a model of images, computed in float32 and, where not said otherwise, without noise."""

import copy
from collections.abc import Iterable, Iterator
from pathlib import Path

import torch
from torch import Tensor

from readers.image_data import BATCH, ImageData
from relatent import Gaussian
from training.autoencoder import Autoencoder
from training.metrics.agreement import latent_agreement
from training.metrics.clustering import class_balance, clustering_scores, count_used, plan_components
from training.metrics.features import Features
from training.metrics.frechet import frechet_distance
from training.metrics.inception import find_inception, inception_distance
from training.metrics.kid import kernel_distance
from training.metrics.prdc import neighbour_coverage
from training.metrics.pretraining import feature_network

BETA = 0.1  # the paper's, of every plan that is a measure
NEIGHBOURS = 5  # as Naeem et al. (2020) set it


@torch.inference_mode()
def reconstruction_error(autoencoder: Autoencoder, batches: Iterable[Tensor]) -> float:
    """Squared error of reconstructions from noiseless codes, as the paper's Table 2 counts it.

    Args:
        autoencoder: The model, on any device; its training mode is restored.
        batches: Raw rows, images or features, shapes (n, *shape), at least one in all.

    Returns:
        Sum over a row's pixels, or its standardised features; mean over rows.
    """
    training = autoencoder.training
    autoencoder.eval()
    total, count = 0.0, 0
    for batch in batches:
        x = autoencoder.standardise(batch.to(autoencoder.device))
        total += (autoencoder.decoder(autoencoder.encoder(x).mean) - x).square().sum(dtype=torch.float64).item()
        count += len(x)
    autoencoder.train(training)
    return total / count


def evaluate_images(
    autoencoder: Autoencoder,
    data: ImageData,
    *,
    inception_weights: Path | None = None,
    samples: int = 10_000,
    seed: int = 0,
) -> dict[str, float]:
    """Scores on the test images, and of as many images generated from the prior.

    A score that cannot be had is left out: those against classes for data without labels, fid without weights.

    Args:
        autoencoder: The model, in evaluation mode, on any device.
        data: The data set.
        inception_weights: The file that pytorch-fid publishes; None looks into torch hub's cache.
        samples: Most images to compare; no more than there are test images, of which the first are taken.
        seed: Of all samples and directions.

    Returns:
        reconstruction_error: squared error summed over pixels, mean over images, codes without noise;
        component_purity, nmi, ari: see `clustering_scores`, components by largest responsibility;
        purity_plan, nmi_plan, ari_plan: the same, components by the optimal plan of all test images' posteriors;
        components_used: see `count_used`, by largest responsibility;
        sliced_wasserstein_to_prior, fgw_to_prior: see `latent_agreement`, codes drawn from their posteriors;
        images_compared: how many generated images are compared with as many test images in what follows;
        frechet, kid, precision, recall, density, coverage: on the features of `feature_network`;
        frechet_reconstruction: the Frechet distance of reconstructions, what a perfect prior would come down to;
        class_balance, classes_present: see `class_balance`, as the feature network sees the samples;
        fid: Frechet distance on Inception's features.

    Raises:
        WeightsError: If a file of weights is missing or damaged.
    """
    inception = find_inception(inception_weights)
    features = feature_network(data)
    # Convolutions run twice as fast so; a copy, because the caller's model is not to be touched.
    model = copy.deepcopy(autoencoder).to(memory_format=torch.channels_last)
    generator = torch.Generator(model.device).manual_seed(seed)
    count = min(samples, len(data.test))
    with torch.inference_mode():
        posterior = model.encode_all(data.batches(data.test))
        latents = model.prior.sample(count, generator=generator).cpu()
        error, reconstructed = _reconstruct(model, data, posterior.mean)
        generated = torch.cat([_bytes(data, images) for images in _decode(model, latents)])
        scores = {"reconstruction_error": error} | _structure(model, posterior, data.test_labels)
        scores |= _agreement(posterior, latents, torch.Generator().manual_seed(seed))
        scores |= {"images_compared": float(count)} | _samples(features, data, generated, reconstructed[:count])
        if inception is not None:
            real, fake = data.pixels(data.test[:count]), data.pixels(generated)
            scores["fid"] = inception_distance(inception, real, fake, device=model.device)
    return scores


def _structure(autoencoder: Autoencoder, posterior: Gaussian, labels: Tensor | None) -> dict[str, float]:
    prior = autoencoder.prior
    likeliest = prior.log_responsibilities(posterior.mean.to(autoencoder.device)).argmax(1).cpu()
    scores = {"components_used": float(count_used(likeliest))}
    if labels is None:
        return scores
    components = Gaussian(*(rows.cpu() for rows in prior.gaussians()))
    planned = plan_components(posterior, components, beta=BETA, weights=prior.weights.cpu())
    for suffix, assignment in (("", likeliest), ("_plan", planned)):
        scores |= {f"{name}{suffix}": value for name, value in clustering_scores(assignment, labels).items()}
    scores["component_purity"] = scores.pop("purity")
    return scores


def _agreement(posterior: Gaussian, samples: Tensor, generator: torch.Generator) -> dict[str, float]:
    order = torch.randperm(len(posterior.mean), generator=generator)
    noise = torch.randn(posterior.mean.shape, generator=generator)
    codes = (posterior.mean + posterior.std * noise)[order]
    agreement = latent_agreement(codes, samples, beta=BETA, generator=generator)
    return {"sliced_wasserstein_to_prior": agreement.sliced_wasserstein, "fgw_to_prior": agreement.fgw}


def _samples(features: Features, data: ImageData, generated: Tensor, reconstructed: Tensor) -> dict[str, float]:
    real, fake, rebuilt = (features.of(data, part) for part in (data.test[: len(generated)], generated, reconstructed))
    scores = {
        "frechet": frechet_distance(real, fake),
        "frechet_reconstruction": frechet_distance(real, rebuilt),
        "kid": kernel_distance(real, fake),
    }
    scores |= neighbour_coverage(real, fake, neighbours=NEIGHBOURS)._asdict()
    if features.by_class:
        balance = class_balance(features.classes(fake), count=features.network.head.out_features)
        scores |= {"class_balance": balance.entropy, "classes_present": float(balance.present)}
    return scores


def _reconstruct(autoencoder: Autoencoder, data: ImageData, codes: Tensor) -> tuple[float, Tensor]:
    """The reconstruction error on the test images, whose codes these are, and the reconstructions as bytes."""
    total, parts = 0.0, []
    for images, decoded in zip(data.test.split(BATCH), _decode(autoencoder, codes), strict=True):
        total += (decoded - data.pixels(images.to(decoded.device))).square().sum(dtype=torch.float64).item()
        parts.append(_bytes(data, decoded))
    return total / len(codes), torch.cat(parts)


def _decode(autoencoder: Autoencoder, latents: Tensor) -> Iterator[Tensor]:
    for part in latents.split(BATCH):
        yield autoencoder.decode(part.to(autoencoder.device))


def _bytes(data: ImageData, pixels: Tensor) -> Tensor:
    """Images as the data set holds them: rounded to [0, levels], on the CPU."""
    return (pixels.clamp(0, 1) * data.levels).round().byte().cpu()
