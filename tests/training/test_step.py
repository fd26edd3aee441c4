"""One step on a GPU: what it asks of the host, what a broken one leaves, and a recorded one against the eager."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import training.loop
from relatent import solver
from relatent.validation import NonFiniteError
from tests.relatent.counting import Counted, counted
from training.config import TrainConfig
from training.image_task import ImageTask
from training.objectives import OBJECTIVES, Objective, Terms
from training.objectives.queue import Queue
from training.run_folder import load_checkpoint
from training.step import WARM_UP, Adam, Step
from training.watch import BrokenStepError, Waiting

MakeConfig = Callable[..., TrainConfig]


class FakeGenerator(torch.Generator):
    """Says that it lives on a GPU, where there is none."""

    device = torch.device("cuda", 0)


def on_fake_gpu(objective: Objective) -> Objective:
    for module in objective.modules():
        for name, weight in module._parameters.items():
            if weight is not None:
                moved = torch.empty_strided(weight.shape, weight.stride(), device="cuda")
                module._parameters[name] = nn.Parameter(moved, requires_grad=weight.requires_grad)
        for name, kept in module._buffers.items():
            if kept is not None:
                module._buffers[name] = torch.empty(kept.shape, dtype=kept.dtype, device="cuda")
    return objective


@pytest.mark.parametrize("method", OBJECTIVES)
def test_a_step_does_not_look_at_the_host(
    make_objective: Callable[..., Objective], monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    monkeypatch.setattr("training.objectives.prae.beside", lambda work, _: work)  # no device, no streams
    objective = make_objective(method)
    with counted() as forward:
        images = torch.empty(20, 1, 8, 8, device="cuda").contiguous(memory_format=torch.channels_last)
        loss, terms = on_fake_gpu(objective)(images, FakeGenerator())
        watch = Waiting(torch.optim.Adam([nn.Parameter(loss.detach())]))
        watch.note(Terms(loss=loss.detach(), **terms))
        with Counted() as watching:
            watch.note(Terms(loss=loss.detach(), **terms))
    looks = 1 if method == "prae" else 0  # its solver works on the host
    if method != "prae" or solver() == "compiled":
        assert (forward.looks, objective.is_capturable()) == (looks, not looks)
    assert (watching.looks, watching.values_read) == (0, 0)
    assert 0 < watching.total <= 10


def terms(**values: float) -> Terms:
    return Terms({name: torch.tensor(value) for name, value in values.items()})


def test_a_broken_step_and_all_after_it_are_skipped_and_named() -> None:
    weight = nn.Parameter(torch.ones(3))
    adam = torch.optim.Adam([weight], lr=0.1, fused=True)
    watch = Waiting(adam)
    seen = []
    for loss in (1.0, 2.0, torch.nan, 3.0, torch.inf, 4.0):
        weight.grad = torch.ones(3)
        watch.note(terms(loss=loss, distance=5.0))
        adam.step()
        seen.append(weight.detach().clone())
    assert not torch.equal(seen[0], seen[1])
    assert all(torch.equal(later, seen[1]) for later in seen[2:])
    with pytest.raises(
        BrokenStepError, match=r"expected finite values, got \{'loss': nan\} \(all terms: .*'distance': 5.0"
    ) as caught:
        watch.read()
    assert caught.value.ago == 3


def test_sound_steps_read_as_their_last() -> None:
    watch = Waiting(torch.optim.Adam([nn.Parameter(torch.ones(1))]))
    assert watch.read() == {}
    for loss in (1.0, 2.0):
        watch.note(terms(loss=loss))
    assert watch.read() == watch.read() == {"loss": 2.0}
    watch.note(terms(loss=3.0, tie=1.5))  # a batch that has something more to tell
    assert watch.read() == {"loss": 3.0, "tie": 1.5}


class Fused(Adam):
    """As on a GPU, on the CPU."""

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        for group in self.param_groups:
            group["fused"] = True


@pytest.fixture
def as_on_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """A loop that reads the terms of its steps when a line is logged or a checkpoint written."""
    monkeypatch.setattr("training.loop.Adam", Fused)
    monkeypatch.setattr("training.step.watch_of", lambda adam, _: Waiting(adam))


def train(config: TrainConfig, **arguments: bool) -> dict[str, Any]:
    checkpoint = load_checkpoint(
        training.loop.run(ImageTask(config, ImageTask.load(config.data, seed=config.seed)), **arguments)
    )
    assert checkpoint is not None
    return checkpoint


@pytest.mark.usefixtures("as_on_a_gpu")
def test_a_run_stops_at_the_next_reading_and_names_the_step(
    make_config: MakeConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    good = train(make_config(method="ae", epochs=1))  # four steps
    decode, calls = training.autoencoder.Autoencoder.decode, []

    def poisoned(model: Any, z: Tensor) -> Tensor:
        calls.append(1)
        return decode(model, z) * (torch.inf if len(calls) == 2 else 1)

    monkeypatch.setattr("training.autoencoder.Autoencoder.decode", poisoned)
    config = make_config(method="ae", epochs=3)
    with pytest.raises(
        NonFiniteError, match=r"^step 5: expected finite values, got .*'reconstruction'.* keeps its last"
    ):
        train(config, resume=True)
    assert len(calls) == 4  # it was known at the end of the epoch
    kept = load_checkpoint(config.run_dir)
    assert kept is not None
    assert kept["step"] == 4
    assert all(torch.equal(kept["model"][name], value) for name, value in good["model"].items())


def test_no_checkpoint_holds_a_weight_that_is_not_finite(
    make_config: MakeConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    step = Adam.step

    def overflow(adam: Adam, *given: Any) -> None:
        step(adam, *given)
        adam.param_groups[0]["params"][0].data.fill_(torch.inf)

    monkeypatch.setattr(Adam, "step", overflow)
    monkeypatch.setattr("training.loop.CHECKPOINT_EVERY", 0.0)
    config = make_config(method="ae")
    with pytest.raises(NonFiniteError, match=r"step 1: expected finite weights, got others in .*encoder.features.0"):
        train(config)
    assert load_checkpoint(config.run_dir) is None


@pytest.mark.usefixtures("as_on_a_gpu")
def test_what_a_fused_adam_saves_a_plain_one_goes_on_with(
    make_config: MakeConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = make_config(method="drae", recipe="relatent", refit="none", epochs=2, prior_decay=False)
    saved = train(make_config(method="drae", recipe="relatent", refit="none", epochs=1, prior_decay=False))
    assert {group["fused"] for group in saved["optimizer"]["param_groups"]} == {None}
    monkeypatch.undo()
    assert train(config, resume=True)["step"] == 8


def test_a_queue_is_steady_once_it_is_full() -> None:
    queue = Queue(5, 2)
    for _ in range(2):
        assert not queue.is_steady
        queue.join(torch.ones(3, 2))
    assert queue.is_steady
    again = Queue(5, 2)
    again.join(torch.ones(1, 2))
    again.load_state_dict(queue.state_dict())
    assert again.join(torch.ones(3, 2)).shape == (8, 2)
    assert Queue(0, 2).is_steady


def steps(config: TrainConfig, count: int, *, capture: bool) -> tuple[list[dict[str, float]], Step]:
    """Terms of a run's first steps on a GPU."""
    task, fabric = (
        ImageTask(config, ImageTask.load(config.data, seed=config.seed)),
        training.loop.make_fabric(config.machine),
    )
    adam = Adam(task.method.parameter_groups(config.optimizer), betas=(0.5, 0.999), device=fabric.device)
    objective, optimizer = fabric.setup(task.method, adam)
    one, found = Step(fabric, objective, optimizer, adam, task.method, capture=capture), []
    for step in range(count):
        one.generator.manual_seed(step)
        one.take(task.batch(step, fabric.device))
        found.append(one.watch.read())
    return found, one


CAPTURED = [method for method in OBJECTIVES if method != "prae"]


@pytest.mark.gpu
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("method", CAPTURED)
def test_a_recorded_step_is_the_eager_one(make_config: MakeConfig, method: str, precision: str) -> None:
    config = make_config(method=method, recipe="paper", accelerator="cuda", precision=precision)
    eager, _ = steps(config, WARM_UP + 9, capture=False)
    recorded, one = steps(config, WARM_UP + 9, capture=True)
    assert one.is_captured
    for ours, theirs in zip(recorded, eager, strict=True):
        assert ours == pytest.approx(theirs, rel=2e-2 if precision == "bfloat16" else 2e-3)


@pytest.mark.gpu
def test_a_recorded_run_knows_a_broken_step(make_config: MakeConfig) -> None:
    config = make_config(method="ae", accelerator="cuda")
    _, one = steps(config, WARM_UP + 2, capture=True)
    assert one.is_captured
    batch = ImageTask(config, ImageTask.load(config.data, seed=config.seed)).batch(0, torch.device("cuda"))
    one.take(batch * torch.inf)
    one.take(batch)
    with pytest.raises(BrokenStepError) as caught:
        one.watch.read()
    assert caught.value.ago == 1


@pytest.mark.gpu
@pytest.mark.parametrize("method", ["drae", "prae"])
def test_a_run_on_a_gpu_resumes_here_and_there(make_config: MakeConfig, tmp_path: Path, method: str) -> None:
    whole = train(make_config(method=method, recipe="paper", accelerator="cuda", out=tmp_path / "whole"))
    train(make_config(method=method, recipe="paper", accelerator="cuda", epochs=1, out=tmp_path / "parts"))
    parts = train(make_config(method=method, recipe="paper", accelerator="cuda", out=tmp_path / "parts"), resume=True)
    for name, value in whole["model"].items():
        torch.testing.assert_close(parts["model"][name], value, rtol=1e-2, atol=1e-3)
    train(make_config(method=method, recipe="paper", accelerator="cpu", epochs=4, out=tmp_path / "parts"), resume=True)
