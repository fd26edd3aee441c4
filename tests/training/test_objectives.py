"""What all methods share: the sum, what moves, precision, several processes."""

import multiprocessing
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import torch.distributed as dist

from relatent import Gaussian
from training.config import ModelConfig, OptimizerConfig, TrainConfig
from training.distributed import own_rows
from training.methods import METHODS
from training.objectives import OBJECTIVES, Objective

MakeObjective = Callable[..., Objective]
RAES = pytest.mark.parametrize("method", ["prae", "drae"])


def images(count: int = 12) -> torch.Tensor:
    return torch.rand(count, 1, 8, 8, generator=torch.Generator().manual_seed(3))


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(7)


def test_every_method_is_listed_everywhere() -> None:
    named = ModelConfig.model_fields["method"].annotation.__args__
    assert list(named) == list(METHODS) == list(OBJECTIVES)


@pytest.mark.parametrize("method", OBJECTIVES)
def test_the_loss_is_the_summed_error_plus_gamma_times_the_regularizer(make_objective: MakeObjective, method) -> None:
    x = images()
    loss, terms = make_objective(method, gamma=2.5)(x, generator())
    expected = len(x) * terms["reconstruction"] + 2.5 * terms["distance"]
    torch.testing.assert_close(loss.detach(), expected)
    assert (terms["distance"] == 0) == (method == "ae")


@pytest.mark.parametrize(("method", "gamma"), [("drae", 0.0), ("ae", 1.0)])
def test_without_noise_or_distance_it_is_a_plain_autoencoder(make_objective: MakeObjective, method, gamma) -> None:
    objective, x = make_objective(method, gamma=gamma), images()
    z = objective.autoencoder.encode(x).mean
    loss, _ = objective(x, generator())
    expected = sum(((objective.autoencoder.decoder(z[i : i + 1])[0] - x[i]) ** 2).sum() for i in range(len(x)))
    torch.testing.assert_close(loss, expected)


@pytest.mark.parametrize("method", [method for method in OBJECTIVES if method != "ae"])
def test_the_regularizer_moves_encoder_and_learned_prior_but_not_the_decoder(
    make_objective: MakeObjective, method: str
) -> None:
    objective = make_objective(method)
    if method == "vampprior":
        torch.nn.init.uniform_(objective.pseudo_inputs)
    distance = objective.encode(images(), generator())[1]()
    distance.backward()
    autoencoder = objective.autoencoder
    moved = [parameter.grad is not None for parameter in autoencoder.prior.parameters()]
    assert all(moved) if METHODS[method].prior == "learned" else not any(moved)
    assert autoencoder.encoder.mean.weight.grad.abs().sum() > 0
    assert all(parameter.grad is None for parameter in autoencoder.decoder.parameters())
    if method == "vampprior":
        assert (objective.pseudo_inputs.grad.abs().sum((1, 2, 3)) > 0).all()


@pytest.mark.parametrize("covariance", ["diagonal", "full"])
@pytest.mark.parametrize("method", ["gmvae", "prae", "wae", "swae", "drae"])
def test_autocast_leaves_the_regularizer_in_float32(make_objective: MakeObjective, method, covariance) -> None:
    objective, z = make_objective(method, covariance=covariance), torch.randn(12, 3, generator=generator())
    # Codes that bfloat16 cannot tell apart: only float32 arithmetic sees the distance between them.
    objective.autoencoder.encoder.forward = lambda x: Gaussian(
        1000 + z * 0.1, z.abs() * 0.1 if METHODS[method].codes == "gaussians" else 0 * z
    )
    plain = objective.encode(images(), generator())[1]()
    with torch.autocast("cpu", torch.bfloat16):
        mixed = objective.encode(images(), generator())[1]()
    torch.testing.assert_close(plain, mixed)


@pytest.mark.parametrize("method", ["vae", "gmvae", "vampprior", "prae"])
def test_codes_are_drawn_from_the_posterior(make_objective: MakeObjective, method: str) -> None:
    objective = make_objective(method)
    x = images(1)
    with torch.no_grad():
        z, _ = objective.encode(x.expand(1000, 1, 8, 8), generator())
        mean, std = (row[0] for row in objective.autoencoder.encoder(x))
    error = (z.mean(0) - mean) / (std / 1000**0.5)
    assert error.abs().max() < 5  # standard errors
    torch.testing.assert_close(z.std(0), std, rtol=0.12, atol=0)  # five standard errors


@pytest.mark.parametrize("method", OBJECTIVES)
def test_the_optimizer_gets_every_parameter_once_and_the_prior_its_own_rate(
    make_objective: MakeObjective, method: str
) -> None:
    objective = make_objective(method)
    config = TrainConfig(
        optimizer=OptimizerConfig(learning_rate=0.25, prior_speed=2.0, prior_decay=True, decay=0.25)
    ).optimizer
    groups = objective.parameter_groups(config)
    rates = {id(parameter): (group["lr"], group["decay"]) for group in groups for parameter in group["params"]}
    assert sum(len(group["params"]) for group in groups) == len(rates)  # no parameter twice
    learned = {id(parameter) for parameter in objective.parameters() if parameter.requires_grad}
    assert set(rates) == learned
    prior = {id(parameter) for parameter in objective.autoencoder.prior.parameters()} & learned
    assert bool(prior) == (METHODS[method].prior == "learned")
    assert {rates[key] for key in prior} <= {(0.5, 1.0)}
    assert {rates[key] for key in learned - prior} == {(0.25, 0.25)}


def _gradients(objective: Objective, x: torch.Tensor) -> list[torch.Tensor]:
    for _ in range(2):  # the second time a queue holds the first batch
        objective.zero_grad()
        loss, _ = objective(x, generator())
        loss.backward()
    return [parameter.grad for parameter in objective.parameters() if parameter.requires_grad]


def _worker(rank: int, store: str, objectives: list[Objective], out: str) -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{store}", rank=rank, world_size=2)
    found = [_gradients(objective, own_rows(images())) for objective in objectives]
    for gradient in [gradient for gradients in found for gradient in gradients]:  # what DDP does
        dist.all_reduce(gradient)
        gradient /= 2
    if rank == 0:
        torch.save(found, out)
    dist.destroy_process_group()


@pytest.mark.slow
def test_two_processes_have_the_gradient_of_one(make_objective: MakeObjective, tmp_path: Path) -> None:
    """Of all methods in one pair of processes, since those take longer to start than to compute."""
    cases: list[tuple[str, dict[str, object]]] = [
        ("prae", {}),
        ("drae", {}),
        ("drae", {"queue": 8, "code_noise": 0.3, "covariance": "full"}),
        ("gmvae", {}),
        ("vampprior", {}),
        ("wae", {}),
    ]

    def made(method: str, settings: dict[str, object]) -> Objective:
        objective = make_objective(method, gamma=3.0, **settings)
        if method == "vampprior":
            torch.nn.init.uniform_(objective.pseudo_inputs, generator=generator())
        return objective

    context = multiprocessing.get_context("spawn")
    arguments = (str(tmp_path / "store"), [made(*case) for case in cases], str(tmp_path / "gradients.pt"))
    workers = [context.Process(target=_worker, args=(rank, *arguments)) for rank in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(timeout=240)
        assert worker.exitcode == 0
    found = torch.load(tmp_path / "gradients.pt", weights_only=True)
    for case, together in zip(cases, found, strict=True):
        for one, two in zip(_gradients(made(*case), images()), together, strict=True):
            torch.testing.assert_close(one, two, rtol=1e-4, atol=1e-4, msg=lambda text, case=case: f"{case}: {text}")
