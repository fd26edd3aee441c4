"""FID as pytorch-fid computes it: 2048 features of the Inception network of the original TensorFlow code.

Its weights are a file that pytorch-fid publishes. Nothing is downloaded here; the file's name holds the beginning of
its sha256, which is checked.
"""

import hashlib
import pickle
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

from readers.atomic import atomic_path
from relatent.cache import say_unkept, user_cache
from training.metrics.frechet import Moments, moments_distance
from training.metrics.weights import WeightsError, read_checked

FILE = "pt_inception-2015-12-05-6726825d.pth"
SHA256 = "6726825d"
BATCH = 50


def find_inception(given: Path | None) -> Path | None:
    """The file of weights: the given one, else that in torch hub's cache, else None.

    Args:
        given: A file, or None to look in the cache.

    Returns:
        The file, or None if none was given and the cache has none.

    Raises:
        WeightsError: If the given file does not exist.
    """
    if given is not None and not given.is_file():
        raise WeightsError(f"--inception-weights: expected {FILE} as pytorch-fid publishes it, {given} does not exist")
    cached = Path(torch.hub.get_dir()) / "checkpoints" / FILE
    return given or (cached if cached.is_file() else None)


def load_inception(path: Path) -> nn.Module:
    """The network with its weights, in evaluation mode on the CPU; WeightsError if the file is another one."""
    from training.metrics.inception_network import inception_network

    return inception_network(read_checked(path, sha256=SHA256))


@torch.inference_mode()
def inception_features(network: nn.Module, pixels: Tensor) -> Tensor:
    """Features as of images saved as PNG: rounded to bytes, grey ones in three equal channels, resized to 299.

    Args:
        network: From `load_inception`.
        pixels: Shape (n, 1 or 3, height, width), values in [0, 1]; brought to the network's device.

    Returns:
        Shape (n, 2048), on the CPU.
    """
    device = next(network.parameters()).device
    rows = []
    for part in pixels.split(BATCH):
        x = (part.to(device) * 255).round() / 255
        x = interpolate(x.expand(-1, 3, -1, -1), size=(299, 299), mode="bilinear", align_corners=False)
        rows.append(network(2 * x - 1).cpu())
    return torch.cat(rows)


def inception_distance(path: Path, real: Tensor, generated: Tensor, *, device: torch.device) -> float:
    """FID between two sets of images; the moments of the real ones are kept in the user's cache.

    Args:
        path: The file of weights.
        real: Pixels in [0, 1], shape (n, 1 or 3, height, width).
        generated: Pixels, shape (m, ...), likewise.
        device: Where to compute features; on a CPU core, 10 000 images take minutes.

    Returns:
        Squared Frechet distance of the features; at equal n and m only is it comparable.

    Raises:
        WeightsError: If the file is another one.
    """
    network = load_inception(path).to(device)
    key = hashlib.sha256(real.contiguous().numpy().tobytes()).hexdigest()[:16]
    known = _known(f"{key}-{len(real)}.pt")
    if known is None:
        known = Moments.of(inception_features(network, real))
        _keep(f"{key}-{len(real)}.pt", known)
    return moments_distance(known, Moments.of(inception_features(network, generated)))


def _known(name: str) -> Moments | None:
    """Moments from the cache; None if they are not there, or damaged."""
    try:
        return Moments(*torch.load(user_cache() / "inception" / name, weights_only=True))
    except (OSError, RuntimeError, ValueError, EOFError, TypeError, pickle.UnpicklingError):
        return None


def _keep(name: str, moments: Moments) -> None:
    try:
        path = user_cache() / "inception" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_path(path) as temporary:
            torch.save(tuple(moments), temporary)
    except (OSError, RuntimeError) as error:  # torch's own writer knows but the latter
        say_unkept("Inception's features of real images are not kept for the next evaluation", f"{error}")
