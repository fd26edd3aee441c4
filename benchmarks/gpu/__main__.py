"""All that is promised of a GPU, shown by one command there, the most important first.

    python -m benchmarks.gpu training --seconds 300 --out runs/gpu    # tests, counts, times, then whole runs
    python -m benchmarks.gpu serving --seconds 180 --out runs/gpu     # the shipped bundles on the CUDA provider
    python -m benchmarks.gpu training --rehearse --out /tmp/gpu       # the same code, small, on a CPU
    python -m benchmarks.gpu merge runs/gpu                           # docs/results/gpu.md and other tables' GPU rows

Results are written as they come, into a JSON file per command, and it stops in time. A part that fails says why, there
and here, and ends no other. Needs a CUDA device, and for whole runs MNIST where --data-dir or $RELATENT_DATA_DIR says.
"""

import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from benchmarks.gpu.parts import Device, run_parts


@dataclass(frozen=True)
class Training:
    """The regularizers and the training loop."""

    out: Path
    """Folder for the results."""
    seconds: float = 300.0
    """Time for all."""
    rehearse: bool = False
    """Run the same code small, on the CPU."""


@dataclass(frozen=True)
class Serving:
    """The service on the CUDA provider."""

    out: Path
    """Folder for the results."""
    seconds: float = 180.0
    """Time for all."""
    rehearse: bool = False
    """Run the same code small, on the CPU."""


@dataclass(frozen=True)
class Merge:
    """Turn what came back into docs/results/gpu.md and the GPU rows of other tables."""

    folder: tyro.conf.Positional[Path]
    """What --out named."""
    report: Path = Path("docs/results")
    """Folder of the tables."""


Command = (
    Annotated[Training, tyro.conf.subcommand("training")]
    | Annotated[Serving, tyro.conf.subcommand("serving")]
    | Annotated[Merge, tyro.conf.subcommand("merge")]
)


def main() -> int:
    """Do what was asked for; 1 if a part failed."""
    begun = time.monotonic()
    chosen = tyro.cli(Command, prog="python -m benchmarks.gpu", description=__doc__)
    if isinstance(chosen, Merge):
        from benchmarks.gpu.merge import merge

        return merge(chosen.folder, chosen.report)
    if isinstance(chosen, Training):
        from benchmarks.gpu.training import PARTS
    else:
        from benchmarks.gpu.service import PARTS
    name = "training" if isinstance(chosen, Training) else "serving"
    device: Device = "cpu" if chosen.rehearse else "cuda"
    patience = 10.0 if chosen.rehearse else 1.0  # who rehearses may have a busy machine, and nobody waits for it
    left = chosen.seconds - (time.monotonic() - begun)  # of which importing has taken some
    found = run_parts(PARTS, chosen.out / f"gpu-{name}.json", seconds=left, device=device, patience=patience)
    return int(any(part["state"] == "failed" for part in found["parts"].values()))


if __name__ == "__main__":
    sys.exit(main())
