"""YAML files of conf/ read into frozen structs: every key known, of its type, in its range, present if required.

A *choice* is the name of a file, and after each ``+`` a change: another file, or ``name=value``, put over the first.
Examples: ``best``, ``dnn_ahc_triplet+literal``, ``pyannote+onset=0.5``.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, TypeVar

import msgspec
import yaml
from msgspec import Meta

from ssdiar.base.errors import InputError

T = TypeVar("T")

# YAML's numbers have no end; nothing can compute with larger ones than these.
AtLeastOne = Annotated[int, Meta(ge=1, le=2**31 - 1)]
Share = Annotated[float, Meta(ge=0, le=1)]
NotNegative = Annotated[float, Meta(ge=0, le=1e9)]
Positive = Annotated[float, Meta(gt=0, le=1e9)]
#: Where a network runs; jobs share the GPUs that they see.
Device = Annotated[str, Meta(pattern="^(cpu|cuda(:[0-9]+)?)$")]


class Config(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Base of everything that is read from conf/."""


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


def conf_dir() -> Path:
    """Return the folder conf: that inside an installed package, or else the recipe's."""
    inside = Path(__file__).resolve().parents[1] / "conf"
    return inside if inside.is_dir() else inside.parents[3] / "conf"


def config_files(choice: str | Path, kind: str) -> list[Path]:
    """Return the files that a choice names, the first one first.

    Args:
        choice: The name or path of a file, and changes (see the module).
        kind: The folder of conf/ that has files of this kind; files put over another one are in conf/readings.
    """
    first, *changes = _parts(choice)
    files = [(first, kind), *((change, "readings") for change in changes if "=" not in change)]
    return [Path(name) if name.endswith(".yaml") else conf_dir() / folder / f"{name}.yaml" for name, folder in files]


def config_name(choice: str | Path) -> str:
    """Return the name for results of a choice: the names of its files, joined by ``_``."""
    return "_".join(path.stem for path in config_files(choice, "."))


def read_config(cls: type[T], choice: str | Path, kind: str, changes: Sequence[str] = ()) -> T:
    """Read a choice into the struct ``cls`` (or one of a union of tagged structs).

    Args:
        cls: The struct; nested structs are nested mappings.
        choice: See :func:`config_files`.
        kind: See there.
        changes: More changes, ``name=value`` or ``outer.name=value``; values as in YAML.

    Raises:
        InputError: No such file, no YAML, or a key that is unknown, missing, of the wrong type or out of its range.
    """
    path, *over = config_files(choice, kind)
    values = _load(path)
    for other in over:
        values = _merged(values, _load(other))
    for change in (*(part for part in _parts(choice) if "=" in part), *changes):
        values = _changed(values, change)
    try:
        return msgspec.convert(values, cls)
    except msgspec.ValidationError as error:
        problem, _, place = str(error).partition(" - at `$.")
        raise InputError(f"{place.rstrip('`')}: {problem}" if place else problem, path=path) from None


def _parts(choice: str | Path) -> list[str]:
    return [str(choice)] if Path(choice).is_file() else str(choice).split("+")


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
