"""Pictures of a trained model: reconstructions, samples, and one row per component."""

from pathlib import Path

import torch
from PIL import Image
from torch import Tensor
from torchvision.utils import make_grid

from training.autoencoder import Autoencoder
from training.data import ImageData
from training.files import atomic_path


def save_grid(path: Path, images: Tensor, *, columns: int) -> None:
    """Write images as one PNG, atomically.

    Args:
        path: Where.
        images: Shape (n, channels, height, width); values are clipped to [0, 1].
        columns: Images in a row.
    """
    grid = make_grid(images.detach().cpu().clamp(0, 1), nrow=columns, padding=1, pad_value=0.5)
    array = (grid * 255).round().byte().permute(1, 2, 0).numpy()
    with atomic_path(path) as temporary:
        Image.fromarray(array).save(temporary, format="PNG")


@torch.inference_mode()
def save_pictures(folder: Path, autoencoder: Autoencoder, data: ImageData, *, seed: int = 0) -> list[Path]:
    """Write reconstructions.png, samples.png and components.png.

    Args:
        folder: Where; made if missing.
        autoencoder: The model, in evaluation mode, on the CPU.
        data: The data set; its first 50 test images are reconstructed.
        seed: Of the samples.

    Returns:
        The files written. Reconstructions alternate rows of images and their reconstructions; components have one
        row each, the component's mean first, then samples.
    """
    folder.mkdir(parents=True, exist_ok=True)
    generator = torch.Generator().manual_seed(seed)
    prior, decoder = autoencoder.prior, autoencoder.decoder

    x = data.pixels(data.test[:50])
    rows = torch.stack([x.unflatten(0, (5, 10)), decoder(autoencoder.code(x)).unflatten(0, (5, 10))], dim=1)
    save_grid(folder / "reconstructions.png", rows.flatten(0, 2), columns=10)

    save_grid(folder / "samples.png", decoder(prior.sample(100, generator=generator)), columns=10)

    components, latent_size = prior.mean.shape
    component = torch.arange(components).repeat_interleave(16)
    noise = torch.randn(len(component), latent_size, generator=generator)
    noise[::16] = 0  # the first of each row is the component's mean
    images = decoder(prior(component, noise, torch.ones(len(component))))
    save_grid(folder / "components.png", images, columns=16)
    return [folder / name for name in ("reconstructions.png", "samples.png", "components.png")]
