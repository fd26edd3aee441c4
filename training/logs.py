"""Scalars of a run: one JSON line each time, and the same for TensorBoard."""

import json
from pathlib import Path
from typing import IO

from torch.utils.tensorboard import SummaryWriter

from readers.atomic import atomic_path


class RunLog:
    """Appends scalars to log.jsonl and tensorboard/; a resumed run forgets what a killed one logged too far.

    Args:
        folder: The run folder.
        step: Step of the checkpoint the run goes on from; lines beyond it are dropped.
    """

    def __init__(self, folder: Path, *, step: int) -> None:
        path = folder / "log.jsonl"
        if path.exists():
            _drop_lines_after(path, step)
        self._lines: IO[str] = path.open("a", buffering=1)
        self._board = SummaryWriter(str(folder / "tensorboard"), purge_step=step + 1)

    def write(self, step: int, scalars: dict[str, float]) -> None:
        """Log scalars of a step."""
        self._lines.write(json.dumps({"step": step, **scalars}) + "\n")
        for name, value in scalars.items():
            self._board.add_scalar(name, value, step)

    def close(self) -> None:
        """Flush and close both."""
        self._lines.close()
        self._board.close()


def _drop_lines_after(path: Path, step: int) -> None:
    # A kill can cut the last line short, a full disk any; what is cut belongs to a step that will be taken again, or is
    # lost: the others are not lost with it.
    lines = path.read_text(errors="replace").splitlines(keepends=True)
    kept = [line for line in lines if line.endswith("\n") and (at := _step(line)) is not None and at <= step]
    with atomic_path(path) as temporary:
        temporary.write_text("".join(kept))


def _step(line: str) -> float | None:
    """The step that a line tells of; None if it is no line of the log."""
    try:
        step = json.loads(line)["step"]
    except (ValueError, TypeError, KeyError):
        return None
    return step if isinstance(step, int | float) else None
