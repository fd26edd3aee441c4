"""The training loop. It knows no mathematics: an objective gives it a loss and named scalars."""

import math
import sys
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import torch
from lightning_fabric import Fabric
from lightning_fabric.plugins.environments import LightningEnvironment, TorchElasticEnvironment
from torch import nn
from tqdm import tqdm

from relatent.validation import NonFiniteError
from training.config import MachineConfig
from training.distributed import world_size
from training.launch import launched
from training.logs import RunLog
from training.run_folder import RunError, alone_in, fitting, load_checkpoint, open_run, resume_command, save_checkpoint
from training.step import Adam, Step
from training.task import Task
from training.watch import BrokenStepError

LOG_EVERY = 50  # steps
CHECKPOINT_EVERY = 30.0  # seconds


def run(task: Task, *, resume: bool = False) -> Path:
    """Train, or go on training, until all epochs are done.

    All randomness of a step comes from (seed, step), so a run killed at any moment and resumed ends, on the CPU,
    in the very weights of an unbroken one.

    Args:
        task: What to train, and on what.
        resume: Whether the run folder may hold a run to go on with.

    Returns:
        The run folder.

    Raises:
        RunError: If the folder holds a run that this one does not continue, or another command is at work in it.
        NonFiniteError: If a term of the loss or the gradient is not finite; the last checkpoint stays as it was.
        DataError: If the batch does not fit the data or the number of processes.
        KeyboardInterrupt: With the command that goes on, if Ctrl-C or SIGTERM stopped it.
    """
    config, folder = task.config, task.config.run_dir
    fabric = make_fabric(config.machine)
    fabric.launch()
    task.check(world_size())
    with alone_in(folder) if fabric.is_global_zero else nullcontext():
        checkpoint = load_checkpoint(folder) if resume else None
        if fabric.is_global_zero:
            steps = task.steps_per_epoch
            open_run(folder, config, task.data, resume=resume, checkpoint=checkpoint, steps_per_epoch=steps)
            _warn_of_emulation(fabric, config.machine)
        fabric.barrier()
        try:
            _train(task, fabric, checkpoint)
        except KeyboardInterrupt as stop:
            raise type(stop)(f"go on with `{resume_command(config.verb, folder)}`") from None
    return folder


def _train(task: Task, fabric: Fabric, checkpoint: dict[str, Any] | None) -> None:
    """Take all steps that are left, then finish."""
    config, method, folder = task.config, task.method, task.config.run_dir

    # Objective and optimizer
    objective: nn.Module = method
    if world_size() > 1 and fabric.device.type == "cuda":
        objective = nn.SyncBatchNorm.convert_sync_batchnorm(objective)
    groups = method.parameter_groups(config.optimizer)
    peaks = [group["lr"] for group in groups]
    adam = Adam(groups, betas=config.optimizer.adam_betas, device=fabric.device)

    # Where it stopped
    step, finished = 0, None
    if checkpoint is not None:
        step, finished = checkpoint["step"], checkpoint["finished"]
        with fitting(folder):
            task.model.load_state_dict(checkpoint["model"])
            method.load_own_state(checkpoint["method"])
    objective, optimizer = fabric.setup(objective, adam)
    if checkpoint is not None:
        with fitting(folder):
            optimizer.load_state_dict(checkpoint["optimizer"])

    # Steps
    begun, total = step, config.optimizer.epochs * task.steps_per_epoch
    log = RunLog(folder, step=step) if fabric.is_global_zero else None
    one = Step(fabric, objective, optimizer, adam, method, capture=config.machine.capture)
    saved = time.monotonic()
    with _bar(folder.name, step, total, shown=fabric.is_global_zero) as bar:  # closed before any last words
        while step < total:
            batch = task.batch(step, fabric.device)
            one.generator.manual_seed(_seed(config.seed, step))
            _decay(adam, peaks, step / total)
            method.begin(step / total)
            with _broken(step, folder):
                one.take(batch)
            step += 1

            # Log, score, save
            bar.update()
            epoch, rest = divmod(step, task.steps_per_epoch)
            is_saved = not rest or time.monotonic() - saved > CHECKPOINT_EVERY
            if step % LOG_EVERY == 0 or is_saved:
                with _broken(step - 1, folder):
                    scalars = one.watch.read()
            if log is None:
                continue
            if step % LOG_EVERY == 0:
                log.write(step, scalars)
                bar.set_postfix({name: f"{value:.4g}" for name, value in scalars.items()}, refresh=False)
            if not rest:
                scores = task.score()
                log.write(step, {"epoch": epoch, **scores, "seconds": bar.format_dict["elapsed"]})
                bar.write(f"epoch {epoch}: " + ", ".join(f"{name} {value:.3f}" for name, value in scores.items()))
            if is_saved:
                _save(task, adam, step)
                saved = time.monotonic()

    # Ending
    if log is not None:
        log.close()
        if step > begun or finished != task.ending():
            task.finish()
            _save(task, adam, step, finished=task.ending())


def _save(task: Task, adam: Adam, step: int, *, finished: str | None = None) -> None:
    state = {
        "model": task.model.state_dict(),
        "method": task.method.own_state(),
        "optimizer": adam.state_dict(),
        "step": step,
        "epochs": step // task.steps_per_epoch,
        "finished": finished,
    }
    bad = [name for name, value in task.model.state_dict().items() if not value.isfinite().all()]
    if bad:  # each step's terms were finite, but not what the last one made of the weights
        folder = task.config.run_dir
        raise NonFiniteError(f"step {step}: expected finite weights, got others in {', '.join(bad)}; {_advice(folder)}")
    save_checkpoint(task.config.run_dir, state)


def _bar(name: str, step: int, total: int, *, shown: bool) -> "tqdm[NoReturn]":
    # A log file shows every update as a line of its own: let it be few.
    interval = 0.1 if sys.stderr.isatty() else 30.0
    return tqdm(
        total=total, initial=step, unit="step", desc=name, mininterval=interval, maxinterval=interval, disable=not shown
    )


def make_fabric(config: MachineConfig) -> Fabric:
    """Devices and precision; under torchrun, the processes that it started.

    Args:
        config: What was asked for.

    Returns:
        The fabric, not launched.

    Raises:
        RunError: If CUDA was demanded and no device answers, or has fewer devices than there are processes here, or
            if torchrun's variables are there in part.
    """
    world, local = launched()
    has_cuda = torch.cuda.is_available()
    if config.accelerator == "cuda" and not has_cuda:
        raise RunError(
            "--accelerator cuda: expected a CUDA device, found none that torch "
            f"{torch.__version__} can use; see nvidia-smi, or say --accelerator cpu to train on the CPU"
        )
    accelerator = "cuda" if has_cuda and config.accelerator != "cpu" else "cpu"
    if accelerator == "cuda" and local > torch.cuda.device_count():
        raise RunError(
            f"expected at most one process for each CUDA device here ({torch.cuda.device_count()}), got {local}: "
            f"torchrun --nproc-per-node {torch.cuda.device_count()}, or --accelerator cpu"
        )
    return Fabric(
        accelerator=accelerator,
        devices=local,
        num_nodes=world // local,
        strategy="ddp" if world > 1 else "auto",
        precision="bf16-mixed" if config.precision == "bfloat16" else "32-true",
        # Named, or Fabric would take a scheduler's variables around one process, as SLURM's, for several processes.
        plugins=[TorchElasticEnvironment() if world > 1 else LightningEnvironment()],
    )


def _decay(adam: Adam, peaks: list[float], progress: float) -> None:
    """Lower the step size of the groups that ask for it along half a cosine; progress is in [0, 1)."""
    for group, peak in zip(adam.param_groups, peaks, strict=True):
        share = group["decay"]
        if share and progress > 1 - share:
            along = (progress - (1 - share)) / share  # from 0 where it begins to 1 at the end of the run
            adam.set_rate(group, peak * (1 + math.cos(math.pi * along)) / 2)


def _warn_of_emulation(fabric: Fabric, config: MachineConfig) -> None:
    """Say so before a run crawls: a CPU with AVX2 alone took fifteen times as long in bfloat16 as in float32."""
    if config.precision == "bfloat16" and fabric.device.type == "cpu" and not torch.cpu._is_avx512_supported():
        warnings.warn("this CPU has no AVX-512: bfloat16 will be much slower than --precision float32", stacklevel=3)


def _seed(seed: int, step: int) -> int:
    """A seed of 32 mixed bits: the CPU's generator ignores all higher ones."""
    return int(np.random.SeedSequence([seed, step]).generate_state(1)[0])


@contextmanager
def _broken(step: int, folder: Path) -> Iterator[None]:
    """Say at which step it was that something was not finite, when it is found at this one."""
    try:
        yield
    except NonFiniteError as error:
        at = step - (error.ago if isinstance(error, BrokenStepError) else 0)
        raise NonFiniteError(f"step {at}: {error}; {_advice(folder)}") from error


def _advice(folder: Path) -> str:
    return f"{folder} keeps its last checkpoint; a lower --learning-rate or --gamma, or float32, usually helps"
