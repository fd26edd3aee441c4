"""Tables in Markdown, and numbers in their cells."""

import statistics
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


def mean_and_spread(values: Sequence[float], digits: int) -> str:
    """Mean ± sample standard deviation; the mean alone of a single value."""
    mean = f"{statistics.fmean(values):.{digits}f}"
    return f"{mean} ± {statistics.stdev(values):.{digits}f}" if len(values) > 1 else mean
