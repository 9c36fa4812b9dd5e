"""Start of every program beside the library: one thread per job, the path to the library, options, log and errors."""

import os
import sys
from pathlib import Path

# One thread per job, because jobs run side by side. Programs import this before anything that imports NumPy.
for _variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_variable] = "1"

# The library is found from the physical place of this file, so that a link to this folder works from anywhere.
_REPO = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(_REPO / "steps" / "libs"))

from ssdiar.base.arguments import Parser, boolean, explain, number, program_name, run, whole_number
from ssdiar.base.errors import InputError

__all__ = ["Parser", "apart", "boolean", "number", "run", "whole_number"]


def apart(out_dir: Path, *inputs: Path) -> None:
    """Raise InputError if an output directory is an input, too."""
    for path in inputs:
        if out_dir.exists() and path.exists() and out_dir.samefile(path):
            raise InputError("is input and output at once", path=out_dir, expected="another output directory")


def _missing_package(kind: type, error: BaseException, trace: object) -> None:
    """Rerun a program whose imports lack a package in .venv, unless PYTHON is set; otherwise report it in one line."""
    line = explain(error) if isinstance(error, ModuleNotFoundError) else None
    venv = _REPO / ".venv"
    python = venv / "bin" / "python3"
    if line and not os.environ.get("PYTHON") and python.exists() and not venv.samefile(sys.prefix):
        os.execv(python, [python, *sys.argv])
    if line is None:
        sys.__excepthook__(kind, error, trace)
    else:
        print(f"{program_name()}: error: {line}", file=sys.stderr)


sys.excepthook = _missing_package
