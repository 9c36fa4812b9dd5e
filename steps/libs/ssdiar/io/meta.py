"""meta.json: where the content of a directory came from, handed on and added to from stage to stage."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from ssdiar.base.errors import InputError
from ssdiar.base.publish import publish_text

_Form = TypeVar("_Form")


def read_meta(folder: str | Path, form: type[_Form] = dict[str, Any], name: str = "meta.json") -> _Form:
    """Return the content of ``folder``/meta.json or another ``name``; without such a file, the defaults of ``form``.

    Args:
        folder: The directory.
        form: A msgspec struct of the keys that the caller uses, with their defaults; other keys are ignored.

    Raises:
        InputError: The file is not a JSON object, or a value is not of its type or range.
    """
    path = Path(folder) / name
    try:
        return msgspec.json.decode(path.read_bytes() if path.exists() else b"{}", type=form)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        what, _, key = str(error).partition(" - at `$.")
        if key:
            raise InputError(f"{key.rstrip('`')}: {what}", path=path) from None
        raise InputError("damaged", path=path, expected="a JSON object") from None


def write_meta(folder: str | Path, meta: Mapping[str, Any]) -> bool:
    """Write ``folder``/meta.json; return whether it changed."""
    return publish_text(Path(folder) / "meta.json", json.dumps(meta, indent=1) + "\n")
