"""Freeze a trained run into a bundle that `python -m serving` serves.

python -m export runs/mnist-prae --out models/mnist-prae
python -m export runs/mnist-prae --out models/mnist-prae --overwrite --torchscript
python -m export runs/handwritten-gw --out models/handwritten-cotrain --credit "Whose data these are"

What can be done with a bundle; the help of each is at `python -m export VERB --help`:

python -m export card models/mnist-prae --licence apache-2.0      its model card written anew, its graphs as they are
python -m export examples models/mnist-prae --count 200           test items put into it, for the page's Views and Map
python -m export push models/mnist-prae you/mnist-prae            to a model hub
python -m export triton models/mnist-prae --out repository        models of NVIDIA Triton Inference Server
"""

import shlex
import sys
from collections.abc import Callable
from pathlib import Path

try:
    import tyro

    from export.assemble import ExportError, export_run, rewrite_card
    from export.card import CardError
    from export.examples import add_examples
    from export.parity import ParityError
    from export.push import PushError, bundle_files, push_bundle
    from export.triton import export_triton
    from readers.errors import DataError
    from serving.bundle import BundleError
    from serving.manifest import CARD, EXAMPLES
    from training.run_folder import RunError
    from training.runs import load_run
except ModuleNotFoundError as error:
    if str(error.name).partition(".")[0] in {"export", "readers", "relatent", "serving", "training"}:
        raise  # a mistake of ours, not of the installation
    sys.exit(f"error: {error.name} is not installed: run `make setup` and use .venv")


def export(
    run: tyro.conf.Positional[Path],
    *,
    out: Path,
    credit: str = "",
    licence: str = "",
    torchscript: bool = False,
    overwrite: bool = False,
) -> None:
    """Freeze a trained run into a bundle: ONNX graphs, a manifest, and proof that they compute the same.

    Its data need not be at hand; its scores are those that `python -m training evaluate` left in its folder.

    Args:
        run: The run folder, of `python -m training train` or `cotrain`.
        out: The bundle to write; the folder's name is the model's name, of letters, digits, '_', '.' and '-'.
        credit: Whose data the run was trained on, and under which licence; goes into the manifest and the model card.
        licence: Licence of the model itself, by the name that model hubs give it, such as apache-2.0.
        torchscript: Also write each graph as TorchScript, for C++.
        overwrite: Replace a bundle that is there.
    """
    manifest = export_run(
        load_run(run), out, credit=credit, licence=licence, torchscript=torchscript, overwrite=overwrite
    )
    for name, parity in manifest.parity.items():
        print(f"{name}: largest deviation from torch {parity.max_abs_error:.2g} (allowed {parity.tolerance:g})")
    for name, value in manifest.scores.items():
        print(f"{name} {value:.4f}")
    size = sum(entry.size for entry in manifest.files.values())
    print(f"exported: {out} ({size / 1e6:.1f} MB)\nnext: python -m serving --models {shlex.quote(str(out.parent))}")


def triton(bundle: tyro.conf.Positional[Path], *, out: Path) -> None:
    """Write a bundle as models of NVIDIA Triton Inference Server, one per graph and three ensembles.

    python -m export triton models/mnist-prae --out repository

    Args:
        bundle: The bundle's folder; its name begins the models' names.
        out: The model repository to add them to.
    """
    names = export_triton(bundle, out)
    print(f"exported: {', '.join(names)}\nnext: tritonserver --model-repository={out}")


def card(
    bundles: tyro.conf.Positional[tuple[Path, ...]], *, credit: str | None = None, licence: str | None = None
) -> None:
    """Write the model cards of bundles anew, with README.md and picture; their graphs stay as they are.

    python -m export card models/mnist-prae models/mnist-drae --licence apache-2.0

    Args:
        bundles: Their folders.
        credit: Whose data they were trained on, and under which licence; default: what the manifest says.
        licence: Licence of the models, by the name that model hubs give it, such as apache-2.0; default likewise.
    """
    for bundle in bundles:
        rewrite_card(bundle, credit=credit, licence=licence)
        print(bundle / CARD)


def push(
    bundle: tyro.conf.Positional[Path],
    repository: tyro.conf.Positional[str],
    *,
    private: bool = False,
    dry_run: bool = False,
) -> None:
    """Bring a bundle to a model hub: huggingface.co, or what HF_ENDPOINT names.

    python -m export push models/mnist-prae you/mnist-prae --dry-run

    HF_TOKEN or `hf auth login` says who you are. The repository then holds the bundle and nothing else; `hf download
    REPOSITORY --local-dir models/NAME` gives it back, ready to serve.

    Args:
        bundle: The bundle's folder.
        repository: OWNER/NAME; made if it is not there.
        private: Make a private repository.
        dry_run: Check the bundle, print what would be sent, and send nothing.
    """
    if dry_run:
        for name, content in bundle_files(bundle).items():
            print(f"{len(content):10d}  {name}")
        print(f"dry run: nothing was sent to {repository}")
        return
    print(f"pushed: {push_bundle(bundle, repository, private=private)}")


def examples(bundle: tyro.conf.Positional[Path], *, count: int = 200, data_dir: Path | None = None) -> None:
    """Put test items of a model's own data into its bundle, for people to look at the model with.

    python -m export examples models/mnist-prae --data-dir FOLDER --count 200

    Args:
        bundle: The bundle's folder. Whoever gets the bundle gets the items too.
        count: How many, drawn from the test set, the same each time.
        data_dir: Where the data lie, if not where training looks by itself; of images in a folder that folder, of
            tables the one that holds their files.
    """
    manifest = add_examples(bundle.resolve(), count=count, data_dir=data_dir)
    print(f"added: {bundle / EXAMPLES} ({manifest.files[EXAMPLES].size / 1e3:.0f} kB)")


VERBS: dict[str, Callable[..., None]] = {"card": card, "examples": examples, "push": push, "triton": triton}


def main() -> int:
    """Parse the command line and export; 0 if it went well, 1 with one line on stderr if not."""
    words = sys.argv[1:]
    verb: Callable[..., None] = export
    prog, description = "python -m export", "\n\n".join(str(__doc__).splitlines())
    if words and words[0] in VERBS:  # a run folder of that name is ./NAME
        verb, words, prog, description = VERBS[words[0]], words[1:], f"{prog} {words[0]}", ""
    try:
        tyro.cli(verb, args=words, prog=prog, description=description or None, config=(tyro.conf.FlagCreatePairsOff,))
    except (BundleError, CardError, DataError, ExportError, OSError, ParityError, PushError, RunError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
