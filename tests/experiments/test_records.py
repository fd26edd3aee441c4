import json
import subprocess
import sys
from pathlib import Path

import pytest

from experiments.images.cells import ABLATION, ROWS, SCALES, Cell, PaperConfig
from experiments.images.tables import write_tables
from experiments.multiview.cells import MultiviewPaperConfig
from experiments.records import FAILURE, RECORD, collect, read_record, same_settings, write_failure
from experiments.runner import set_aside
from readers.atomic import write_json
from readers.errors import DataError
from training.config import TrainConfig
from training.run_folder import read_config

ROOT = Path(__file__).parents[2]
CONFIGS = [("images", PaperConfig(data=("mnist", "celeba"))), ("multiview", MultiviewPaperConfig())]


def write_run(out, record, file=RECORD) -> None:
    folder = out / record["name"]
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / file, record)


def test_records_of_several_machines_meet_in_one_file(tmp_path, make_record) -> None:
    for machine, row in (("one", "vae"), ("two", "wae")):
        write_run(tmp_path / machine, make_record(row))
        write_json(tmp_path / machine / "timing-x.json", {"name": f"timing-{machine}"})
        results = collect(tmp_path / machine, tmp_path / "report" / "images.json", {})
    assert [run["row"] for run in results.runs] == ["vae", "wae"]
    assert [record["name"] for record in results.timing] == ["timing-one", "timing-two"]
    assert json.loads((tmp_path / "report" / "images.json").read_text()) == results._asdict()


def test_a_run_done_again_replaces_its_record(tmp_path, make_record) -> None:
    out, report = tmp_path / "out", tmp_path / "report" / "images.json"
    write_run(out, make_record(kid=1.0))
    collect(out, report, {})
    write_run(out, make_record(kid=2.0))
    (run,) = collect(out, report, {}).runs
    assert run["measures"]["kid"] == 2.0


def test_records_of_other_settings_are_left_out_until_they_are_made_anew(tmp_path, make_record) -> None:
    out, report, record = tmp_path / "out", tmp_path / "report" / "images.json", make_record()
    write_run(out, record)
    assert len(collect(out, report, {record["name"]: record["config"]}).runs) == 1
    assert collect(out, report, {record["name"]: {"another": "thing"}}).runs == []


def test_what_ran_in_another_precision_counts_and_tables_say_so(tmp_path, make_record) -> None:
    record = make_record()
    lower = record | {"config": record["config"] | {"machine": {"precision": "bfloat16"}}}
    write_run(tmp_path, lower)
    results = collect(tmp_path, tmp_path / "images.json", {record["name"]: record["config"]})
    assert results.runs == [lower]
    assert "under bfloat16 autocast, distances in float32, scores from float32 networks: all runs." in write_tables(
        results, {}
    )
    both = [record | {"row": "wae"}, *results.runs]
    assert f"networks: {ROWS[record['row']].title} (seed {record['seed']})." in write_tables(
        results._replace(runs=both), {}
    )
    assert "bfloat16" not in write_tables(results._replace(runs=both[:1]), {})


@pytest.mark.parametrize("content", ["", '{"name": ', "[]", "null"])
@pytest.mark.parametrize("name", ["cell/record.json", "cell/failure.json", "timing-x.json", "images.json"])
def test_a_damaged_record_is_named(tmp_path, name: str, content: str) -> None:
    (tmp_path / "cell").mkdir()
    (tmp_path / name).write_text(content)
    with pytest.raises(
        DataError, match=rf"{name}: expected a JSON object, got .*; restore it, or remove it"
    ) as refused:
        collect(tmp_path, tmp_path / "images.json", {})
    assert "\n" not in str(refused.value)


def test_failures_are_told_as_long_as_there_is_no_record(tmp_path, make_record) -> None:
    out, failure = tmp_path / "out", make_record("wae") | {"failure": "no memory"}
    write_run(out, failure, FAILURE)
    assert [f["failure"] for f in collect(out, tmp_path / "images.json", {}).failures] == ["no memory"]
    write_run(out, make_record("wae"))
    assert collect(out, tmp_path / "images.json", {}).failures == []


def test_notes_of_failures_name_no_folder_and_those_of_workers_are_no_cells(tmp_path, make_record) -> None:
    facts = {key: make_record("wae")[key] for key in ("name", "row")}
    write_failure(tmp_path / facts["name"], facts, "x.npy: expected 3 rows in /home/someone/x.npy, got 2")
    write_failure(tmp_path / "seed0", {"name": "seed0"}, "1 of 2 cells failed")
    (failure,) = collect(tmp_path, tmp_path / "report" / "images.json", {}).failures
    assert failure["failure"] == "x.npy: expected 3 rows in x.npy, got 2"


def test_whoever_only_reads_records_needs_no_torch() -> None:
    code = (
        "import sys; import experiments.records, experiments.images.tables, experiments.multiview.tables; "
        "sys.exit('torch' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_run_with_other_settings_is_set_aside_and_kept(tmp_path) -> None:
    cell = Cell(data="digits", row="drae-paper", seed=0, width=2, epochs=1)
    config = cell.config(tmp_path)
    folder = config.run_dir
    assert set_aside(config) is None  # nothing there
    for number in (1, 2):
        folder.mkdir()
        changed = config.model_copy(update={"seed": number})
        write_json(folder / "config.json", {"format": 2, "verb": "train", **changed.model_dump(mode="json")})
        write_json(folder / RECORD, {"name": cell.name, "config": changed.portable()})
        assert read_record(config) is None
        aside = set_aside(config)
        assert aside == folder.with_name(f"{folder.name}.replaced-{number}")
        assert read_config(aside, TrainConfig).seed == number
    assert collect(tmp_path, tmp_path / "report" / "images.json", {}).runs == []  # what was set aside does not count
    folder.mkdir()
    elsewhere = {"format": 2, "verb": "train", **config.model_dump(mode="json"), "out": "/another/folder"}
    write_json(folder / "config.json", elsewhere)
    assert set_aside(config) is None  # the same run, wherever it lies


@pytest.mark.parametrize(("name", "config"), CONFIGS)
def test_records_kept_with_the_results_are_of_todays_settings(name: str, config, monkeypatch) -> None:
    """Else the next command would leave them out of the tables and train them all anew."""
    monkeypatch.setattr("experiments.multiview.cells._installed", lambda row: True)  # peers that are elsewhere
    kept = json.loads((ROOT / f"docs/results/{name}.json").read_text())["runs"]
    configs = [config]
    if name == "images":
        configs.append(
            PaperConfig(preset="workstation", data=("mnist", "celeba"), methods=(*SCALES["workstation"].rows, ABLATION))
        )
    if name == "multiview":  # "aligned" has a length of its own
        configs.append(MultiviewPaperConfig(data=("snare", "handwritten"), experiments=("aligned",), epochs=200))
        configs.append(MultiviewPaperConfig(data=("snare",), experiments=("unequal",)))
    today = {cell.name: cell.config(config.out).portable() for config in configs for cell in config.cells()}
    assert kept
    assert [run["name"] for run in kept if not same_settings(today.get(run["name"], {}), run["config"])] == []
