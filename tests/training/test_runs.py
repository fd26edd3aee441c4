from pathlib import Path

import pytest

from readers.atomic import atomic_path, write_json
from training.config import TrainConfig
from training.logs import RunLog
from training.run_folder import RunError, read_config
from training.runs import load_run


def _fail_half_way(path: Path) -> None:
    with atomic_path(path) as temporary:
        temporary.write_text("half of the n")
        raise RuntimeError("power cut")


def test_a_failed_write_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("old")
    with pytest.raises(RuntimeError, match="power cut"):
        _fail_half_way(path)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_that_is_no_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="expected a run folder"):
        load_run(tmp_path)


def test_an_unknown_key_in_the_configuration_is_an_error(tmp_path: Path) -> None:
    write_json(tmp_path / "config.json", {"format": 2, "verb": "train", "sead": 1})
    with pytest.raises(RunError, match="sead"):
        read_config(tmp_path, TrainConfig)


def test_a_resumed_log_drops_lines_beyond_the_checkpoint_and_a_cut_last_line(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    path.write_text('{"step": 50, "loss": 3.0}\n{"step": 100, "loss": 2.0}\n{"step": 150, "lo')
    log = RunLog(tmp_path, step=60)
    log.write(100, {"loss": 2.5})
    log.close()
    assert path.read_text() == '{"step": 50, "loss": 3.0}\n{"step": 100, "loss": 2.5}\n'


def test_a_folder_of_an_earlier_version_is_refused_in_a_line(tmp_path: Path) -> None:
    write_json(tmp_path / "config.json", {"seed": 1})
    with pytest.raises(RunError, match=r"made by an earlier version: train anew, or use revision [0-9a-f]{9}"):
        load_run(tmp_path)
    write_json(tmp_path / "config.json", {"format": 3, "verb": "train"})
    with pytest.raises(RunError, match=r"expected format 2 of a run folder, got 3, made by another version"):
        load_run(tmp_path)
