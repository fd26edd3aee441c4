"""Tables in Markdown."""

from collections.abc import Iterable, Sequence


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """A table.

    Args:
        header: Titles of its columns.
        rows: As many cells each.

    Returns:
        Its lines.
    """
    escaped = [[cell.replace("|", "\\|") for cell in row] for row in rows]
    return [f"| {' | '.join(line)} |" for line in (header, ["---"] * len(header), *escaped)]
