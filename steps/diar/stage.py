"""What every stage's Python file begins with: one thread per job, the way to the library, options, log and errors."""

import os
import sys
from pathlib import Path

# One thread per job: jobs run side by side. Stage files import this before anything that imports NumPy.
for _variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_variable] = "1"

# The library is found from this file's physical place, so that a link to this folder works from anywhere.
sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "libs"))

from ssdiar.arguments import Parser, boolean, number, run, whole_number

__all__ = ["Parser", "boolean", "number", "run", "whole_number"]
