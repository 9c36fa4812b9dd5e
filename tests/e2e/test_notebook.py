"""The notebook of examples/: its code runs, cell by cell, and what it shows is small."""

import json
import os
import subprocess
import sys

import pytest
from running import PATIENCE, REPO

NOTEBOOK = REPO / "examples" / "diarize.ipynb"


def test_the_cells_run(tmp_path, need_module):
    need_module("pandas")
    cells = [cell for cell in json.loads(NOTEBOOK.read_text())["cells"] if cell["cell_type"] == "code"]
    (tmp_path / "examples").mkdir()
    (tmp_path / "local").symlink_to(REPO / "local")
    program = "\n".join("".join(cell["source"]) for cell in cells)
    environment = os.environ | {"PYTHONPATH": str(REPO / "steps" / "libs")}
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=tmp_path / "examples",
        env=environment,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    if "cannot download" in done.stderr and not os.environ.get("CI"):
        pytest.skip(f"no network: {done.stderr}")
    assert done.returncode == 0, done.stderr
    assert "speaker2 me" in done.stdout and "tight: DER" in done.stdout
    assert (tmp_path / "examples/sample.TextGrid").exists()
    assert len(NOTEBOOK.read_bytes()) < 20_000 and "<Diarization sample: 2 speakers" in NOTEBOOK.read_text()
