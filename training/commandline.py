"""How configurations become options, and how a wrong value of one is refused: in one line, by the option's name."""

from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar, get_type_hints

from pydantic import ValidationError
from tyro.constructors import (
    MISSING_NONPROP,
    ConstructorRegistry,
    StructConstructorSpec,
    StructFieldSpec,
    StructTypeInfo,
)

from training.config import Config, refusal

C = TypeVar("C", bound=Config)

REGISTRY = ConstructorRegistry()


class OptionError(Exception):
    """A value that an option does not take; no ValueError, or tyro would draw its box around the line."""


@REGISTRY.struct_rule
def options(info: StructTypeInfo) -> StructConstructorSpec | None:
    """Give each field of a configuration an option, described by the docstring below the field."""
    kind: Any = info.type
    if not (isinstance(kind, type) and issubclass(kind, Config)):
        return None
    hints = get_type_hints(kind, include_extras=True)
    given = isinstance(info.default, kind)
    fields = [
        StructFieldSpec(
            name,
            hints[name],
            default=getattr(info.default, name) if given else _default(field),
            helptext=" ".join((field.description or "").split()) or None,
        )
        for name, field in kind.model_fields.items()
    ]
    return StructConstructorSpec(partial(_make, kind), tuple(fields))


def _default(field: Any) -> Any:
    return MISSING_NONPROP if field.is_required() else field.get_default(call_default_factory=True)


def _make(kind: Callable[..., C], **values: Any) -> C:
    try:
        return kind(**values)
    except ValidationError as error:
        raise OptionError(refusal(error, name=option)) from None


def option(place: tuple[int | str, ...]) -> str:
    """The option that sets a field, from the field's place in a configuration."""
    return f"--{[part for part in place if isinstance(part, str)][-1].replace('_', '-')}"
