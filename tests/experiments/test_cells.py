import pytest
from pydantic import ValidationError

from experiments.images.cells import ROWS, PaperConfig, table_name


def test_a_whole_table_of_the_first_seed_comes_first() -> None:
    cells = PaperConfig(data=("mnist", "celeba"), methods=("ae", "vae"), seeds=(3, 1)).cells()
    assert [(cell.seed, cell.data, cell.row) for cell in cells] == [
        (3, "mnist", "vae"), (3, "mnist", "ae"), (3, "celeba", "vae"), (3, "celeba", "ae"),
        (1, "mnist", "vae"), (1, "mnist", "ae"), (1, "celeba", "vae"), (1, "celeba", "ae"),
    ]  # fmt: skip


def test_a_method_stands_for_all_its_rows() -> None:
    assert PaperConfig(methods=("drae", "prae-paper")).rows == (
        "prae-paper", "drae-paper", "drae-authors", "drae-relatent",
    )  # fmt: skip
    assert len(PaperConfig(preset="workstation", methods=("drae",)).rows) == 3  # asked for, all the same
    for methods, got in ((("infogan",), "infogan"), ((), "none")):
        with pytest.raises(ValidationError, match=f"got {got}"):
            PaperConfig(methods=methods)


def test_a_workstation_trains_baselines_for_less(tmp_path) -> None:
    cells = PaperConfig(preset="workstation").cells()
    assert len(cells) == 24
    assert len({ROWS[cell.row].method for cell in cells}) == 8  # one recipe of each
    assert {cell.width for cell in cells} == {16}
    assert {cell.seed for cell in cells} == {0, 1, 2}
    longer = {cell.row for cell in cells if cell.epochs == 30}
    assert longer == {"prae-relatent", "drae-relatent", "ae"}
    assert {cell.epochs for cell in cells if cell.row not in longer} == {20}
    assert {cell.config(tmp_path).optimizer.epochs for cell in cells} == {20, 30}
    assert {cell.config(tmp_path).optimizer.decay for cell in cells} == {0.25}  # alike for all
    assert {table_name(cell.model_dump()) for cell in cells} == {"mnist-workstation"}  # one table


def test_an_ablation_takes_one_part_away_at_a_time(tmp_path) -> None:
    config = PaperConfig(methods=("ablation",), seeds=(0,))
    settings = {cell.row: cell.config(tmp_path).comparable() for cell in config.cells()}
    whole = settings.pop("drae-relatent")
    changed = {row: {key: own[key] for key in whole if own[key] != whole[key]} for row, own in settings.items()}
    assert changed == {
        "drae-no-noise": {"code_noise": 0.0},
        "drae-no-queue": {"queue": 0},
        "drae-diagonal": {"covariance": "diagonal"},
        "drae-no-refit": {},  # what comes after the last step is not compared
    }
    refits = {cell.row: cell.config(tmp_path).regularizer.refit for cell in config.cells()}
    assert refits.pop("drae-no-refit") == "none"
    assert set(refits.values()) == {"anew"}
    assert not set(settings) & set(PaperConfig().rows)
    assert PaperConfig(methods=("ae", "drae-no-queue")).rows == ("ae", "drae-no-queue")


def test_a_width_or_number_of_epochs_of_ones_own_holds_for_all_rows() -> None:
    cells = PaperConfig(preset="workstation", width=2).cells()
    assert {(cell.width, cell.epochs) for cell in cells} == {(2, 30)}
    assert {table_name(cell.model_dump()) for cell in cells} == {"mnist-width2-epochs30"}
    assert {cell.epochs for cell in PaperConfig(preset="workstation", epochs=5).cells()} == {5}


def test_presets_are_the_laptop_and_section_6_1(tmp_path) -> None:
    laptop, paper = (PaperConfig(preset=preset, data=("celeba",)).cells()[0] for preset in ("laptop", "paper"))
    assert (laptop.width, paper.width, paper.epochs) == (8, 128, 50)
    config = paper.config(tmp_path)
    assert (config.model.latent_size, config.model.components, config.optimizer.batch_size) == (64, 10, 100)
    assert (config.optimizer.learning_rate, config.optimizer.adam_betas) == (1e-3, (0.5, 0.999))


def test_the_rows_as_printed_have_the_printed_settings(tmp_path) -> None:
    configs = {cell.row: cell.config(tmp_path) for cell in PaperConfig(seeds=(0,)).cells()}
    assert list(configs) == list(ROWS)
    for row in ("prae-paper", "drae-paper"):
        regularizer = configs[row].regularizer
        assert (regularizer.gamma, regularizer.beta, regularizer.directions, regularizer.max_iter) == (1, 0.1, 50, 20)
    assert configs["drae-authors"].regularizer.gamma == 36_400
    assert configs["drae-relatent"] != configs["drae-paper"]
    assert len({config.run_dir for config in configs.values()}) == len(ROWS)
