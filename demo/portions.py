"""Splits long lists into requests of a size that the service takes, and joins the replies."""

import json
from collections.abc import Sequence
from typing import Any, TypeVar

from demo.replies import Reply

_Kind = TypeVar("_Kind", bound=Reply)

SPARE_BYTES = 512
"""Of a body, for everything in it but the rows: names and numbers."""


def portions(rows: Sequence[Any], most: int, body_bytes: int) -> list[list[Any]]:
    """Cut a list.

    Args:
        rows: What stands in requests' bodies, in order.
        most: Rows in a portion, at least 1.
        body_bytes: The largest body; a row that is larger alone is left to the service to refuse.

    Returns:
        The portions, in order; of no rows a single one without any.
    """
    cut: list[list[Any]] = [[]]
    room = body_bytes - SPARE_BYTES
    for row in rows:
        size = len(json.dumps(row)) + 1
        if cut[-1] and (len(cut[-1]) == most or size > room):
            cut.append([])
            room = body_bytes - SPARE_BYTES
        cut[-1].append(row)
        room -= size
    return cut


def join(replies: Sequence[_Kind]) -> _Kind:
    """Replies to the portions as the reply to the whole: lists one after the other, all else as the first has it."""
    first, *others = replies
    if not others:
        return first
    lists = [name for name in type(first).model_fields if isinstance(getattr(first, name), list)]
    joined = {name: [row for reply in replies for row in getattr(reply, name)] for name in lists}
    return first.model_copy(update=joined)
