from collections.abc import Callable

import numpy as np
import pytest
import torch
from sklearn.cross_decomposition import CCA
from torch import Tensor

from readers.views_data import Batch, ViewsData
from relatent import Gaussian, hierarchical_gw
from training.multiview.config import CotrainConfig
from training.multiview.objective import CoObjective, relative
from training.multiview.task import CotrainTask
from training.multiview.ties import Codes, canonical_correlations, known_gw, matched

MakeCotrain = Callable[..., CotrainConfig]
METHODS = ("independent", "coreg", "cca", "w", "gw")


def _task(config: CotrainConfig, data: ViewsData) -> tuple[CoObjective, Batch]:
    task = CotrainTask(config, data)
    batch = task.batch(0, torch.device("cpu"))
    return task.method, batch


def _loss(method: CoObjective, batch: Batch) -> Tensor:
    return method(batch, torch.Generator().manual_seed(3))[0]


@pytest.mark.parametrize("codes", ["gaussians", "points"])
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("recipe", ["paper", "relatent"])
def test_gradients_against_central_differences(
    make_cotrain: MakeCotrain, three_views: ViewsData, method: str, codes: str, recipe: str
) -> None:
    config = make_cotrain(method=method, codes=codes, recipe=recipe, prior=("mixture",), gamma=50.0)
    objective, batch = _task(config, three_views)
    objective.double()
    batch = {name: rows._replace(x=rows.x.double()) for name, rows in batch.items()}
    generator = torch.Generator().manual_seed(0)
    learned = [parameter for parameter in objective.parameters() if parameter.requires_grad]
    directions = [torch.randn(p.shape, generator=generator, dtype=p.dtype) for p in learned]
    _loss(objective, batch).backward()
    slope = sum((p.grad * d).sum().item() for p, d in zip(learned, directions, strict=True) if p.grad is not None)
    step, values = 1e-6, []
    for sign in (1, -1):
        with torch.no_grad():
            for parameter, direction in zip(learned, directions, strict=True):
                parameter += sign * step * direction
            values.append(_loss(objective, batch).item())
            for parameter, direction in zip(learned, directions, strict=True):
                parameter -= sign * step * direction
    # The plans of training are solved loosely (2e-2), by which the envelope theorem's gradient is off.
    assert (values[0] - values[1]) / (2 * step) == pytest.approx(slope, rel=2e-2, abs=1e-2 * abs(values[0]))


@pytest.mark.parametrize("codes", ["gaussians", "points"])
@pytest.mark.parametrize("method", METHODS)
def test_the_order_of_views_does_not_matter(
    make_cotrain: MakeCotrain, three_views: ViewsData, method: str, codes: str
) -> None:
    objective, batch = _task(make_cotrain(method=method, codes=codes), three_views)
    turned = three_views._replace(train={name: three_views.train[name] for name in ("wide", "near", "far")})
    other, turned_batch = _task(make_cotrain(method=method, codes=codes), turned)
    assert list(turned_batch) == ["wide", "near", "far"]
    assert _loss(objective, batch) == _loss(other, turned_batch)


@pytest.mark.parametrize("pairs", ["paired", "unpaired"])
def test_the_gw_of_an_isometric_copy_is_nothing(make_cotrain: MakeCotrain, two_views: ViewsData, pairs: str) -> None:
    objective, _ = _task(make_cotrain(method="gw", pairs=pairs, recipe="paper"), two_views)
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(30, 3, generator=generator)
    rotation = torch.linalg.qr(torch.randn(3, 3, generator=generator)).Q
    std = torch.full((30, 3), 0.2)
    a = Codes(Gaussian(x, std), torch.arange(30))
    b = Codes(Gaussian(x @ rotation + 4, std), torch.arange(30))
    longer = Codes(Gaussian(torch.cat([x @ rotation, torch.zeros(30, 2)], 1), torch.full((30, 5), 0.2)), a.objects)
    scale = torch.cdist(x, x).pow(4).mean().item()
    for copy in (b, longer):
        tie = objective.tie(a, copy, generator)
        assert tie is not None
        # Training solves for plans loosely; the standard deviations of the longer copy add no distances.
        assert tie.item() == pytest.approx(0, abs=(1e-2 if pairs == "unpaired" else 1e-5) * scale)


def test_the_known_coupling_is_a_double_sum_and_bounds_the_optimum() -> None:
    generator = torch.Generator().manual_seed(0)
    x, y = (Gaussian(torch.randn(12, d, generator=generator), torch.rand(12, d, generator=generator)) for d in (2, 4))
    a, b = (torch.cdist(*2 * (gaussian.points(),)).square() for gaussian in (x, y))
    assert known_gw(x, y).item() == pytest.approx((a - b).square().mean().item(), rel=1e-4)
    assert known_gw(x, y) >= hierarchical_gw(x, y) - 1e-4


def test_relative_codes_have_unit_spread_and_forget_scale_and_place() -> None:
    codes = Codes(Gaussian(torch.randn(20, 3, generator=torch.Generator()), torch.full((20, 3), 0.1)), torch.arange(20))
    one = relative(codes).gaussian
    assert (one.mean.square() + one.std.square()).sum(1).mean().item() == pytest.approx(1)
    scaled = Codes(Gaussian(7 * codes.gaussian.mean - 3, 7 * codes.gaussian.std), codes.objects)
    torch.testing.assert_close(relative(scaled).gaussian, one)


def test_canonical_correlations_are_scikit_learns() -> None:
    generator = np.random.default_rng(0)
    x = generator.normal(size=(200, 4))
    y = x @ generator.normal(size=(4, 3)) + 2 * generator.normal(size=(200, 3))
    u, v = CCA(n_components=3, max_iter=5000, tol=1e-12).fit(x, y).transform(x, y)
    theirs = [np.corrcoef(u[:, i], v[:, i])[0, 1] for i in range(3)]
    ours = canonical_correlations(torch.from_numpy(x), torch.from_numpy(y), ridge=0.0)
    np.testing.assert_allclose(ours.numpy(), theirs, rtol=1e-5)


def test_rows_are_matched_by_their_objects() -> None:
    gaussian = Gaussian(torch.zeros(3, 1), torch.zeros(3, 1))
    first, second = matched(Codes(gaussian, torch.tensor([5, 2, 9])), Codes(gaussian, torch.tensor([9, 5, 4])))
    assert sorted(zip(first.tolist(), second.tolist(), strict=True)) == [(0, 1), (2, 0)]


def test_the_tie_of_two_views_counts_twice_and_of_three_thrice(
    make_cotrain: MakeCotrain, two_views: ViewsData, three_views: ViewsData, monkeypatch: pytest.MonkeyPatch
) -> None:
    for data, count in ((two_views, 2), (three_views, 3)):
        losses = []
        for tau in (0.0, 1.0):
            objective, batch = _task(
                make_cotrain(method="gw", gamma=5.0, tau=tau, pairs="unpaired", recipe="paper"), data
            )
            monkeypatch.setattr(objective, "tie", lambda *_: torch.tensor(1.0))
            monkeypatch.setattr(objective, "distance", lambda *_: torch.tensor(0.0))
            losses.append(_loss(objective, batch).item())
        assert losses[1] - losses[0] == pytest.approx(5.0 * count, rel=1e-3)


@pytest.mark.parametrize("method", METHODS)
def test_a_batch_without_pairs_or_without_a_view_has_a_loss(
    make_cotrain: MakeCotrain, two_views: ViewsData, method: str
) -> None:
    objective, batch = _task(make_cotrain(method=method), two_views)
    apart = batch | {"far": batch["far"]._replace(objects=batch["far"].objects + 1000)}
    for held in (apart, {"near": batch["near"]}, batch | {"far": batch["far"].take(torch.arange(1))}):
        loss = _loss(objective, held)
        loss.backward()
        assert loss.isfinite()
