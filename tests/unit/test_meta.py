"""meta.json: handed on as it is, never taken for something else."""

import pytest

from ssdiar.base.errors import InputError
from ssdiar.io.meta import read_meta, write_meta


def test_round_trip_and_no_file(tmp_path):
    meta = {"xvector_model": "modèle", "seed": 0, "options": {"sad_pad": 0.1}}
    assert read_meta(tmp_path) == {}
    assert write_meta(tmp_path, meta)
    assert read_meta(tmp_path) == meta
    assert list(read_meta(tmp_path)) == list(meta)
    assert not write_meta(tmp_path, meta)


@pytest.mark.parametrize("content", [b"", b'{"a": ', b"[1]", b'"text"', b"null", b"\xff\xfe"])
def test_damaged(tmp_path, content):
    (tmp_path / "meta.json").write_bytes(content)
    with pytest.raises(InputError, match=r"meta\.json: damaged; expected a JSON object"):
        read_meta(tmp_path)
