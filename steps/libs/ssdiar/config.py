"""YAML files read into frozen dataclasses: every key known, of its type, in its range, and there if it has no default.

A field says what it allows in its type: ``Annotated[int, Range(1)]``, ``Literal["a", "b"]``, ``float | None``.
"""

from __future__ import annotations

import functools
import math
import re
import sys
import types
import typing
from collections.abc import Sequence
from dataclasses import MISSING, dataclass, fields, is_dataclass
from pathlib import Path
from typing import Annotated, Any, TypeVar

import yaml

from ssdiar.errors import InputError

T = TypeVar("T")

# YAML's whole numbers have no end; nothing can compute with larger ones than these.
_LARGEST = {int: 2**31 - 1, float: sys.float_info.max}


def conf_dir() -> Path:
    """Return the folder conf: that inside an installed package, or else the recipe's."""
    inside = Path(__file__).resolve().parent / "conf"
    return inside if inside.is_dir() else inside.parents[3] / "conf"


@dataclass(frozen=True)
class Range:
    """Numbers that a field allows.

    Args:
        low: The least; with ``above``, what they must be above.
        high: The greatest.
        above: Whether ``low`` itself is not allowed.
        step: If given, only ``low`` and every ``step`` after it.
    """

    low: float
    high: float = math.inf
    above: bool = False
    step: int | None = None

    def allows(self, value: float) -> bool:
        """Return whether the field may hold this number."""
        in_step = self.step is None or (value - self.low) % self.step == 0
        return self.low <= value <= self.high and not (self.above and value == self.low) and in_step

    def __str__(self) -> str:
        text = f"above {self.low:g}" if self.above else f"from {self.low:g}"
        if self.high < math.inf:
            text += f"{', at most' if self.above else ' to'} {self.high:g}"
        return text if self.step is None else f"{text} in steps of {self.step}"


@dataclass(frozen=True)
class Matching:
    """Text that a field allows: what matches ``pattern`` as a whole, which ``description`` says in words."""

    pattern: str
    description: str

    def allows(self, value: str) -> bool:
        """Return whether the field may hold this text."""
        return re.fullmatch(self.pattern, value) is not None

    def __str__(self) -> str:
        return self.description


class _Loader(yaml.SafeLoader):
    """YAML in which no key comes twice, and in which 1e-3 is a number although YAML 1.1 wants a point in it."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        mapping = super().construct_mapping(node, deep)
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        for index, key in enumerate(keys):
            if key in keys[:index]:
                raise yaml.constructor.ConstructorError(None, None, f"{key} twice", node.value[index][0].start_mark)
        return mapping


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"[-+]?[0-9]+(\.[0-9]*)?[eE][-+]?[0-9]+$"), list("-+0123456789")
)


def read_config(
    cls: type[T] | tuple[type[T], ...], path: str | Path, changes: Sequence[str] = (), over: str | Path | None = None
) -> T:
    """Read a YAML mapping into the dataclass ``cls``; nested dataclasses are nested mappings.

    Args:
        cls: The dataclass; or several, whose first field is a Literal of one value that says which one a file is.
        path: The file.
        changes: ``key=value`` or ``outer.key=value``, put over what the files say; values as in YAML.
        over: Another file, a part of such a mapping that is put over the first.

    Raises:
        InputError: No such file, no YAML, or a key that is unknown, missing, of the wrong type or out of its range,
            named with its place.
    """
    path = Path(path)
    values = _load(path)
    if over is not None:
        values = _merged(values, _load(Path(over)))
    for change in changes:
        values = _changed(values, change)
    return _build(cls if isinstance(cls, type) else _chosen(cls, values, path), values, path, "")


def _load(path: Path) -> Any:
    try:
        return yaml.load(path.read_text(encoding="utf-8"), _Loader)
    except FileNotFoundError:
        names = " ".join(sorted(other.stem for other in path.parent.glob("*.yaml"))) or "nothing"
        raise InputError("no such file", path=path, expected=f"one of that folder ({names})") from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:  # a date such as 2001-99-99 is a ValueError
        mark = getattr(error, "problem_mark", None)
        problem = getattr(error, "problem", None)
        raise InputError("not YAML", path=path, line=None if mark is None else mark.line + 1, got=problem) from None


def _chosen(classes: tuple[type[T], ...], values: Any, path: Path) -> type[T]:
    """Return the one of several dataclasses that a file says it is."""
    key = fields(classes[0])[0].name
    kinds = {typing.get_args(_hints(cls)[key])[0]: cls for cls in classes}
    kind = values.get(key) if isinstance(values, dict) else None
    if not isinstance(kind, str) or kind not in kinds:
        raise InputError(f"bad {key}", path=path, expected=", ".join(kinds), got=_shown(kind))
    return kinds[kind]


def _changed(values: Any, change: str) -> Any:
    """Return a mapping with one ``outer.key=value`` put over it."""
    place, equals, text = change.partition("=")
    if not equals or not all(place.split(".")):
        raise InputError("bad change of an option", expected="name=value or outer.name=value", got=change)
    try:
        value = yaml.load(text, _Loader)
    except (yaml.YAMLError, ValueError, RecursionError):
        raise InputError(f"bad value of {place}", got=text) from None
    for key in reversed(place.split(".")):
        value = {key: value}
    return _merged(values, value)


def _merged(values: Any, over: Any) -> Any:
    if not isinstance(values, dict) or not isinstance(over, dict):
        return over
    return values | {key: _merged(values.get(key), value) for key, value in over.items()}


def _build(cls: type[T], values: Any, path: Path, place: str) -> T:
    hints = _hints(cls)
    if not isinstance(values, dict):
        raise InputError(
            f"bad {place.rstrip('.') or 'content'}", path=path, expected=" ".join(hints), got=_shown(values)
        )
    for key in values:
        if key not in hints:
            raise InputError(f"unknown key {place}{key}", path=path, expected=f"one of: {' '.join(hints)}")
    arguments = {}
    for field in fields(cls):
        name, hint = f"{place}{field.name}", hints[field.name]
        if field.name in values:
            value = values[field.name]
            arguments[field.name] = (
                _build(hint, value, path, f"{name}.") if is_dataclass(hint) else _check(hint, value, path, name)
            )
        elif field.default is MISSING and field.default_factory is MISSING:
            raise InputError(f"no {name}", path=path)
    return cls(**arguments)


@functools.cache
def _hints(cls: type) -> dict[str, Any]:
    return typing.get_type_hints(cls, include_extras=True)


def _check(hint: Any, value: Any, path: Path, name: str) -> Any:
    """Return ``value`` if it is one that the type ``hint`` allows (whole numbers are numbers, booleans are not)."""
    union = typing.get_origin(hint) in (typing.Union, types.UnionType)
    options = typing.get_args(hint) if union else (hint,)
    for option in options:
        kind, limits = _parts(option)
        if typing.get_origin(kind) is tuple:  # tuple[item, ...] only
            if isinstance(value, list):
                return tuple(_check(typing.get_args(kind)[0], item, path, name) for item in value)
        elif typing.get_origin(kind) is typing.Literal:
            if any(value == choice and type(value) is type(choice) for choice in typing.get_args(kind)):
                return value
        elif (type(value) is kind or (kind is float and type(value) is int)) and _is_in(value, kind, limits):
            return float(value) if kind is float else value
    raise InputError(f"bad {name}", path=path, expected=" or ".join(map(_described, options)), got=_shown(value))


def _parts(option: Any) -> tuple[Any, tuple[Range | Matching, ...]]:
    """Return a type without its annotations, and these."""
    return (option.__origin__, option.__metadata__) if typing.get_origin(option) is Annotated else (option, ())


def _is_in(value: Any, kind: type, limits: tuple[Range | Matching, ...]) -> bool:
    finite = kind not in _LARGEST or abs(value) <= _LARGEST[kind]  # which nan is not
    return finite and all(limit.allows(value) for limit in limits)


def _described(option: Any) -> str:
    kind, limits = _parts(option)
    if typing.get_origin(kind) is typing.Literal:
        return ", ".join(map(_shown, typing.get_args(kind)))
    if typing.get_origin(kind) is tuple:
        return f"a list of {_described(typing.get_args(kind)[0])}"
    names = {int: "a whole number", float: "a number", str: "text", bool: "true or false", type(None): "null"}
    if any(isinstance(limit, Matching) for limit in limits):
        return str(limits[0])
    return " ".join([names[kind], *map(str, limits)])


def _shown(value: Any) -> str:
    return yaml.safe_dump(value, default_flow_style=True).removesuffix("...\n").strip()
