"""What a trained cell shows, as small arrays: the pictures of many methods are later laid side by side."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from readers.atomic import atomic_path
from readers.image_data import ImageData
from training.autoencoder import Autoencoder
from training.pictures import component_images, interpolation_images

GALLERY = "gallery.npz"
MAPPED = 2000  # codes in the map
PER_COMPONENT, SAMPLES, RECONSTRUCTED, SIDE = 10, 50, 10, 6


class Gallery(NamedTuple):
    """Pictures are uint8, shape (rows, columns, channels, height, width).

    Attributes:
        components: One row per component, its mean first; one row if the prior is a single Gaussian.
        samples: Draws of the prior.
        reconstructions: Test images of the first row, below them their reconstructions; of CelebA the second row alone.
        interpolation: Bilinear interpolation between the codes of four test images.
        codes: t-SNE of test codes, float32, shape (n, 2).
        means: Where the components' means lie in it, shape (K, 2).
        labels: Class of each code, or, in data without classes, its most responsible component; shape (n,).
    """

    components: np.ndarray
    samples: np.ndarray
    reconstructions: np.ndarray
    interpolation: np.ndarray
    codes: np.ndarray
    means: np.ndarray
    labels: np.ndarray


@torch.inference_mode()
def save_gallery(folder: Path, autoencoder: Autoencoder, data: ImageData) -> None:
    """Write gallery.npz.

    Args:
        folder: The run folder.
        autoencoder: The model, in evaluation mode, on the CPU.
        data: Its data. Of CelebA no image is written, only what the model makes of it.
    """
    generator = torch.Generator().manual_seed(0)
    decoder, prior = autoencoder.decoder, autoencoder.prior
    x = data.pixels(data.test[:RECONSTRUCTED])
    again = decoder(autoencoder.encode(x).mean)
    shown = [again] if data.name == "celeba" else [x, again]
    samples = decoder(prior.sample(SAMPLES, generator=generator)).unflatten(0, (-1, 10))
    codes, means, labels = _map_codes(autoencoder, data)
    gallery = Gallery(
        components=_bytes(component_images(autoencoder, PER_COMPONENT, generator=generator)),
        samples=_bytes(samples),
        reconstructions=_bytes(torch.stack(shown)),
        interpolation=_bytes(interpolation_images(autoencoder, data, SIDE)),
        codes=codes,
        means=means,
        labels=labels,
    )
    with atomic_path(folder / GALLERY) as temporary, temporary.open("wb") as file:
        np.savez_compressed(file, **gallery._asdict())


def load_gallery(folder: Path) -> Gallery | None:
    """The gallery of a run folder, or None if it has none."""
    path = folder / GALLERY
    if not path.exists():
        return None
    with np.load(path) as arrays:
        return Gallery(**{name: arrays[name] for name in Gallery._fields})


def _map_codes(autoencoder: Autoencoder, data: ImageData) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    from sklearn.manifold import TSNE

    codes = autoencoder.encode_all(data.batches(data.test[:MAPPED])).mean
    if data.test_labels is None:
        labels = autoencoder.prior.log_responsibilities(codes).argmax(1)
    else:
        labels = data.test_labels[:MAPPED]
    points = torch.cat([codes, autoencoder.prior.mean]).numpy()
    perplexity = min(30.0, (len(points) - 1) / 3)
    embedded = TSNE(random_state=0, init="pca", perplexity=perplexity, n_jobs=1).fit_transform(points)
    return embedded[: len(codes)], embedded[len(codes) :], labels.numpy()


def _bytes(images: Tensor) -> np.ndarray:
    return (images.clamp(0, 1) * 255).round().byte().numpy()
