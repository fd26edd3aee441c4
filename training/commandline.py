"""Command lines of configurations: options, wrong values refused in one line, and how a program ends."""

import sys
from collections.abc import Callable
from functools import partial
from typing import Annotated, Any, TypeVar, get_args, get_type_hints

import tyro
from pydantic import ValidationError
from tqdm import tqdm
from tyro.constructors import (
    MISSING_NONPROP,
    ConstructorRegistry,
    StructConstructorSpec,
    StructFieldSpec,
    StructTypeInfo,
)

from readers.errors import DataError
from relatent.validation import NonFiniteError
from training.config import Config, refusal
from training.metrics.weights import WeightsError
from training.run_folder import RunError
from training.signals import Terminated, ended_by_signal

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
            _type(hints[name]),
            default=getattr(info.default, name) if given else _default(field),
            helptext=" ".join((field.description or "").split()) or None,
        )
        for name, field in kind.model_fields.items()
    ]
    return StructConstructorSpec(partial(_make, kind), tuple(fields))


def _type(hint: Any) -> Any:
    """Of an option; folder:PATH stands beside the names of data sets, and the configuration refuses what is neither."""
    names = get_args(hint)
    return Annotated[str, tyro.conf.arg(metavar=f"{{{','.join(names)}:PATH}}")] if "folder" in names else hint


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


def run_program(
    build: Callable[[tyro.extras.SubcommandApp], None], words: list[str], *, prog: str, description: str
) -> int:
    """Parse a command line of verbs and run one.

    Args:
        build: Adds the verbs; what it raises is told as what a verb raises.
        words: The command line.
        prog: What the usage calls the program.
        description: A module's docstring, each line of which is shown as one.

    Returns:
        0 if it went well, 1 with one line on stderr if not, 130 or 143 if a signal ended it.

    Raises:
        SystemExit: With status 2, if the command line is wrong.
    """
    app = tyro.extras.SubcommandApp()
    try:
        build(app)
        with ended_by_signal():
            app.cli(
                args=words,
                prog=prog,
                description="\n\n".join(description.splitlines()),
                config=(tyro.conf.OmitArgPrefixes, tyro.conf.FlagCreatePairsOff),
                registry=REGISTRY,
            )
    except OptionError as error:
        last_words(f"error: {error}")
        sys.exit(2)  # as for a word that is no option
    except ValidationError as error:
        last_words(f"error: {refusal(error, name=option)}")
        sys.exit(2)
    except (DataError, NonFiniteError, OSError, RunError, WeightsError) as error:
        last_words(f"error: {error}")
        return 1
    except KeyboardInterrupt as stop:
        is_term = isinstance(stop, Terminated)
        last_words(f"{'terminated' if is_term else 'interrupted'}{f': {stop}' if f'{stop}' else ''}")
        return 143 if is_term else 130
    return 0


def last_words(text: str) -> None:
    """Print to stderr, in one line of its own, even where a bar stands."""
    tqdm.write(" ".join(text.split("\n")), file=sys.stderr)
