import time
from types import SimpleNamespace

import pytest

from experiments.images import command, timing
from experiments.images.cells import Cell, PaperConfig
from experiments.images.timing import TimingJob, time_rows
from experiments.records import Results
from readers.loaders import load_images


def make_job(tmp_path, *rows: str) -> TimingJob:
    cells = {row: Cell(data="digits", row=row, seed=0, width=2, epochs=1) for row in rows}
    configs = {row: cell.config(tmp_path) for row, cell in cells.items()}
    return TimingJob(name="timing-digits-width2", rows=configs, path=tmp_path / "timing.json")


def test_ratios_are_those_of_the_steps(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [0.0]

    def make_step(config, *_):
        def step() -> None:
            clock[0] += {"prae": 0.75, "ae": 0.25}[config.model.method]

        return step

    monkeypatch.setattr(timing, "make_step", make_step)
    for name in ("perf_counter", "process_time"):
        monkeypatch.setattr(time, name, lambda: clock[0])
    record = time_rows(make_job(tmp_path, "prae-paper", "ae"), load_images("digits"))
    prae, ae = record["rows"]
    assert (prae["row"], ae["row"], ae["ratio_to_ae"]) == ("prae-paper", "ae", 1.0)
    assert prae["ratio_to_ae"] == 3.0
    assert (prae["seconds_per_step"], prae["seconds_per_epoch"]) == (0.75, 14 * 0.75)  # 1437 images, batches of 100
    assert record["rounds"] == 30


def test_every_method_can_be_timed(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timing, "BUDGET", 0.0)
    job = make_job(tmp_path, "vae", "vampprior", "prae-relatent", "drae-relatent", "wae", "ae")
    record = time_rows(job, load_images("digits"))
    assert (record["rounds"], [row["row"] for row in record["rows"]]) == (timing.FEWEST, list(job.rows))
    assert min(row["seconds_per_step"] for row in record["rows"]) > 0


def test_a_part_of_the_rows_takes_no_other_row_from_the_results(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    jobs = []

    def start(words, folder, threads):
        jobs.append(TimingJob.model_validate_json(words[1]))
        return SimpleNamespace(wait=lambda: None, returncode=0)

    monkeypatch.setattr(command, "start", start)
    monkeypatch.setattr(command, "end", lambda children: None)
    kept = Results([], [], [{"name": "timing-mnist-width8", "rows": [{"row": "ae"}, {"row": "drae-relatent"}]}])

    def timed(*methods: str, anew: bool = False) -> list[list[str]]:
        jobs.clear()
        assert command.time_methods(PaperConfig(methods=methods, out=tmp_path), kept, anew=anew) == []
        return [list(job.rows) for job in jobs]

    assert timed("ablation") == timed("ae") == []
    assert timed("vae") == [["vae", "drae-relatent", "ae"]]
    assert timed("ae", anew=True) == [["drae-relatent", "ae"]]
