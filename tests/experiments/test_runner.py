import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from experiments.runner import end, last_line, run_jobs, start
from training.run_folder import RunError, alone_in


def wait_until(condition, seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_two_commands_do_not_share_a_folder(tmp_path) -> None:
    with alone_in(tmp_path), pytest.raises(RunError, match="another command is at work"), alone_in(tmp_path):
        pass
    with alone_in(tmp_path):  # free again
        pass


def test_children_get_their_share_of_threads_and_their_output_is_kept(tmp_path) -> None:
    child = start(["timeit", "-n1", "-r1", "import os; print(os.environ['OMP_NUM_THREADS'])"], tmp_path / "new", 3)
    assert child.wait(60) == 0
    assert (tmp_path / "new" / "output.log").read_text().splitlines()[0] == "3"


@pytest.mark.parametrize(("processors", "jobs", "threads"), [(2, 2, 1), (8, 2, 4), (2, 3, 1)])
def test_jobs_divide_the_processors(tmp_path, monkeypatch, processors: int, jobs: int, threads: int) -> None:
    """`nice -n 19 python -m experiments images --jobs 2` on two cores: two cells at a time on one thread each."""
    seen = []

    class Idle:
        def poll(self) -> int:
            return 0

        returncode = 0

    class Work(NamedTuple):
        name: str
        folder: Path
        worker: str = "timeit"

        def is_complete(self) -> bool:
            return True

        def facts(self) -> dict[str, Any]:
            return {}

        def model_dump_json(self) -> str:
            return "{}"

    def start(module: list[str], folder: Path, own: int) -> Idle:
        seen.append(own)
        return Idle()

    monkeypatch.setattr("experiments.runner.cores", lambda: processors)
    monkeypatch.setattr("experiments.runner.start", start)
    work = [Work(str(number), tmp_path) for number in range(3)]
    assert run_jobs(work, parallel=jobs, done=lambda *_: None) == 0
    assert seen == [threads] * 3


def test_children_that_will_not_end_are_killed(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr("experiments.runner.GRACE", 0.2)
    code = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(60)"
    child = start(["timeit", "-n1", "-r1", code], tmp_path, 1)
    wait_until(lambda: "up" in (tmp_path / "output.log").read_text())
    end([child])
    assert child.returncode == -signal.SIGKILL


def test_children_die_with_a_parent_that_was_killed(tmp_path) -> None:
    worker = "from experiments.child import end_with_parent; end_with_parent(); import time; time.sleep(100)"
    parent = (
        "import pathlib, time; from experiments.runner import start; "
        f"print(start(['timeit', '-n1', '-r1', {worker!r}], pathlib.Path({str(tmp_path)!r}), 1).pid, flush=True); "
        "time.sleep(100)"
    )
    with subprocess.Popen([sys.executable, "-c", parent], stdout=subprocess.PIPE, text=True) as process:
        pid = int(process.stdout.readline())
        process.kill()

    def gone() -> bool:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        with open(f"/proc/{pid}/stat") as file:  # noqa: PTH123
            return file.read().split()[2] == "Z"  # nobody waits for an orphan in a container without an init

    wait_until(gone)


def test_the_reason_of_a_failure_names_no_folder_of_the_machine(tmp_path) -> None:
    (tmp_path / "output.log").write_text(
        "run: 3%|...\r\nerror: MNIST: expected x in /home/someone/data/MNIST/raw, runs/a has none; 3/4 done\n"
    )
    assert last_line(tmp_path) == "MNIST: expected x in raw, runs/a has none; 3/4 done"
