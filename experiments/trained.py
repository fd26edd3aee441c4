"""Records of runs for docs/results: a JSON file and pictures each, and a table over all, with the paper's numbers."""

import json
from pathlib import Path
from typing import Any

from experiments import markdown
from experiments.images.cells import LATENT_SIZE, SCALES
from experiments.images.published import TABLE_2
from readers.atomic import atomic_path, write_json, write_text
from training.config import ModelConfig, RunConfig, TrainConfig
from training.runs import Run

COLUMNS = (
    "run",
    "method",
    "reconstruction error",
    "paper",
    "component purity",
    "components used",
    "departs from the paper in",
    "seed",
    "data",
    "code",
    "date",
)


def write_report(folder: Path, run: Run, scores: dict[str, float], pictures: list[Path]) -> Path:
    """Add a run to the results.

    Writes NAME.json and NAME-*.png, NAME being the run folder's, and renews trained.md from all records there. Images
    of CelebA, whose licence forbids to pass them on, are left out: no reconstructions beside their originals.

    Args:
        folder: The results folder; made if missing.
        run: The evaluated run.
        scores: What `training.runs.evaluate_run` gave.
        pictures: The files that it wrote.

    Returns:
        The table's path.
    """
    folder.mkdir(parents=True, exist_ok=True)
    name = run.folder.name
    record = {
        "run": name,
        "scores": scores,
        "test_images": run.origin["data"]["test"],
        "command": run.config.command(),
        "departures": departures(run.config),
        "epochs": run.epochs,
        "config": run.config.portable(),
        "origin": run.origin,
    }
    write_json(folder / f"{name}.json", record)
    shown = [path for path in pictures if (run.origin["data"]["name"], path.stem) != ("celeba", "reconstructions")]
    for picture in shown:
        with atomic_path(folder / f"{name}-{picture.name}") as temporary:
            temporary.write_bytes(picture.read_bytes())
    records = [json.loads(path.read_text()) for path in sorted(folder.glob("*.json"))]
    write_text(folder / "trained.md", _table([record for record in records if "departures" in record]))
    return folder / "trained.md"


def departures(config: RunConfig) -> list[str]:
    """Settings that differ from section 6.1 of the paper, as "name ours (paper's)"."""
    latent_size = LATENT_SIZE.get(config.data.data, config.model.latent_size)
    model = ModelConfig(method=config.model.method, width=SCALES["paper"].width, latent_size=latent_size)
    paper = TrainConfig(recipe="paper", model=model)
    ours, theirs = (c.model_dump(mode="json", include={"model", "regularizer", "optimizer"}) for c in (config, paper))
    return [
        f"{key} {value} ({theirs[group][key]})"
        for group, settings in ours.items()
        for key, value in settings.items()
        if value != theirs[group][key]
    ]


def _table(records: list[dict[str, Any]]) -> str:
    lines = [
        "# Trained models",
        "",
        "Written by `python -m experiments trained RUN --report docs/results`; do not edit.",
        "Reconstruction error: squared error summed over pixels, mean over test images, codes without noise;",
        "the paper's column is its Table 2. Component purity: share of test images whose class is the commonest of",
        "their most responsible component.",
        "",
        *markdown.table(COLUMNS, map(_row, records)),
    ]
    for record in records:
        name = record["run"]
        lines += ["", f"## {name}", "", "One row per component, its mean first:", ""]
        lines += [f"![One row of generated images per component of {name}]({name}-components.png)", ""]
        if record["config"]["data"]["data"] != "celeba":
            lines += ["Test images above their reconstructions:", ""]
            lines += [f"![Test images and reconstructions by {name}]({name}-reconstructions.png)"]
    return "\n".join(lines) + "\n"


def _row(record: dict[str, Any]) -> list[str]:
    config, scores, origin = record["config"], record["scores"], record["origin"]
    method = config["model"]["method"]
    paper = TABLE_2.get(config["data"]["data"], {}).get(method)
    purity = scores.get("component_purity")
    return [
        record["run"],
        method,
        f"{scores['reconstruction_error']:.2f}",
        "none" if paper is None else f"{paper.reconstruction:.2f}",
        "no classes" if purity is None else f"{purity:.3f}",
        f"{scores['components_used']:.0f} of {config['model']['components']}",
        ", ".join(record["departures"]) or "nothing",
        str(config["seed"]),
        f"{origin['data']['name']} {origin['data']['sha256'][:8]}",
        ", then ".join(revision[:12] for revision in origin["code_revision"].split(", then ")),
        origin["date"],
    ]
