"""The wheel: it holds the whole library and what it reads, and its command runs from it."""

import os
import shutil
import subprocess
import sys
import zipfile

import pytest


@pytest.fixture(scope="module")
def wheel(repo, tmp_path_factory):
    """Return the wheel that `pip install .` makes."""
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    source.mkdir()
    for name in ("pyproject.toml", "LICENSE", "requirements-best.txt"):
        shutil.copy(repo / name, source)
    for name in ("conf", "docs", "steps"):
        shutil.copytree(repo / name, source / name)
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(folder), str(source)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if "No matching distribution found for setuptools" in done.stderr:
        pytest.skip("setuptools cannot be had from the package index")
    assert done.returncode == 0, done.stderr
    return next(folder.glob("ssdiar-*.whl"))


def test_the_wheel_holds_library_systems_and_templates(wheel, repo):
    held = set(zipfile.ZipFile(wheel).namelist())
    library, conf = repo / "steps" / "libs", repo / "conf"
    wanted = {str(path.relative_to(library)) for path in library.rglob("*.py")}
    wanted |= {f"ssdiar/conf/{path.relative_to(conf)}" for path in conf.rglob("*.yaml")}
    wanted |= {str(path.relative_to(library)) for path in library.glob("ssdiar/report/templates/*")} | {
        "ssdiar/py.typed"
    }
    assert wanted <= held, wanted - held


def test_the_command_runs_from_the_wheel(wheel, tmp_path):
    zipfile.ZipFile(wheel).extractall(tmp_path)
    environment = os.environ | {"PYTHONPATH": str(tmp_path)}
    code = "import ssdiar; from ssdiar.base.config import conf_dir; print(ssdiar.__file__, conf_dir())"
    places = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert places.stdout.split() == [str(tmp_path / "ssdiar/__init__.py"), str(tmp_path / "ssdiar/conf")]
    command = [sys.executable, "-m", "ssdiar", str(tmp_path / "none.wav")]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 1 and done.stderr.startswith("ssdiar: error: ")
    assert len(done.stderr.splitlines()) == 1 and "none.wav" in done.stderr
