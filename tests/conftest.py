"""What all tests share: how a script is run, and which outside programs must be there."""

import os
import shutil
from pathlib import Path

import pytest
from slurm_cluster import PROGRAMS, running_cluster

REPO = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def repo():
    """Return the root of the repository."""
    return REPO


@pytest.fixture(scope="session")
def need():
    """Return a function that demands a program: its path, or a skip where it is not installed (a failure under CI)."""

    def find(program, *places):
        for place in (program, *places):
            if path := shutil.which(place):
                return path
        message = f"{program} is not installed"
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message)
        return None

    return find


@pytest.fixture(scope="session")
def slurm(need):
    """Return a running Slurm cluster of one node (slurm_cluster.Cluster)."""
    for program in PROGRAMS:
        need(program, f"/usr/sbin/{program}")
    with running_cluster() as cluster:
        yield cluster
