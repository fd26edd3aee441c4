"""Tables as text: the encoding, the separator and the rows of a CSV, whatever program wrote it."""

import codecs
import csv
import io
import re
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from readers.errors import DataError

SEPARATORS = (",", ";", "\t", "|", " ")  # of those that give as many columns the first
SAMPLE = 1 << 16  # characters, and
SAMPLE_ROWS = 50  # rows, that the separator is told by
ENCODINGS = (  # in this order: a mark of UTF-32 begins as one of UTF-16
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


class TextRow(NamedTuple):
    """A row of a file.

    Attributes:
        number: As a spreadsheet counts: 1 for the first, blank ones counted, one for a cell of several lines.
        line: Of the file, where it begins, 1 for the first.
        cells: Its text, at least one cell.
    """

    number: int
    line: int
    cells: list[str]

    @property
    def where(self) -> str:
        """How to find it."""
        return f"row {self.number}" if self.number == self.line else f"row {self.number} (line {self.line})"

    @property
    def blank(self) -> bool:
        """Whether its cells hold nothing, as in `,,`."""
        return not any(cell.strip() for cell in self.cells)


class Text(NamedTuple):
    """A file as rows of text.

    Attributes:
        separator: What stood between the cells.
        rows: All that are not blank lines.
    """

    separator: str
    rows: list[TextRow]


def read_text(path: Path) -> Text:
    """Read the rows of a file: UTF-8, UTF-16 or UTF-32, else Windows' Latin letters; any line ends.

    Args:
        path: The file. Commas, semicolons, tabs or bars part its cells, and spaces where none of these do: what its
            first line `sep=` says, else what gives most columns that the rows have alike.

    Returns:
        Its rows.

    Raises:
        DataError: If it holds what no text holds, or a quote that does not end.
        OSError: If it cannot be read.
    """
    text = _decode(path, path.read_bytes())
    first = re.split("[\r\n]", text.lstrip("\ufeff"), maxsplit=1)[0].strip(' "')
    told = first[4:5] if first.lower().startswith("sep=") and len(first) == 5 else "\t" if first == "sep=" else ""
    separator = told or _separator(text)
    rows = list(_rows(path, text, separator))
    return Text(separator, rows[1:] if told else rows)


def _decode(path: Path, content: bytes) -> str:
    encoding = next((name for mark, name in ENCODINGS if content.startswith(mark)), "")
    if not encoding and content[1::2].count(0) > len(content) // 4 and not content[::2].count(0):
        encoding = "utf-16-le"  # Latin letters, without a mark
    try:
        text = content.decode(encoding or "utf-8")
    except UnicodeDecodeError as error:
        if encoding:
            raise DataError(
                f"{path}: expected text in {encoding}, as its first bytes say, got {error.reason}"
            ) from None
        text = content.decode("cp1252", "replace")
    if (at := text.find("\0")) >= 0:
        line = len(text[:at].splitlines()) or 1
        raise DataError(
            f"{path}, line {line}: expected text, a CSV with a header, got a zero byte: the file is damaged or of "
            "another kind; save it as CSV, or an array by numpy.save"
        )
    return text


def _separator(text: str) -> str:
    best, most = ",", 1
    for separator in SEPARATORS:
        if separator == " " and most > 1:
            break
        try:
            rows = csv.reader(io.StringIO(text[:SAMPLE], newline=""), delimiter=separator, skipinitialspace=True)
            counts = [len(cells) for cells in islice(filter(None, rows), SAMPLE_ROWS)]
        except csv.Error:
            continue
        # R leaves the name of its first column out.
        alike = sum(count in (counts[0], counts[0] + 1) for count in counts)
        if counts and counts[0] > most and 2 * alike > len(counts):
            best, most = separator, counts[0]
    return best


def _rows(path: Path, text: str, separator: str) -> Iterator[TextRow]:
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, skipinitialspace=True, strict=True)
    number, line = 0, 1
    while True:
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            where = TextRow(number + 1, line, []).where
            raise DataError(f"{path}, {where}: expected cells apart by {separator!r}, got {error}") from None
        number += 1
        if separator == " " and len(cells) > 1 and not cells[-1]:
            cells.pop()  # what spaces at the end of a line would part off
        if cells:
            yield TextRow(number, line, cells)
        line = reader.line_num + 1
