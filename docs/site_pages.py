"""Pages of the documentation site that are written from other files: README and its like, tutorials, the reference.

A hook of MkDocs, which calls `on_files`.
"""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = (
    "relatent",
    "readers",
    "readers.pictures",
    "readers.tables",
    "readers.datasets",
    "training",
    "training.objectives",
    "training.metrics",
    "training.multiview",
    "export",
    "serving",
)
WRITTEN = {
    "README.md": "index.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
    "training/LOG.md": "log.md",
}
TUTORIALS = ("tutorial", "unpaired")
ENTRY_POINTS = {"__init__", "__main__"}


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that are not files of docs/.

    Args:
        files: Those of docs/.
        config: The site's.

    Returns:
        All files.
    """
    for source, page in WRITTEN.items():
        files.append(File.generated(config, page, content=relink((ROOT / source).read_text())))
    for package in PACKAGES:
        files.append(File.generated(config, f"api/{package}.md", content=reference(package)))
    for name in TUTORIALS:
        notebook = json.loads((ROOT / "docs" / f"{name}.ipynb").read_text())
        files.append(File.generated(config, f"{name}.md", content="\n\n".join(tutorial(notebook, name))))
    return files


def relink(text: str) -> str:
    """A document of the root as one of the site: links into docs/ and between such documents, no others.

    Args:
        text: Markdown.

    Returns:
        The same with links that lead somewhere.
    """

    def point(match: re.Match[str]) -> str:
        label, target = match["label"], match["target"]
        if "://" in target or target.startswith("#"):
            return match[0]
        path, hash_sign, anchor = target.removeprefix("docs/").partition("#")
        if path != target.partition("#")[0] or path in WRITTEN:
            return f"{label}({WRITTEN.get(path, path).replace('.ipynb', '.md')}{hash_sign}{anchor})"
        return label.removeprefix("!")[1:-1]  # a file that the site does not hold

    return re.sub(r"(?P<label>!?\[[^\]]*\])\((?P<target>[^)\s]+)\)", point, text)


def reference(package: str) -> str:
    """A page that asks for the docstrings of a package's modules.

    Args:
        package: By its dotted name.

    Returns:
        Markdown.
    """
    folder = ROOT / package.replace(".", "/")
    modules = sorted(path.stem for path in folder.glob("*.py") if path.stem not in ENTRY_POINTS)
    return "\n\n".join([f"# {package}", *(f"::: {package}.{name}" for name in modules)]) + "\n"


def tutorial(notebook: dict[str, Any], name: str) -> Iterator[str]:
    """A tutorial as Markdown, with what its cells printed and drew.

    Args:
        notebook: In Jupyter's format 4.
        name: Of its file, without suffix.

    Yields:
        Paragraphs.
    """
    for cell in notebook["cells"]:
        source = "".join(cell["source"])
        if cell["cell_type"] == "markdown":
            yield source
            continue
        yield f"```python\n{source}\n```"
        for output in cell["outputs"]:
            if "text" in output:
                yield f"```text\n{''.join(output['text']).rstrip()}\n```"
            elif picture := output.get("data", {}).get("image/png"):
                yield f"![What this cell shows](data:image/png;base64,{''.join(picture).replace(chr(10), '')})"
    yield f"[This page as a notebook]({name}.ipynb)"
