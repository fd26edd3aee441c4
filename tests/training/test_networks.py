import pytest
import torch

from relatent import Gaussian
from training.networks import Decoder, Encoder


def count(module: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def test_the_papers_mnist_network_has_its_published_size() -> None:
    # By hand: 4x4 kernels without bias, two numbers per batch-normed channel, linear layers with bias.
    convolutions = 16 * (1 * 128 + 128 * 256 + 256 * 512 + 512 * 1024) + 2 * (128 + 256 + 512 + 1024)
    assert count(Encoder((1, 28, 28), 8, 128, codes="gaussians")) == convolutions + 2 * (1024 * 8 + 8)
    first = 8 * 1024 * 49 + 1024 * 49
    transposed = 16 * (1024 * 512 + 512 * 256) + 2 * (1024 + 512 + 256)
    assert count(Decoder((1, 28, 28), 8, 128)) == first + transposed + 256 + 1


def test_the_papers_celeba_network_has_its_published_size() -> None:
    convolutions = 16 * (3 * 128 + 128 * 256 + 256 * 512 + 512 * 1024) + 2 * (128 + 256 + 512 + 1024)
    assert count(Encoder((3, 64, 64), 64, 128, codes="points")) == convolutions + 1024 * 16 * 64 + 64
    first = 64 * 1024 * 64 + 1024 * 64
    transposed = 16 * (1024 * 512 + 512 * 256 + 256 * 128) + 2 * (1024 + 512 + 256 + 128)
    assert count(Decoder((3, 64, 64), 64, 128)) == first + transposed + 128 * 3 + 3


@pytest.mark.parametrize("shape", [(1, 8, 8), (1, 28, 28), (3, 32, 32), (3, 64, 64), (1, 28, 56)])
def test_images_come_back_in_their_shape(shape: tuple[int, int, int]) -> None:
    x = torch.rand(3, *shape)
    posterior = Encoder(shape, 5, 2, codes="gaussians")(x)
    assert isinstance(posterior, Gaussian)
    assert posterior.mean.shape == posterior.std.shape == (3, 5)
    assert (posterior.std > 0).all()
    assert Decoder(shape, 5, 2)(posterior.mean).shape == x.shape


def test_sides_that_doubling_cannot_reach_are_refused() -> None:
    with pytest.raises(ValueError, match="divisible by 4, got 30x28"):
        Decoder((1, 30, 28), 8, 4)


def test_autocast_leaves_float32_outside() -> None:
    x = torch.rand(2, 1, 8, 8)
    encoder, decoder = Encoder((1, 8, 8), 4, 4, codes="gaussians"), Decoder((1, 8, 8), 4, 4)
    with torch.autocast("cpu", torch.bfloat16):
        posterior = encoder(x)
        assert {posterior.mean.dtype, posterior.std.dtype, decoder(posterior.mean).dtype} == {torch.float32}
