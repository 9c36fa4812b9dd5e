"""YAML files read into frozen dataclasses: every key known, of its type, and there if it has no default."""

from __future__ import annotations

import types
import typing
from dataclasses import MISSING, fields, is_dataclass
from pathlib import Path
from typing import Any, TypeVar

import yaml

from ssdiar.errors import InputError

T = TypeVar("T")


def read_config(cls: type[T], path: str | Path) -> T:
    """Read a YAML mapping into the dataclass ``cls``; nested dataclasses are nested mappings.

    Raises:
        InputError: No such file, no YAML, or a key that is unknown, missing or of the wrong type, named with its place.
    """
    path = Path(path)
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        names = " ".join(sorted(other.stem for other in path.parent.glob("*.yaml"))) or "nothing"
        raise InputError("no such file", path=path, expected=f"one of that folder ({names})") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        mark = getattr(error, "problem_mark", None)
        raise InputError("not YAML", path=path, line=None if mark is None else mark.line + 1) from None
    return _build(cls, values, path, "")


def _build(cls: type[T], values: Any, path: Path, place: str) -> T:
    hints = typing.get_type_hints(cls)
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


def _check(hint: Any, value: Any, path: Path, name: str) -> Any:
    """Return ``value`` if it is one that the type ``hint`` allows (whole numbers are numbers, booleans are not)."""
    options = typing.get_args(hint) if isinstance(hint, types.UnionType) else (hint,)
    for option in options:
        if typing.get_origin(option) is typing.Literal:
            if any(value == choice and type(value) is type(choice) for choice in typing.get_args(option)):
                return value
        elif option is float and type(value) in (int, float):
            return float(value)
        elif type(value) is option:
            return value
    raise InputError(f"bad {name}", path=path, expected=" or ".join(map(_described, options)), got=_shown(value))


def _described(option: Any) -> str:
    if typing.get_origin(option) is typing.Literal:
        return ", ".join(map(_shown, typing.get_args(option)))
    names = {int: "a whole number", float: "a number", str: "text", bool: "true or false", type(None): "null"}
    return names[option]


def _shown(value: Any) -> str:
    return yaml.safe_dump(value, default_flow_style=True).removesuffix("...\n").strip()
