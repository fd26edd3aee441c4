"""The text of a table's cells to numbers, missing values, ids and class names."""

import re
import unicodedata
from collections.abc import Sequence

NOTHING = {"", "na", "n/a", "#n/a", "<na>", "nan", "null"}
"""What programs write for a value that is not there, in lower case."""
LARGEST = 3.4028234e38
"""Of float32."""
EXACT = 2.0**53  # below it float64 holds all whole numbers

_PLAIN = re.compile(r"[0-9eE+\-.\x00]*")
_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")
_COMMA = re.compile(r"[+-]?([0-9]*),([0-9]+)([eE][+-]?[0-9]+)?")
_THOUSANDS = re.compile(r"[+-]?[1-9][0-9]{0,2}(,[0-9]{3})+")
_WHOLE = re.compile(r"([+-]?)0*([0-9]+)(\.0*|,0{1,2}|,0{4,})?")  # 1,000 could as well be a thousand
_POWER = re.compile(r"[+-]?[0-9](\.[0-9]+[eE][+-]?[0-9]{1,3}|[eE]\+[0-9]{2,3})")


def is_nothing(cell: str) -> bool:
    """Whether a cell holds no value: empty, NA, NaN or null."""
    return cell.strip().lower() in NOTHING


def is_number(cell: str) -> bool:
    """Whether a cell is a number and nothing but: digits, a point, a power of ten."""
    return _NUMBER.fullmatch(cell.strip()) is not None


def numbers(cells: Sequence[str]) -> list[float] | None:
    """The values of cells that are all finite numbers; None if one is not, for whoever asks to look for it."""
    cells = [cell.strip() for cell in cells]
    # Without other letters than an exponent's, float() takes nothing that is_number does not.
    if not _PLAIN.fullmatch("\0".join(cells)):
        return None
    try:
        values = [float(cell) for cell in cells]
    except ValueError:
        return None
    return values if all(-LARGEST <= value <= LARGEST for value in values) else None


def complaint(cell: str) -> str:
    """Why a cell is no number that a model can learn: what was expected, what it is, and what helps."""
    text = cell.strip()
    shown = repr(text if len(text) <= 40 else f"{text[:37]}...")
    if is_nothing(text):
        got = f"{shown}, no value" if text else "an empty cell"
        return (
            f"expected a number, got {got}; fill it, or leave all cells of the row empty if the view does not know it"
        )
    if is_number(text):
        return f"expected a number within ±{LARGEST:.1e}, got {shown}; choose another unit"
    if text.lower() in {"true", "false"}:
        return f"expected a number, got {shown}; write 1 and 0"
    if any(separator in text for separator in ",;\t|"):
        return (
            f"expected a number, got {shown}: decimals take a point, or a comma in a file whose separator is another; "
            "thousands take nothing"
        )
    return f"expected a number, got {shown}; write it as in -1.5 or 2e3, or take the column out"


def has_decimal_commas(cells: Sequence[str]) -> bool:
    """Whether commas in these cells, which they do not separate, are decimal ones.

    Not if a cell has a decimal point, and not if each could as well part thousands, as in 1,234.
    """
    with_comma = [text for cell in cells if "," in (text := cell.strip())]
    decimal = [text for text in with_comma if _COMMA.fullmatch(text)]
    return bool(decimal) and not (
        any("." in cell for cell in cells if is_number(cell)) or all(map(_THOUSANDS.fullmatch, decimal))
    )


def with_point(cell: str) -> str:
    """A number with a decimal comma, with a point; anything else as it is."""
    return cell.replace(",", ".") if _COMMA.fullmatch(cell.strip()) else cell


def meaning(text: str) -> str:
    """A class as people mean it: 01, 1, 1.0 and 1,0 are one, and so are texts that differ in spaces alone."""
    text = " ".join(unicodedata.normalize("NFKC", text).replace("\ufeff", "").replace("\u200b", "").split())
    if _POWER.fullmatch(text) and abs(value := float(text)) < EXACT and value == int(value):
        text = str(int(value))  # as NumPy and Excel write whole numbers
    if whole := _WHOLE.fullmatch(text):
        sign = "-" if whole[1] == "-" and whole[2] != "0" else ""
        return sign + whole[2]
    return text


def identity(text: str) -> str:
    """An id as people mean it: as `meaning`, and upper and lower case are one."""
    return meaning(text).casefold()
