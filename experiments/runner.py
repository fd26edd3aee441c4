"""Cells in child processes, a few at a time; they never outlive this process."""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar, Protocol, TypeVar

from experiments.records import FAILURE, without_folders, write_failure
from training.config import RunConfig
from training.run_folder import RunError, read_config

OUTPUT = "output.log"
GRACE = 10.0  # seconds that a child has to end


def cores() -> int:
    """Processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class Work(Protocol):
    """What one child does.

    Attributes:
        worker: The module that does it, given this as JSON.
    """

    worker: ClassVar[str]

    @property
    def name(self) -> str:
        """For what is printed and noted."""

    @property
    def folder(self) -> Path:
        """For what the child prints, and for the note of a failure."""

    def is_complete(self) -> bool:
        """Whether all its records are there."""

    def facts(self) -> dict[str, Any]:
        """What the note of a failure says of it."""

    def model_dump_json(self) -> str:
        """What the child is told."""


W = TypeVar("W", bound=Work)


def run_jobs(jobs: list[W], *, parallel: int, done: Callable[[W, bool], None]) -> int:
    """Work off jobs in order, `parallel` at a time with the processors divided between them.

    Args:
        jobs: What to do.
        parallel: Children at a time.
        done: Called after each with the job and whether it went well.

    Returns:
        How many failed. Each of those leaves failure.json in its folder.
    """
    threads = max(1, cores() // parallel)
    waiting, running, failed = list(jobs), dict[subprocess.Popen[bytes], W](), 0
    try:
        while waiting or running:
            while waiting and len(running) < parallel:
                job = waiting.pop(0)
                running[start([job.worker, job.model_dump_json()], job.folder, threads)] = job
            for child in [child for child in running if child.poll() is not None]:
                job = running.pop(child)
                well = child.returncode == 0 and job.is_complete()
                failed += not well
                if not well:
                    message = last_line(job.folder) if child.returncode > 0 else f"ended by signal {-child.returncode}"
                    write_failure(job.folder, {"name": job.name, **job.facts()}, message)
                done(job, well)
            time.sleep(0.1)
    finally:
        end(list(running))
    return failed


def start(module: list[str], folder: Path, threads: int) -> subprocess.Popen[bytes]:
    """Start `python -m MODULE ARGUMENTS` with a number of threads; what it prints goes to output.log in the folder.

    Args:
        module: Module and arguments.
        folder: Made if missing; an old failure in it is forgotten.
        threads: Of its mathematics libraries.

    Returns:
        The child. It ends when the standard input that this process holds is closed.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / FAILURE).unlink(missing_ok=True)
    environment = os.environ | {"OMP_NUM_THREADS": str(threads), "MKL_NUM_THREADS": str(threads)}
    with (folder / OUTPUT).open("ab") as output:
        # A session of its own: Ctrl-C reaches this process alone, which then ends its children in order.
        return subprocess.Popen(  # noqa: S603
            [sys.executable, "-m", *module],
            stdin=subprocess.PIPE, stdout=output, stderr=output, env=environment, start_new_session=True,
        )  # fmt: skip


def end(children: list[subprocess.Popen[bytes]]) -> None:
    """Terminate children; kill those that are still there after ten seconds."""
    for child in children:
        child.terminate()
    deadline = time.monotonic() + GRACE
    for child in children:
        try:
            child.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()


def last_line(folder: Path) -> str:
    """The last line that a child printed, without this machine's folders: of an absolute path its end is left."""
    text = (folder / OUTPUT).read_text(errors="replace").strip()
    line = text.splitlines()[-1] if text else "no output"
    return without_folders(line).removeprefix("error: ")


def set_aside(config: RunConfig) -> Path | None:
    """Move a cell's folder out of the way if it holds a run with other settings, as after a change of a recipe.

    Args:
        config: The cell's configuration.

    Returns:
        Where it is now; None if nothing was moved.
    """
    folder = config.run_dir
    if not (folder / "config.json").exists():
        return None
    try:
        if read_config(folder, type(config)).portable() == config.portable():
            return None
    except RunError:  # not a configuration of this version
        pass
    number = 1
    while (aside := folder.with_name(f"{folder.name}.replaced-{number}")).exists():
        number += 1
    return folder.rename(aside)
