import json
import math
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor

from readers.errors import DataError
from readers.image_data import ImageData
from relatent.validation import NonFiniteError
from training import loop
from training.config import TrainConfig
from training.image_task import ImageTask
from training.methods import METHODS
from training.run_folder import RunError, load_checkpoint, read_config
from training.runs import load_run

ROOT = Path(__file__).parents[2]
MakeConfig = Callable[..., TrainConfig]


def train(config: TrainConfig, data: ImageData, *, resume: bool = False) -> Path:
    return loop.run(ImageTask(config, data), resume=resume)


def run(config: TrainConfig, **arguments: bool) -> dict[str, Tensor]:
    checkpoint = load_checkpoint(train(config, ImageTask.load(config.data, seed=config.seed), **arguments))
    assert checkpoint is not None
    return checkpoint["model"]


def same(one: dict[str, Tensor], two: dict[str, Tensor]) -> bool:
    return all(torch.equal(one[name], two[name]) for name in one.keys() | two.keys())


@pytest.mark.parametrize("method", METHODS)
def test_equal_runs_end_in_equal_weights_and_other_seeds_do_not(
    make_config: MakeConfig, tmp_path: Path, method: str
) -> None:
    one, two, other = (
        run(make_config(method=method, out=tmp_path / str(i), seed=seed)) for i, seed in enumerate((0, 0, 1))
    )
    assert same(one, two)
    assert not same(one, other)


def test_nothing_seeds_globally(make_config: MakeConfig) -> None:
    torch.manual_seed(123)
    before = torch.get_rng_state()
    run(make_config(epochs=1))
    assert torch.equal(before, torch.get_rng_state())


def test_training_beats_the_mean_image(make_config: MakeConfig) -> None:
    config = make_config(train_samples=1000, width=8, epochs=6, method="drae", recipe="paper")
    run(config)
    data = ImageTask.load(config.data, seed=config.seed)
    lines = [json.loads(line) for line in (config.run_dir / "log.jsonl").read_text().splitlines()]
    errors = [line["test_reconstruction"] for line in lines if "epoch" in line]
    mean_image = data.pixels(data.train).mean(0)
    assert len(errors) == 6
    assert errors[-1] < (data.pixels(data.test) - mean_image).square().sum((1, 2, 3)).mean() / 2


def test_going_on_gives_the_weights_of_an_unbroken_run(make_config: MakeConfig, tmp_path: Path) -> None:
    whole = run(make_config(epochs=3, refit="none", out=tmp_path / "whole"))
    run(make_config(epochs=1, refit="none", out=tmp_path / "parts"))
    parts = run(make_config(epochs=3, refit="none", out=tmp_path / "parts"), resume=True)
    assert same(whole, parts)


HOOKS = {
    "covariance": "full", "standardise": True, "queue": 80, "refit": "em",
    "prior_speed": 5.0, "prior_decay": True,
}  # fmt: skip


@pytest.mark.parametrize(
    ("method", "settings"),
    [("prae", HOOKS | {"warmup": 0.7}), ("drae", HOOKS | {"code_noise": 0.1}), ("vampprior", {}), ("ae", {})],
)
def test_whatever_a_method_keeps_a_stopped_run_goes_on_as_if_unbroken(
    make_config: MakeConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, method: str, settings: dict[str, object]
) -> None:
    whole = run(make_config(method=method, out=tmp_path / "whole", **settings))
    config = make_config(method=method, out=tmp_path / "parts", **settings)
    batch = ImageTask.batch
    with monkeypatch.context() as patch:
        patch.setattr("training.loop.CHECKPOINT_EVERY", 0.0)
        patch.setattr(ImageTask, "batch", lambda task, step, device: 1 / (step != 6) and batch(task, step, device))
        with pytest.raises(ZeroDivisionError):
            run(config)
    stopped = load_checkpoint(config.run_dir)
    assert stopped is not None
    assert stopped["step"] == 6
    if METHODS[method].prior == "fitted":
        with pytest.raises(RunError, match="expected a run that was ended, with a fitted prior"):
            load_run(config.run_dir).check_usable()
    assert same(whole, run(config, resume=True))


def test_the_priors_step_size_falls_along_a_cosine(make_config: MakeConfig) -> None:
    config = make_config(method="drae", prior_speed=4.0, prior_decay=True, learning_rate=0.01)
    checkpoint = load_checkpoint(train(config, ImageTask.load(config.data, seed=config.seed)))
    assert checkpoint is not None
    network, prior = checkpoint["optimizer"]["param_groups"]
    assert network["lr"] == 0.01
    last = 0.04 * (1 + math.cos(math.pi * 11 / 12)) / 2  # 12 steps, the last of which is 11 steps in
    assert prior["lr"] == pytest.approx(last)
    with pytest.raises(RunError, match="epochs: 3 there, 4 here"):  # the cosine's length is part of the run
        run(config.model_copy(update={"optimizer": config.optimizer.model_copy(update={"epochs": 4})}), resume=True)


def test_step_sizes_fall_at_the_end_of_a_run(make_config: MakeConfig) -> None:
    config = make_config(method="drae", decay=0.5, prior_speed=4.0, prior_decay=False, learning_rate=0.01)
    data = ImageTask.load(config.data, seed=config.seed)
    checkpoint = load_checkpoint(train(config, data))
    assert checkpoint is not None
    rates = [group["lr"] for group in checkpoint["optimizer"]["param_groups"]]
    last = (1 + math.cos(math.pi * 5 / 6)) / 2  # 12 steps: the half that falls has 6, the last of which is 5 steps in
    assert rates == [pytest.approx(0.01 * last), pytest.approx(0.04 * last)]
    with pytest.raises(RunError, match="epochs: 3 there, 4 here"):
        run(config.model_copy(update={"optimizer": config.optimizer.model_copy(update={"epochs": 4})}), resume=True)


def test_gamma_rises_at_the_beginning_of_a_run(make_config: MakeConfig) -> None:
    config = make_config(method="prae", warmup=0.5, gamma=30.0)
    run(config)
    task = ImageTask(config, ImageTask.load(config.data, seed=config.seed))
    batch, distances = task.batch(0, torch.device("cpu")), []
    for progress in (0.0, 0.125, 0.25, 0.5, 0.75):
        task.method.begin(progress)
        loss, terms = task.method(batch, torch.Generator().manual_seed(0))
        distances.append((loss.item() - terms["reconstruction"].item() * len(batch)) / terms["distance"].item())
    assert distances == pytest.approx([0.0, 7.5, 15.0, 30.0, 30.0], rel=1e-3, abs=1e-2)
    with pytest.raises(RunError, match="epochs: 3 there, 4 here"):
        run(config.model_copy(update={"optimizer": config.optimizer.model_copy(update={"epochs": 4})}), resume=True)


def test_a_fitted_prior_follows_the_codes(make_config: MakeConfig) -> None:
    config = make_config(method="ae", train_samples=500)
    run(config)
    loaded = load_run(config.run_dir)
    data = ImageTask.load(config.data, seed=config.seed)
    codes = loaded.model.only.encode_all(data.batches(data.train)).mean
    samples = loaded.model.only.prior.sample(20_000, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(samples.mean(0), codes.mean(0), rtol=0, atol=0.05 * codes.std().item())
    torch.testing.assert_close(samples.T.cov(), codes.T.cov(), rtol=0.1, atol=0.03 * codes.var(0).max().item())


def test_a_finished_run_can_be_refitted_and_trained_on(make_config: MakeConfig) -> None:
    plain = run(make_config(epochs=1, covariance="diagonal", refit="none"))
    refitted = run(make_config(epochs=1, covariance="diagonal", refit="moments"), resume=True)
    again = run(make_config(epochs=1, covariance="diagonal", refit="moments"), resume=True)
    assert {name for name in plain if not torch.equal(plain[name], refitted[name])} == {
        "views.image.prior.mean",
        "views.image.prior.log_variance",
    }
    assert same(refitted, again)  # once is enough
    assert not same(refitted, run(make_config(epochs=2, covariance="diagonal", refit="moments"), resume=True))


def test_the_configuration_is_there_before_the_first_step(
    make_config: MakeConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = make_config()
    monkeypatch.setattr("training.image_task.ImageTask.batch", lambda *_: None)
    with pytest.raises(TypeError, match="NoneType"):
        train(config, ImageTask.load(config.data, seed=config.seed))
    assert read_config(config.run_dir, TrainConfig) == config


@pytest.mark.parametrize(
    ("poison", "message"),
    [
        # The data turn into infinities half-way, as a broken file would make them: the distance sees the codes first.
        ("readers.image_data.ImageData.pixels", r"step 4: posterior.mean: expected finite values"),
        # The decoder alone goes wrong: the distance is sound, the error is not.
        ("training.networks.Decoder.forward", r"step 4: expected finite values, got .*'reconstruction': inf"),
    ],
)
def test_a_non_finite_value_stops_with_step_and_term(
    make_config: MakeConfig, monkeypatch: pytest.MonkeyPatch, poison: str, message: str
) -> None:
    config = make_config(epochs=2)
    good = run(make_config(epochs=1))
    monkeypatch.setattr(poison, _infinite_images if "ImageData" in poison else _infinite_decoder)
    with pytest.raises(NonFiniteError, match=message) as caught:
        run(config, resume=True)
    assert "keeps its last checkpoint" in str(caught.value)
    kept = load_checkpoint(config.run_dir)
    assert kept is not None
    assert same(good, kept["model"])


def _infinite_images(_: object, images: Tensor) -> Tensor:
    return images.float() / 0


def _infinite_decoder(_: object, z: Tensor) -> Tensor:
    return torch.full((len(z), 1, 8, 8), torch.inf) * z.mean()


def test_bfloat16_keeps_float32_weights_and_warns_where_it_is_emulated(
    make_config: MakeConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("torch.cpu._is_avx512_supported", lambda: False)
    with pytest.warns(UserWarning, match="no AVX-512"):
        weights = run(make_config(epochs=1, precision="bfloat16"))
    kinds = {weight.dtype for weight in weights.values() if weight.is_floating_point()}
    assert kinds == {torch.float32}
    assert not same(weights, run(make_config(epochs=1, out=make_config().run_dir.with_name("full"))))


def test_a_run_is_not_overwritten_nor_mixed_with_another(make_config: MakeConfig) -> None:
    run(make_config(epochs=1))
    with pytest.raises(RunError, match="--resume"):
        run(make_config(epochs=1))
    with pytest.raises(RunError, match=r"gamma: 100.0 there, 2.0 here"):
        run(make_config(epochs=1, gamma=2.0), resume=True)


def test_a_batch_larger_than_the_data_is_refused(make_config: MakeConfig) -> None:
    with pytest.raises(DataError, match="batch_size"):
        run(make_config(batch_size=2000, train_samples=None))


def test_a_run_reads_back_as_it_was_trained(make_config: MakeConfig) -> None:
    config = make_config()
    weights = run(config)
    loaded = load_run(config.run_dir)
    assert same(loaded.model.state_dict(), weights)
    assert (loaded.step, loaded.epochs, loaded.config) == (12, 3, config)
    assert not loaded.model.training


def _command(out: Path) -> list[str]:
    options = "--data digits --width 4 --batch-size 20 --epochs 4 --accelerator cpu --seed 5"
    return [sys.executable, "-m", "training", "train", *options.split(), "--out", str(out)]


def _environment() -> dict[str, str]:
    return os.environ | {"OMP_NUM_THREADS": "1"}


@pytest.mark.slow
def test_a_killed_run_resumes_bit_for_bit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    subprocess.run(_command(whole), check=True, cwd=ROOT, env=_environment(), capture_output=True)
    process = subprocess.Popen(_command(killed), cwd=ROOT, env=_environment(), stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 120
    while _steps_logged(killed) < 100 and time.monotonic() < deadline:  # 71 steps an epoch: inside the second
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    first = load_checkpoint(killed)
    assert first is not None
    assert first["step"] < 4 * 71, "it was not killed in time"
    subprocess.run([*_command(killed), "--resume"], check=True, cwd=ROOT, env=_environment(), capture_output=True)
    one, two = load_checkpoint(whole), load_checkpoint(killed)
    assert one is not None
    assert two is not None
    assert same(one["model"], two["model"])
    assert _logged(whole) == _logged(killed)


def _steps_logged(folder: Path) -> int:
    path = folder / "log.jsonl"
    lines = path.read_text().splitlines() if path.exists() else []
    return json.loads(lines[-1])["step"] if lines else 0


def _logged(folder: Path) -> list[dict[str, float]]:
    lines = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    return [{key: value for key, value in line.items() if key != "seconds"} for line in lines]


@pytest.mark.slow
def test_torchrun_trains_one_batch_over_two_processes(tmp_path: Path) -> None:
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    options = "--data digits --smoke --accelerator cpu --out"
    subprocess.run(
        [*torchrun, "-m", "training", "train", *options.split(), str(tmp_path / "run")],
        check=True, cwd=ROOT, env=_environment(), capture_output=True,
    )  # fmt: skip
    loaded = load_run(tmp_path / "run")
    assert loaded.step == 20
    assert all(torch.isfinite(weight).all() for weight in loaded.model.state_dict().values())
