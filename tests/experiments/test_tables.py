"""Table numbers against means computed by hand, and against what the paper prints."""

import json
import re
import statistics
from pathlib import Path

from experiments.images.cells import ROWS, SCALES, scale_name, table_name
from experiments.images.measures import FID, Measure, measured
from experiments.images.published import TABLE_2, TABLE_3
from experiments.images.tables import order_tables, write_tables
from experiments.markdown import mean_and_spread
from experiments.records import Results

ROOT = Path(__file__).parents[2]


def rows(markdown: str, heading: str) -> dict[str, list[str]]:
    """Cells by the first of each row, of the table below a heading; "" is the header."""
    lines = markdown.split(heading)[1].split("\n\n")[1].splitlines()
    cells = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]
    return {"": cells[0]} | {row[0].strip(): row[1:] for row in cells[2:]}


def test_mean_and_spread_by_hand() -> None:
    # 1, 2, 4: mean 7/3; squared deviations 16/9 + 1/9 + 25/9 = 42/9, over 2 is 7/3, its root 1.5275.
    assert mean_and_spread([1.0, 2.0, 4.0], 3) == "2.333 ± 1.528"
    assert mean_and_spread([5.0], 1) == "5.0"


def test_the_best_mean_is_bold_not_the_best_run() -> None:
    scores = {"vae": [{"kid": 1.0}, {"kid": 9.0}], "wae": [{"kid": 4.0}], "ae": [{}]}
    down = measured(Measure("kid", "KID", min, 1), scores)
    assert down.cells == {"vae": "5.0 ± 5.7", "wae": "**4.0**", "ae": "-"}
    up = measured(Measure("kid", "KID", max, 0), scores)
    assert up.cells["vae"] == "**5 ± 6**"
    assert measured(FID, scores).cells == dict.fromkeys(scores, "no weights")


def test_ours_stand_beside_the_papers(make_record) -> None:
    runs = [make_record(row, seed, kid=0.5) for row in ("vae", "drae-paper", "drae-relatent") for seed in (0, 1)]
    table = rows(write_tables(Results(runs, [], []), {}), "### Table 2")
    header = table[""][1:]
    assert header[:4] == ["Reconstruction ↓", "*paper*", "FID ↓", "*paper*"]
    spread = statistics.stdev([20.0, 21.0])
    assert table["VAE"][:4] == [f"**20.50 ± {spread:.2f}**", "*16.60*", "no weights", "*156.11*"]
    assert table["D-RAE, ours"][1] == table["D-RAE, as printed"][1] == "*10.37*"
    assert table["VAE"][header.index("Seeds")] == "2"
    assert "Recall ↑" not in header  # no run has it


def test_times_of_one_process_stand_apart_from_those_of_the_runs(make_record) -> None:
    timing = {"name": "timing-mnist-width8", "device": "CPU", "threads": 2, "rounds": 9, "rows": [
        {"row": "wae", "seconds_per_epoch": 3.5, "ratio_to_ae": 1.25},
    ]}  # fmt: skip
    other = timing | {"name": "timing-mnist-width80"}
    runs = [make_record("wae", 0), make_record("wae", 1)]
    table = rows(write_tables(Results(runs, [], [timing, other]), {}), "### Table 3")
    assert table["WAE"] == ["3.50", "1.250", "*25.6*", "5.00 ± 1.41", "701"]


def test_a_failed_cell_is_told_and_the_others_stand(make_record) -> None:
    failure = {key: make_record("gmvae")[key] for key in ("name", "data", "row", "seed", "width", "epochs")}
    failure["failure"] = "step 3: expected finite values | got nan"
    text = write_tables(
        Results([make_record()], [failure], []), {"mnist-width8-epochs3": ["mnist-width8-epochs3-codes-ae.png"]}
    )
    assert rows(text, "### Failed")["GMVAE"] == ["0", "step 3: expected finite values \\| got nan"]
    assert "VAE" in rows(text, "### Table 2")
    assert "](images/mnist-width8-epochs3-codes-ae.png)" in text


def test_an_ablation_stands_by_itself(make_record) -> None:
    runs = [make_record(row, seed, frechet=40.0 + seed) for row in ("ae", "drae-relatent") for seed in (0, 1)]
    plain = write_tables(Results(runs, [], []), {})
    runs += [make_record("drae-no-queue", 0, frechet=45.0)]
    text = write_tables(Results(runs, [], []), {})
    table = rows(text, "### What each part of our D-RAE's recipe buys")
    header = table[""][1:]
    assert list(table) == ["", "D-RAE, ours", "without the queue"]
    frechet, seeds = header.index("Fréchet ↓"), header.index("Seeds")
    assert [table["without the queue"][index] for index in (frechet, seeds)] == ["45.0", "1"]
    assert [table["D-RAE, ours"][index] for index in (frechet, seeds)] == ["**40.5 ± 0.7**", "2"]
    for heading in ("### Table 2", "### Table 3"):
        assert rows(text, heading) == rows(plain, heading)


def test_the_largest_whole_scale_comes_first(make_record) -> None:
    def at(preset: str, *rows: str, seeds: int = 3) -> list[dict]:
        scale = SCALES[preset]
        return [
            make_record(row, seed) | {"width": scale.width, "epochs": scale.epochs_of(row)}
            for row in rows
            for seed in range(seeds)
        ]

    def order(*runs: dict) -> list[str]:
        text = write_tables(Results(list(runs), [], []), {})
        return re.findall(r"^## mnist(?:, (\w+) scale)?: width", text, re.MULTILINE)

    eight = ["vae", "gmvae", "vampprior", "prae-relatent", "wae", "swae", "drae-relatent", "ae"]
    laptop, workstation = at("laptop", *ROWS), at("workstation", *eight)
    others = [*at("paper", "vae", "ae"), make_record()]
    assert order(*laptop, *workstation, *others) == ["workstation", "laptop", "paper", ""]
    assert order(*laptop, *workstation[1:], *others) == ["laptop", "paper", "workstation", ""]  # a seed is missing
    assert order(*laptop, *at("paper", *ROWS, seeds=2)) == ["laptop", "paper"]
    assert order(*workstation, *at("paper", *eight)) == ["workstation", "paper"]  # the paper's has the printed recipes
    text = write_tables(Results(workstation, [], []), {})
    assert "## mnist, workstation scale: width 16, 30 epochs (paper: 128 and 50)\n" in text
    assert text.count("VAE, GMVAE, VampPrior, WAE, SWAE: 20 epochs.") == 1


def test_the_document_is_what_its_records_give() -> None:
    results = Results(**json.loads((ROOT / "docs/results/images.json").read_text()))
    names = sorted(path.name for path in (ROOT / "docs/results/images").glob("*.png"))
    tables = dict.fromkeys(map(table_name, results.runs))
    pictures = {table: [name for name in names if name.startswith(f"{table}-")] for table in tables}
    assert sum(map(len, pictures.values())) == len(names)
    assert write_tables(results, pictures) == (ROOT / "docs/results/images.md").read_text()


def test_the_papers_numbers_are_the_papers() -> None:
    """As in its Tables 2 and 3, checked by sums over the columns, added by hand."""
    mnist, celeba = TABLE_2["mnist"], TABLE_2["celeba"]
    assert round(sum(row.reconstruction for row in mnist.values()), 2) == 101.35
    assert round(sum(row.fid for row in mnist.values()), 2) == 524.59
    assert round(sum(row.reconstruction for row in celeba.values()), 2) == 483.04
    assert round(sum(row.fid for row in celeba.values()), 2) == 657.79
    assert {data: round(sum(row.values()), 1) for data, row in TABLE_3.items()} == {"mnist": 102.0, "celeba": 2343.8}


def test_the_readmes_figures_are_those_of_the_largest_whole_table() -> None:
    readme = (ROOT / "README.md").read_text()
    results = Results(**json.loads((ROOT / "docs/results/images.json").read_text()))
    largest = next(name for name in order_tables(results) if name.startswith("mnist-"))
    runs = [run for run in results.runs if table_name(run) == largest]
    scale = SCALES[scale_name(runs[0])]
    assert f"(width {scale.width}, {scale.epochs} epochs" in readme
    assert f"(docs/results/images/{largest}-codes-prae-relatent.png)" in readme
    row_of_four = r"^\| .*\(`([a-z-]+)`\) \| (\S+) \| (\S+) \| (\S+) \|$"
    shown = re.findall(row_of_four, readme, re.MULTILINE)
    assert {row for row, *_ in shown} == set(scale.rows) - {"drae-authors"}
    names = {"reconstruction_error": 2, "frechet": 1, "component_purity": 2}
    for row, *cells in shown:
        own = [run["measures"] for run in runs if run["row"] == row]
        means = [f"{statistics.fmean(scores[name] for scores in own):.{digits}f}" for name, digits in names.items()]
        # A prior of one component tells no classes apart.
        assert cells == [*means[:2], means[2] if {scores["components_used"] for scores in own} != {1} else "-"], row
