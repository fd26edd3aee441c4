"""What recipes can ask of P-RAE and D-RAE beyond the paper."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from training.networks import Encoder
from training.objectives import Objective
from training.objectives.queue import Queue

MakeObjective = Callable[..., Objective]


def images(count: int = 12, seed: int = 3) -> Tensor:
    return torch.rand(count, 1, 8, 8, generator=torch.Generator().manual_seed(seed))


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(7)


def test_a_queue_joins_the_last_rows_to_the_batch() -> None:
    queue, past = Queue(7, 2), []
    for step in range(5):
        batch = torch.full((3, 2), float(step))
        expected = torch.cat([batch, *[row[None] for row in past[:7]]])
        assert torch.equal(queue.join(batch), expected)
        past = [*batch, *past]
    queue.eval()
    before = queue.join(torch.zeros(1, 2))
    assert torch.equal(queue.join(torch.zeros(1, 2)), before)  # evaluation leaves no trace


def test_a_queue_smaller_than_a_batch_keeps_its_first_rows() -> None:
    queue = Queue(2, 1)
    queue.join(torch.tensor([[1.0], [2.0], [3.0]]))
    assert queue.join(torch.tensor([[9.0]])).flatten().tolist() == [9.0, 1.0, 2.0]


def test_gradient_flows_to_the_batch_alone() -> None:
    queue = Queue(4, 1)
    first, second = (torch.ones(2, 1, requires_grad=True) for _ in range(2))
    queue.join(first)
    queue.join(second).sum().backward()
    assert first.grad is None
    assert second.grad.tolist() == [[1.0], [1.0]]


def test_with_a_queue_the_distance_is_that_of_both_batches(make_objective: MakeObjective) -> None:
    queued, plain = make_objective("drae", queue=12), make_objective("drae")
    first, second = images(12, 1), images(12, 2)
    queued.encode(first, generator())
    distance = queued.encode(second, generator())[1]()
    codes = torch.cat([plain.autoencoder.encode(x).mean for x in (second, first)])
    torch.testing.assert_close(distance, plain.distance(codes, generator()))


def test_noise_on_codes_is_relative_to_their_spread(make_objective: MakeObjective) -> None:
    x = images(4000)
    with torch.no_grad():
        noisy, _ = make_objective("drae", code_noise=0.2).encode(x, generator())
        plain, _ = make_objective("drae").encode(x, generator())
    noise = noisy - plain
    torch.testing.assert_close(noise.std(0), 0.2 * plain.std(0), rtol=0.06, atol=0)  # five standard errors
    assert noise.mean(0).abs().max() < 5 * 0.2 * plain.std(0).max() / 4000**0.5
    assert torch.corrcoef(torch.cat([noise, plain], 1).T)[:3, 3:].abs().max() < 0.08  # five standard errors


@pytest.mark.parametrize("codes", ["points", "gaussians"])
def test_standardised_codes_have_moments_0_and_1_in_training_and_in_evaluation(codes: str) -> None:
    encoder = Encoder((1, 8, 8), 3, 2, codes=codes, standardise=True)
    x = images(500)

    def means() -> Tensor:
        return encoder(x).mean.detach()

    torch.testing.assert_close(means().mean(0), torch.zeros(3), rtol=0, atol=1e-5)
    torch.testing.assert_close(means().std(0, correction=0), torch.ones(3), rtol=1e-2, atol=0)
    for _ in range(100):  # for the running moments to arrive
        means()
    encoder.eval()
    torch.testing.assert_close(means().mean(0), torch.zeros(3), rtol=0, atol=1e-2)
    torch.testing.assert_close(means().std(0), torch.ones(3), rtol=2e-2, atol=0)


def test_a_queue_is_part_of_the_methods_own_state(make_objective: MakeObjective) -> None:
    one, two = make_objective("drae", queue=20), make_objective("drae", queue=20)
    one.encode(images(12, 1), generator())
    two.load_own_state(one.own_state())
    assert int(two.queue.filled) == 12
    values = [objective.encode(images(12, 2), generator())[1]() for objective in (one, two)]
    assert torch.equal(*values)
    assert not any(name.startswith("autoencoder") for name in one.own_state())
