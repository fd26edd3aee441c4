"""Pictures of co-trained runs."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from readers.views_data import ViewsData, views_from_arrays
from training.multiview.config import CotrainConfig
from training.multiview.pictures import principal_components, save_pictures
from training.multiview.task import CotrainTask

MakeCotrain = Callable[..., CotrainConfig]


def test_principal_components_of_a_plane_are_a_turn_of_it() -> None:
    generator = torch.Generator().manual_seed(0)
    plane = torch.randn(40, 2, generator=generator) * torch.tensor([3.0, 1.0])
    turn, _ = torch.linalg.qr(torch.randn(5, 5, generator=generator))
    found = principal_components(plane @ turn[:2] + 7)
    torch.testing.assert_close(torch.pdist(found), torch.pdist(plane), atol=1e-4, rtol=1e-4)
    assert found.var(0)[0] > found.var(0)[1]
    torch.testing.assert_close(found.T.cov()[0, 1], torch.tensor(0.0), atol=1e-4, rtol=0)
    line = torch.arange(4.0)[:, None]
    assert principal_components(line).abs().tolist() == [[1.5, 0], [0.5, 0], [0.5, 0], [1.5, 0]]


@pytest.mark.parametrize("labels", [None, [0, 1, 2] * 20])
def test_each_class_has_one_colour_in_all_panels(
    make_cotrain: MakeCotrain, tmp_path: Path, labels: list | None
) -> None:
    rows = np.random.default_rng(0).random((60, 1, 8, 8))
    data = views_from_arrays({"a": rows[:, 0, 0], "b": rows}, labels=labels)
    model = CotrainTask(make_cotrain(latent_size=(2,), width=(1,)), data).model.eval()
    codes, reconstructions = save_pictures(tmp_path / "pictures", model, data)
    panels = np.asarray(Image.open(codes).convert("RGB"))
    halves = [panels[50:330, :400], panels[50:330, 400:]]
    shown = [{tuple(colour) for colour in half[np.ptp(half, 2) > 60].tolist()} for half in halves]
    assert shown[0]
    if labels:
        assert len(shown[0] & shown[1]) >= 2
    # Six test objects: a row of images, a row of reconstructions, and borders of one pixel.
    assert Image.open(reconstructions).size == (6 * 9 + 1, 2 * 9 + 1)


def test_objects_that_the_first_view_does_not_know_are_shown_without_colour(
    make_cotrain: MakeCotrain, tmp_path: Path
) -> None:
    rows = np.random.default_rng(0).random((2, 40, 3))
    ids = {"a": list(range(40)), "b": list(range(40, 80))}
    data: ViewsData = views_from_arrays({"a": rows[0], "b": rows[1]}, ids=ids)
    model = CotrainTask(make_cotrain(pairs="unpaired"), data).model.eval()
    (codes,) = save_pictures(tmp_path, model, data)
    right = np.asarray(Image.open(codes).convert("RGB"))[50:330, 400:]
    assert (np.ptp(right, 2) == 0).all()
    assert right.min() < 200
