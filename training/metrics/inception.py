"""FID as pytorch-fid computes it: 2048 features of the Inception network of the original TensorFlow code.

That network differs from torchvision's in four pooling branches and in its weights, a file that pytorch-fid publishes.
Nothing is downloaded here; the file's name holds the beginning of its sha256, which is checked.
"""

import hashlib
import pickle
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, interpolate, max_pool2d
from torchvision.models import inception

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
    return inception_network(read_checked(path, sha256=SHA256))


def inception_network(state: dict[str, Tensor]) -> nn.Module:
    """Images (n, 3, 299, 299) in [-1, 1] to features (n, 2048), from weights named as in pytorch-fid."""
    network = inception.Inception3(num_classes=1008, aux_logits=False, init_weights=False)
    network.Mixed_5b, network.Mixed_5c = _A(192, pool_features=32), _A(256, pool_features=64)
    network.Mixed_5d = _A(288, pool_features=64)
    network.Mixed_6b, network.Mixed_6c = _C(768, channels_7x7=128), _C(768, channels_7x7=160)
    network.Mixed_6d, network.Mixed_6e = _C(768, channels_7x7=160), _C(768, channels_7x7=192)
    network.Mixed_7b, network.Mixed_7c = _E(1280), _LastE(2048)
    network.load_state_dict(state)
    network.fc = nn.Identity()
    return network.eval()


@torch.inference_mode()
def inception_features(network: nn.Module, pixels: Tensor) -> Tensor:
    """Features as of images saved as PNG: rounded to bytes, grey ones in three equal channels, resized to 299.

    Args:
        network: From `inception_network`.
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


class _PoolBranch:
    """Pools the last branch of a block otherwise than torchvision does."""

    branch_pool: nn.Module

    def _forward(self, x: Tensor) -> list[Tensor]:
        return [*super()._forward(x)[:-1], self.branch_pool(self.pool(x))]  # type: ignore[misc]

    @staticmethod
    def pool(x: Tensor) -> Tensor:
        """Average over the neighbours that lie inside the image."""
        return avg_pool2d(x, 3, stride=1, padding=1, count_include_pad=False)


class _A(_PoolBranch, inception.InceptionA): ...


class _C(_PoolBranch, inception.InceptionC): ...


class _E(_PoolBranch, inception.InceptionE): ...


class _LastE(_PoolBranch, inception.InceptionE):
    @staticmethod
    def pool(x: Tensor) -> Tensor:
        """Largest of the neighbours."""
        return max_pool2d(x, 3, stride=1, padding=1)
