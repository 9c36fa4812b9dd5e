"""meta.json: what a directory's content came from, handed on and added to from stage to stage.

Keys that results are named by: speech_source (stage 2), xvector_model (4), system, num_spk_source, seed (5).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ssdiar.errors import InputError
from ssdiar.io.publish import publish_text


def read_meta(folder: str | Path) -> dict[str, Any]:
    """Return the content of ``folder``/meta.json; nothing where another toolkit's directory has no such file.

    Raises:
        InputError: The file is no JSON object.
    """
    path = Path(folder) / "meta.json"
    try:
        meta = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (ValueError, RecursionError):
        meta = None
    if not isinstance(meta, dict):
        raise InputError("damaged", path=path, expected="a JSON object")
    return meta


def write_meta(folder: str | Path, meta: Mapping[str, Any]) -> bool:
    """Write ``folder``/meta.json; return whether it changed."""
    return publish_text(Path(folder) / "meta.json", json.dumps(meta, indent=1) + "\n")
