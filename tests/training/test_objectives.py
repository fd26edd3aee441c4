import multiprocessing
from pathlib import Path

import pytest
import torch
import torch.distributed as dist

from training.autoencoder import Autoencoder
from training.config import ModelConfig, RegularizerConfig, TrainConfig
from training.distributed import own_rows
from training.gaussian import Gaussian
from training.objectives import OBJECTIVES, Objective

SHAPE = (1, 8, 8)


def make_objective(method: str, *, covariance: str = "diagonal", **regularizer: float) -> Objective:
    model = ModelConfig(method=method, width=2, latent_size=3, components=4, covariance=covariance)
    config = TrainConfig(recipe="paper", model=model, regularizer=RegularizerConfig(**regularizer))
    autoencoder = Autoencoder(SHAPE, config.model, seed=0)
    for module in autoencoder.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.eval()  # its statistics couple the rows of a batch
    return OBJECTIVES[method](autoencoder, config.regularizer)


def images(count: int = 12) -> torch.Tensor:
    return torch.rand(count, *SHAPE, generator=torch.Generator().manual_seed(3))


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(7)


@pytest.mark.parametrize("method", ["prae", "drae"])
def test_the_loss_is_the_summed_error_plus_gamma_times_the_distance(method: str) -> None:
    x = images()
    loss, terms = make_objective(method, gamma=2.5)(x, generator())
    expected = len(x) * terms["reconstruction"] + 2.5 * terms["distance"]
    torch.testing.assert_close(loss.detach(), expected)


def test_without_noise_or_distance_it_is_a_plain_autoencoder() -> None:
    objective, x = make_objective("drae", gamma=0.0), images()
    z = objective.autoencoder.encoder(x)
    loss, _ = objective(x, generator())
    expected = sum(((objective.autoencoder.decoder(z[i : i + 1])[0] - x[i]) ** 2).sum() for i in range(len(x)))
    torch.testing.assert_close(loss, expected)


@pytest.mark.parametrize("method", ["prae", "drae"])
def test_the_distance_moves_prior_and_encoder_but_not_the_decoder(method: str) -> None:
    objective = make_objective(method)
    _, distance = objective.encode(images(), generator())
    distance.backward()
    autoencoder = objective.autoencoder
    assert autoencoder.prior.mean.grad.abs().sum() > 0
    assert autoencoder.prior.log_variance.grad.abs().sum() > 0
    assert autoencoder.encoder.mean.weight.grad.abs().sum() > 0
    assert all(parameter.grad is None for parameter in autoencoder.decoder.parameters())


@pytest.mark.parametrize("method", ["prae", "drae"])
def test_autocast_leaves_the_distance_in_float32(method: str) -> None:
    objective, z = make_objective(method), torch.randn(12, 3, generator=generator())
    # Codes that bfloat16 cannot tell apart: only float32 arithmetic sees the distance between them.
    objective.autoencoder.encoder.forward = lambda x: (
        Gaussian(1000 + z * 0.1, z.abs() * 0.1) if method == "prae" else 1000 + z * 0.1
    )
    _, plain = objective.encode(images(), generator())
    with torch.autocast("cpu", torch.bfloat16):
        _, mixed = objective.encode(images(), generator())
    torch.testing.assert_close(plain, mixed)


def test_codes_are_drawn_from_the_posterior() -> None:
    objective = make_objective("prae")
    x = images(1)
    with torch.no_grad():
        z, _ = objective.encode(x.expand(1000, *SHAPE), generator())
        mean, std = (row[0] for row in objective.autoencoder.encoder(x))
    error = (z.mean(0) - mean) / (std / 1000**0.5)
    assert error.abs().max() < 5  # standard errors
    torch.testing.assert_close(z.std(0), std, rtol=0.12, atol=0)  # five standard errors


def _gradients(objective: Objective, x: torch.Tensor) -> list[torch.Tensor]:
    loss, _ = objective(x, generator())
    loss.backward()
    return [parameter.grad for parameter in objective.parameters()]


def _worker(rank: int, store: str, method: str, out: str) -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{store}", rank=rank, world_size=2)
    gradients = _gradients(make_objective(method, gamma=3.0), own_rows(images()))
    for gradient in gradients:  # what DDP does
        dist.all_reduce(gradient)
        gradient /= 2
    if rank == 0:
        torch.save(gradients, out)
    dist.destroy_process_group()


@pytest.mark.slow
@pytest.mark.parametrize("method", ["prae", "drae"])
def test_two_processes_have_the_gradient_of_one(method: str, tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    arguments = (str(tmp_path / "store"), method, str(tmp_path / "gradients.pt"))
    workers = [context.Process(target=_worker, args=(rank, *arguments)) for rank in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(timeout=120)
        assert worker.exitcode == 0
    together = torch.load(tmp_path / "gradients.pt", weights_only=True)
    for one, two in zip(_gradients(make_objective(method, gamma=3.0), images()), together, strict=True):
        torch.testing.assert_close(one, two, rtol=1e-4, atol=1e-4)
