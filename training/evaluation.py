"""Scores of a trained model on test images, computed without noise and in float32."""

import torch
from torch import Tensor

from training.autoencoder import Autoencoder
from training.data import ImageData

BATCH = 500


def encode_all(autoencoder: Autoencoder, data: ImageData, images: Tensor) -> Tensor:
    """Codes (means, if probabilistic) of byte images by a model in evaluation mode, shape (n, d), on the CPU."""
    device = autoencoder.prior.mean.device
    with torch.inference_mode():
        return torch.cat([autoencoder.code(data.pixels(part.to(device))).cpu() for part in images.split(BATCH)])


def reconstruction_error(
    autoencoder: Autoencoder, data: ImageData, images: Tensor, *, device: torch.device | str = "cpu"
) -> float:
    """Squared error of reconstructions from noiseless codes, as the paper's Table 2 counts it.

    Args:
        autoencoder: The model, on `device`; its training mode is restored.
        data: The data set, for the scale of its pixels.
        images: Byte images, shape (n, channels, height, width).
        device: Where to compute.

    Returns:
        Sum over pixels, mean over images.
    """
    training = autoencoder.training
    autoencoder.eval()
    total = 0.0
    with torch.inference_mode():
        for part in images.split(BATCH):
            x = data.pixels(part.to(device)).contiguous(memory_format=torch.channels_last)
            total += (autoencoder.decoder(autoencoder.code(x)) - x).square().sum(dtype=torch.float64).item()
    autoencoder.train(training)
    return total / len(images)


def component_purity(components: Tensor, labels: Tensor) -> float:
    """Share of images whose class is the commonest of their component, in [0, 1].

    Args:
        components: Most responsible component of each image, int64, shape (n,).
        labels: Class of each image, int64, shape (n,).

    Returns:
        The share; at least that of the commonest class.
    """
    table = torch.zeros(int(components.max()) + 1, int(labels.max()) + 1)
    table.index_put_((components, labels), torch.ones(len(labels)), accumulate=True)
    return (table.max(dim=1).values.sum() / len(labels)).item()


def evaluate(autoencoder: Autoencoder, data: ImageData) -> dict[str, float]:
    """Scores on the test images.

    Args:
        autoencoder: The model, in evaluation mode, on the CPU.
        data: The data set.

    Returns:
        reconstruction_error: squared error summed over pixels, mean over images, codes without noise;
        component_purity: see `component_purity`, components by largest responsibility;
        components_used: how many components are the most responsible one of at least one test image in a thousand.
    """
    with torch.inference_mode():
        components = autoencoder.prior.log_responsibilities(encode_all(autoencoder, data, data.test)).argmax(1)
    counts = components.bincount()
    return {
        "reconstruction_error": reconstruction_error(autoencoder, data, data.test),
        "component_purity": component_purity(components, data.test_labels),
        "components_used": float((counts >= len(components) / 1000).sum()),
    }
