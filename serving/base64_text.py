"""Reads base64 as people send it: in a data URL, wrapped into lines, in the alphabet for URLs, or without padding."""

import base64
import re
from urllib.parse import unquote


def read_base64(text: str) -> bytes:
    """Decode text.

    Args:
        text: Base64 in the alphabet of RFC 4648's section 4 or 5, padded or not; line breaks within and white space
            around it do not count, nor does `data:TYPE;base64,` before it.

    Returns:
        The bytes.

    Raises:
        ValueError: If it is none; the message says what to do.
    """
    try:
        return base64.b64decode(text, validate=True)
    except ValueError:
        pass  # most text is as it should be, and tidying all of it would cost as much as decoding it
    text = text.strip()
    if text[:5].lower() == "data:":
        head, comma, text = text.partition(",")
        if not comma or not head.lower().rstrip().endswith(";base64"):
            raise ValueError("expected a data URL that holds base64, as data:image/png;base64,..., got another")
        text = unquote(text) if "%" in text else text
    if re.match(r"(https?|file|blob):", text, re.IGNORECASE):
        raise ValueError("expected a picture file in base64, got a URL; nothing is fetched, send the file's own bytes")
    tidy = re.sub(r"\s*[\r\n]\s*", "", text).translate(str.maketrans("-_", "+/")).rstrip("=")
    try:
        return base64.b64decode(tidy + "=" * (-len(tidy) % 4), validate=True)
    except ValueError:
        raise ValueError("expected a picture file in base64, got text that is no base64") from None
