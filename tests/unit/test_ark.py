"""x-vectors in Kaldi's archives: what other toolkits write is read to the bit, and nothing else is."""

import importlib.util
import os
import pickle
import struct
from pathlib import Path

import kaldiio
import numpy as np
import pytest

from ssdiar.base.errors import InputError
from ssdiar.io.ark import XVectors, write_xvector_scp, write_xvectors

DATA = Path(__file__).resolve().parents[1] / "data"
_SPEC = importlib.util.spec_from_file_location("make_arks", DATA / "make_arks.py")
make_arks = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(make_arks)
VECTORS = {key: np.array(values) for key, values in make_arks.VECTORS.items()}


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "à, b: [1] c"
    folder.mkdir()
    return folder


@pytest.fixture
def load(folder):
    """Return a function that loads one entry, of the bytes given or of the place given in the table."""

    def load(content=b"", place=None):
        (folder / "x.ark").write_bytes(content)
        (folder / "xvector.scp").write_text(f"u {folder / 'x.ark'}:2\n" if place is None else f"u {place}\n")
        return XVectors(folder / "xvector.scp").load(["u"])[0]

    return load


def binary(values, kind=b"FV ", dtype="<f4", size=None):
    values = np.asarray(values, dtype)
    return b"u \0B" + kind + b"\4" + struct.pack("<i", len(values) if size is None else size) + values.tobytes()


@pytest.mark.parametrize("kind", ["float", "double", "text"])
def test_golden_archives(folder, kind):
    ark = DATA / f"xvectors.{kind}.ark"
    content = ark.read_bytes()
    places = {key: (ark, content.index(f"{key} ".encode()) + len(key) + 1) for key in VECTORS}
    write_xvector_scp(folder / "xvector.scp", places)
    table = XVectors(folder / "xvector.scp")
    keys = list(reversed(VECTORS))
    vectors = table.load(keys)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(vectors, np.stack([VECTORS[key] for key in keys]), rtol=1e-5 if kind == "text" else 0)
    assert set(table.keys()) == set(VECTORS) and len(table.keys()) == 3


def test_compressed_matrices_are_refused(load):
    content = (DATA / "xvectors.compressed.ark").read_bytes()
    key = next(iter(VECTORS))
    with pytest.raises(InputError, match=r"scp:1: .*u: unreadable .*; expected a vector of floats, got a matrix"):
        load(b"u " + content[len(key) + 1 :])


def test_what_is_written_is_what_kaldi_reads(folder):
    rng = np.random.default_rng(0)
    vectors = {f"r-{i}": rng.standard_normal(7) for i in range(20)}
    offsets = write_xvectors(folder / "x.ark", vectors)
    peer = dict(kaldiio.load_ark(str(folder / "x.ark")))
    assert list(peer) == list(vectors)
    for key, vector in vectors.items():
        assert peer[key].dtype == np.float32
        np.testing.assert_array_equal(peer[key], vector.astype(np.float32))
    assert write_xvector_scp(folder / "x.scp", {key: (folder / "x.ark", offsets[key]) for key in vectors})
    assert [line.split()[0] for line in (folder / "x.scp").read_text().splitlines()] == sorted(vectors)
    order = sorted(vectors, key=lambda key: key[::-1])
    np.testing.assert_array_equal(XVectors(folder / "x.scp").load(order), np.float32([vectors[key] for key in order]))


@pytest.mark.parametrize("text", [False, True])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("dimension", [1, 5, 512])
def test_what_kaldiio_writes_is_read(tmp_path, text, dtype, dimension):
    rng = np.random.default_rng(dimension)
    vectors = {f"k{i}": rng.standard_normal(dimension).astype(dtype) for i in range(3)}
    kaldiio.save_ark(str(tmp_path / "x.ark"), vectors, scp=str(tmp_path / "x.scp"), text=text)
    table = XVectors(tmp_path / "x.scp")
    np.testing.assert_allclose(table.load(list(vectors)), np.stack(list(vectors.values())), rtol=1e-6)


def test_no_keys_no_vectors(folder):
    (folder / "x.scp").write_text("")
    assert XVectors(folder / "x.scp").load([]).shape == (0, 0)


@pytest.mark.parametrize(
    ("text", "values"),
    [
        (b" [ 1 2.5 -3 ]\n", [1, 2.5, -3]),
        (b"[ 1 2 ]", [1, 2]),
        (b"  [1e-05 0]\r\n", [1e-5, 0]),
        (b" [\t7 ]\nv  [ 8 ]\n", [7]),
    ],
)
def test_text_vectors(load, text, values):
    np.testing.assert_allclose(load(b"u " + text), values)


def test_a_file_of_one_vector_needs_no_offset(load, folder):
    (folder / "one").write_bytes(binary([1, 2])[2:])
    np.testing.assert_array_equal(load(place=folder / "one"), [1, 2])
    (folder / "text:x").write_text(" [ 3 4 ]\n")
    np.testing.assert_array_equal(load(place=folder / "text:x"), [3, 4])


def test_a_relative_place_is_relative_to_the_current_folder_as_in_kaldi(load, folder, monkeypatch):
    monkeypatch.chdir(folder)
    np.testing.assert_array_equal(load(binary([1, 2]), "x.ark:2"), [1, 2])


WHOLE = binary([1, 2, 3])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "got nothing at"),
        (b"u ", "got nothing at"),
        (WHOLE[:-1], "got a truncated vector at"),
        (WHOLE[:-4], "got a truncated vector at"),
        (WHOLE[:10], "got a damaged header at"),
        (WHOLE[:6], "got another type at"),
        (binary([1, 2], size=-1), "got a damaged header at"),
        (binary([], size=0), "got a damaged header at"),
        (binary([1, 2], size=2**31 - 1), "got a damaged header at"),
        (WHOLE.replace(b"\4", b"\5"), "got a damaged header at"),
        (binary([1, 2], kind=b"FM "), "got a matrix at"),
        (binary([1, 2], kind=b"CM2"), "got a matrix at"),
        (b"u \0B\4" + struct.pack("<i", 1) * 2, "got another type at"),
        (b"u  [ 1 2", "got a matrix or a truncated vector at"),
        (b"u  [\n 1 2 ]\n", "got a matrix or a truncated vector at"),
        (b"u  [ 1 two ]\n", "got text that is no number at"),
        (b"u  [ ]\n", "got dimension 0 at"),
        (b"u 1 2 3\n", "got neither a text nor a binary vector at"),
        (b"u RIFF1234WAVE", "got neither a text nor a binary vector at"),
        (b"u \xff\xfe\n", "got neither a text nor a binary vector at"),
        (binary([1, np.nan]), "vector is not finite; expected numbers, got nan"),
        (binary([np.inf, 1]), "vector is not finite; expected numbers, got inf"),
        (binary([1e300], b"DV ", "<f8"), "vector is not finite; expected numbers, got inf"),
        (b"u  [ 1 nan ]\n", "vector is not finite; expected numbers, got nan"),
        (b"u  [ 1 -inf ]\n", "vector is not finite; expected numbers, got -inf"),
    ],
)
def test_damaged_and_foreign_entries(load, content, message):
    with pytest.raises(InputError, match=r"xvector.scp:1: x-vector of sub-segment u: ") as error:
        load(content)
    assert message in str(error.value)


@pytest.mark.parametrize(
    ("place", "message"),
    [
        ("cat x.ark |", r"commands are not run here; expected file:offset, got cat x.ark \|"),
        ("| cat", r"commands are not run here; expected file:offset, got \| cat"),
        ("none.ark:12", "no such archive; got none.ark:12"),
        ("/:2", "cannot read the archive; got Is a directory at /:2"),
        ("x.ark:999999", "got nothing at|no such archive"),
        ("x.ark:-2", "no such archive"),
        ("x.ark:12[0:1]", "no such archive"),
    ],
)
def test_places_that_are_none(load, folder, monkeypatch, place, message):
    monkeypatch.chdir(folder)
    with pytest.raises(InputError, match=f"xvector.scp:1: x-vector of sub-segment u: .*({message})"):
        load(WHOLE, place)


def test_nothing_in_an_archive_is_run(load, folder):
    class Trap:
        def __reduce__(self):
            return os.mkdir, (str(folder / "trapped"),)

    with pytest.raises(InputError, match="neither a text nor a binary vector"):
        load(b"u PKL" + pickle.dumps(Trap()))
    assert not (folder / "trapped").exists()


def test_mixed_dimensions_and_missing_keys(folder):
    offsets = write_xvectors(folder / "x.ark", {"a": np.ones(3), "b": np.ones(3), "c": np.ones(4)})
    write_xvector_scp(folder / "x.scp", {key: (folder / "x.ark", offset) for key, offset in offsets.items()})
    table = XVectors(folder / "x.scp")
    message = "x.scp:3: x-vector of sub-segment c: another dimension; expected 3, as sub-segment a, got 4"
    with pytest.raises(InputError, match=message):
        table.load(["a", "c"])
    with pytest.raises(InputError, match=r"x\.scp: no x-vector of sub-segment d"):
        table.load(["a", "d"])
    assert table.load(["b", "a"]).shape == (2, 3)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("u\n", "x.scp:1: wrong number of fields"),
        ("u a:1\nu b:2\n", "x.scp:2: duplicate id u"),
        ("a/b x:1\n", "x.scp:1: bad id"),
    ],
)
def test_malformed_tables(folder, text, message):
    (folder / "x.scp").write_text(text)
    with pytest.raises(InputError, match=message):
        XVectors(folder / "x.scp")
