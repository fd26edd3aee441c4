"""Pictures of a trained model: reconstructions, samples, one row per component, and the way between four codes."""

from pathlib import Path

import torch
from PIL import Image
from torch import Tensor
from torch.nn.functional import pad

from readers.atomic import atomic_path
from readers.image_data import ImageData
from training.autoencoder import Autoencoder

COLUMNS = 10  # images in a row of reconstructions


def grid_picture(images: Tensor, *, columns: int) -> Image.Image:
    """Images side by side.

    Args:
        images: Shape (n, channels, height, width), channels 1 or 3; values are clipped to [0, 1].
        columns: Images in a row.

    Returns:
        The picture, grey if the images are; each image takes its pixels and a border of one, and the grid one more.
    """
    # Not by torchvision, which leaves a single picture without its border and takes long to import.
    columns = min(columns, len(images))
    tiles = pad(images.detach().cpu().clamp(0, 1), (0, 1, 0, 1, 0, 0, 0, -len(images) % columns), value=0.5)
    rows = tiles.unflatten(0, (-1, columns)).permute(0, 3, 1, 4, 2)  # (rows, height, columns, width, channels)
    grid = pad(rows.flatten(2, 3).flatten(0, 1), (0, 0, 1, 0, 1, 0), value=0.5)
    array = (grid * 255).round().byte().numpy()
    return Image.fromarray(array[..., 0] if images.shape[1] == 1 else array)


def save_grid(path: Path, images: Tensor, *, columns: int) -> None:
    """Write `grid_picture` as one PNG, atomically.

    Args:
        path: Where.
        images: Shape (n, channels, height, width); values are clipped to [0, 1].
        columns: Images in a row.
    """
    picture = grid_picture(images, columns=columns)
    with atomic_path(path) as temporary:
        picture.save(temporary, format="PNG", optimize=True)


@torch.inference_mode()
def component_images(autoencoder: Autoencoder, count: int, *, generator: torch.Generator) -> Tensor:
    """What each component of the prior stands for.

    Args:
        autoencoder: The model, in evaluation mode, on the CPU.
        count: Images per component.
        generator: Of the samples.

    Returns:
        Shape (K, count, channels, height, width); the first of each component is its mean, decoded, then samples.
    """
    components, latent_size = autoencoder.prior.mean.shape
    component = torch.arange(components).repeat_interleave(count)
    noise = torch.randn(len(component), latent_size, generator=generator)
    noise[::count] = 0
    codes = autoencoder.prior(component, noise, torch.ones(len(component)))
    return autoencoder.decode(codes).unflatten(0, (components, count))


@torch.inference_mode()
def interpolation_images(autoencoder: Autoencoder, data: ImageData, side: int) -> Tensor:
    """Bilinear interpolation between the codes of four test images, of four classes if the data have as many.

    Args:
        autoencoder: The model, in evaluation mode, on the CPU.
        data: Its data.
        side: Images in a row and in a column, at least 2.

    Returns:
        Shape (side, side, channels, height, width); the corners are the four reconstructions.
    """
    labels = [] if data.test_labels is None else data.test_labels.tolist()
    firsts = [labels.index(label) for label in sorted(set(labels))]
    corners = (firsts if len(firsts) >= 4 else [index % len(data.test) for index in range(4)])[:4]
    top_left, top_right, low_left, low_right = autoencoder.encode(data.pixels(data.test[corners])).mean
    across, down = torch.linspace(0, 1, side)[None, :, None], torch.linspace(0, 1, side)[:, None, None]
    top, low = torch.lerp(top_left, top_right, across), torch.lerp(low_left, low_right, across)
    return autoencoder.decode(torch.lerp(top, low, down).flatten(0, 1)).unflatten(0, (side, side))


@torch.inference_mode()
def reconstruction_rows(autoencoder: Autoencoder, x: Tensor) -> Tensor:
    """Images beside their reconstructions.

    Args:
        autoencoder: The model, in evaluation mode, on the CPU.
        x: Images, shape (n, channels, height, width).

    Returns:
        Rows of COLUMNS images, or of n if there are fewer, each followed by the row of their reconstructions; a last
        row that is not full is left out.
    """
    columns = min(COLUMNS, len(x))
    decoded = autoencoder.decode(autoencoder.encode(x).mean)
    pairs = [part[: len(x) // columns * columns].unflatten(0, (-1, columns)) for part in (x, decoded)]
    return torch.stack(pairs, dim=1).flatten(0, 2)


@torch.inference_mode()
def save_pictures(folder: Path, autoencoder: Autoencoder, data: ImageData, *, seed: int = 0) -> list[Path]:
    """Write reconstructions.png, samples.png, components.png and interpolation.png.

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
    reconstructions = reconstruction_rows(autoencoder, data.pixels(data.test[:50]))
    samples = autoencoder.decode(autoencoder.prior.sample(100, generator=generator))
    grids = {
        "reconstructions": (reconstructions, min(COLUMNS, len(data.test))),
        "samples": (samples, 10),
        "components": (component_images(autoencoder, 16, generator=generator).flatten(0, 1), 16),
        "interpolation": (interpolation_images(autoencoder, data, 10).flatten(0, 1), 10),
    }
    for name, (images, columns) in grids.items():
        save_grid(folder / f"{name}.png", images, columns=columns)
    return [folder / f"{name}.png" for name in grids]
