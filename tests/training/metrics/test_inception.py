from functools import partial
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pytest
import torch
from PIL import Image

from training.metrics import inception
from training.metrics.frechet import frechet_distance
from training.metrics.inception import FILE, find_inception, inception_features, load_inception
from training.metrics.inception_network import inception_network
from training.metrics.weights import WeightsError


@pytest.fixture(scope="module")
def reference() -> torch.nn.Module:
    """pytorch-fid's own network with random weights, whose statistics and scales differ from layer to layer."""
    fid = pytest.importorskip("pytorch_fid.inception")
    with patch.object(fid, "load_state_dict_from_url"), patch.object(torch.nn.Module, "load_state_dict"):
        network = fid.fid_inception_v3().eval()
    generator = torch.Generator().manual_seed(0)
    for name, tensor in network.state_dict().items():
        if name.endswith("conv.weight"):  # keeps the scale from layer to layer
            tensor.normal_(0, (2 / tensor[0].numel()) ** 0.5, generator=generator)
        elif "bn" in name and tensor.ndim:
            tensor.uniform_(0.5, 1.5, generator=generator)
    return network


@pytest.mark.slow
def test_features_are_those_of_pytorch_fid(reference: torch.nn.Module, tmp_path: Path) -> None:
    fid = pytest.importorskip("pytorch_fid.inception")
    with patch.object(fid, "fid_inception_v3", return_value=reference):
        theirs = fid.InceptionV3([3]).eval()
    pixels = torch.rand(2, 1, 28, 28, generator=torch.Generator().manual_seed(0))
    read = []
    for number, image in enumerate(pixels):
        Image.fromarray(np.round(image[0].numpy() * 255).astype(np.uint8)).save(tmp_path / f"{number}.png")
        read.append(np.asarray(Image.open(tmp_path / f"{number}.png").convert("RGB")) / 255)
    x = torch.from_numpy(np.stack(read)).permute(0, 3, 1, 2).float()
    with torch.inference_mode():
        expected = theirs(x)[0][:, :, 0, 0]
    ours = inception_features(inception_network(reference.state_dict()), pixels)
    assert expected.std() > 1e-3
    torch.testing.assert_close(ours, expected, rtol=1e-4, atol=1e-5)


def test_weights_come_from_the_file_given_or_from_torch_hubs_cache(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    assert find_inception(None) is None
    cached = tmp_path / "hub" / "checkpoints" / FILE
    cached.parent.mkdir(parents=True)
    cached.touch()
    assert find_inception(None) == cached
    given = tmp_path / "weights.pth"
    with pytest.raises(WeightsError, match="does not exist"):
        find_inception(given)
    given.touch()
    assert find_inception(given) == given


def test_another_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / FILE
    path.write_bytes(b"not the weights")
    with pytest.raises(WeightsError, match="expected sha256 6726825d, got "):
        load_inception(path)


def test_the_distance_is_that_of_the_features_and_keeps_the_real_images_moments(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    class Corners(torch.nn.Sequential):
        """Twelve features in place of 2048: the mean of each quarter and channel."""

        def __init__(self) -> None:
            super().__init__(torch.nn.AdaptiveAvgPool2d(2), torch.nn.Flatten())
            self.register_parameter("device", torch.nn.Parameter(torch.zeros(())))

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(inception, "load_inception", lambda path: Corners())
    real, generated = torch.rand(2, 40, 3, 16, 16, generator=torch.Generator().manual_seed(1))
    distance = partial(inception.inception_distance, tmp_path / FILE, device=torch.device("cpu"))
    expected = frechet_distance(*(inception_features(Corners(), pixels) for pixels in (real, generated)))
    assert expected > 1e-3
    assert distance(real, generated) == pytest.approx(expected, rel=1e-6)
    (kept,) = (tmp_path / "relatent" / "inception").iterdir()
    mean, covariance = torch.load(kept, weights_only=True)
    torch.save((mean + 1, covariance), kept)
    assert distance(real, real) == pytest.approx(12, rel=1e-6)  # one squared for each of the shifted means
