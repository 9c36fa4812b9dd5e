"""YAML into dataclasses: what is not exactly what the dataclass says is refused, with its place."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import pytest

from ssdiar.clustering.config import read_system
from ssdiar.config import read_config
from ssdiar.errors import InputError
from ssdiar.xvectors.models import read_model_config

CONF = Path(__file__).resolve().parents[2] / "conf"


@dataclass(frozen=True)
class Inner:
    rate: float = 0.5
    kind: Literal["a", "b"] = "a"


@dataclass(frozen=True)
class Outer:
    name: str
    count: int = 1
    flag: bool = False
    limit: float | None = None
    inner: Inner = field(default_factory=Inner)


@pytest.fixture
def config(tmp_path):
    def read(text):
        path = tmp_path / "système un.yaml"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return read_config(Outer, path)

    return read


def test_what_is_not_said_has_its_default(config):
    assert config("name: x") == Outer("x")
    assert config("# comment\nname: 'été'\ninner: {}\n") == Outer("été")


def test_all_types(config):
    read = config("name: x\ncount: 3\nflag: true\nlimit: 2\ninner:\n  rate: 1.5\n  kind: b\n")
    assert read == Outer("x", 3, True, 2.0, Inner(1.5, "b"))
    assert type(read.limit) is float, "a whole number is a number"
    assert config("name: x\nlimit: null").limit is None


@pytest.mark.parametrize(
    ("text", "value"), [("1e-3", 0.001), ("1E3", 1000.0), ("-2.5e+1", -25.0), (".5", 0.5), ("3", 3.0)]
)
def test_numbers_as_people_write_them(config, text, value):
    assert config(f"name: x\nlimit: {text}").limit == value


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("nmae: x", "unknown key nmae; expected one of: name count flag limit inner"),
        ("name: x\ninner:\n  rat: 1", "unknown key inner.rat; expected one of: rate kind"),
        ("count: 2", "no name"),
        ("", "bad content; expected name count flag limit inner, got null"),
        ("- name", r"bad content; .*got \[name\]"),
        ("name", "bad content; .*got name"),
        ("name: x\ninner: 3", "bad inner; expected rate kind, got 3"),
        ("name: x\ninner:", "bad inner; expected rate kind, got null"),
        ("name: 3", "bad name; expected text, got 3"),
        ("name:", "bad name; expected text, got null"),
        ("name: x\ncount: 1.0", "bad count; expected a whole number, got 1.0"),
        ("name: x\ncount: true", "bad count; expected a whole number, got true"),
        ("name: x\ncount: '1'", "bad count; expected a whole number, got '1'"),
        ("name: x\nflag: 1", "bad flag; expected true or false, got 1"),
        ("name: x\nflag: 'true'", "bad flag; expected true or false, got 'true'"),
        ("name: x\nlimit: many", "bad limit; expected a number or null, got many"),
        ("name: x\nlimit: 1e3x", "bad limit; expected a number or null, got 1e3x"),
        ("name: x\nlimit: .nan", "bad limit; expected a number or null, got .nan"),
        ("name: x\nlimit: .inf", "bad limit; expected a number or null, got .inf"),
        ("name: x\nlimit: [1]", r"bad limit; expected a number or null, got \[1\]"),
        ("name: x\ninner: {rate: null}", "bad inner.rate; expected a number, got null"),
        ("name: x\ninner: {kind: c}", "bad inner.kind; expected a, b, got c"),
        ("name: x\ncount: 2\nname: y", "yaml:3: not YAML; got name twice"),
        ("name: x\ninner: {rate: 1,\n  rate: 2}", "yaml:3: not YAML; got rate twice"),
        ("name: x\ncount: [1", "yaml:2: not YAML"),
        ("name: x\n\tcount: 1", "yaml:2: not YAML"),
        ("name: !!python/object/apply:os.getcwd []", "yaml:1: not YAML"),
        (b"name: \xff", "not YAML"),
    ],
)
def test_anything_else_is_refused_with_its_place(config, text, message):
    with pytest.raises(InputError, match=f"système un.yaml.*{message}" if "yaml:" not in message else message) as error:
        config(text)
    assert "\n" not in str(error.value)


def test_no_such_file_names_those_that_there_are(tmp_path):
    with pytest.raises(InputError, match=r"no such file; expected one of that folder \(nothing\)"):
        read_config(Outer, tmp_path / "x.yaml")
    with pytest.raises(InputError, match=r"no such file; expected one of that folder \(.*xvector_ahc.*\)"):
        read_system(CONF / "systems" / "xvector.yaml")


@pytest.mark.parametrize("path", sorted((CONF / "systems").glob("*.yaml")), ids=lambda path: path.stem)
def test_shipped_systems(path):
    assert read_system(path).description


@pytest.mark.parametrize("path", sorted((CONF / "xvector").glob("*.yaml")), ids=lambda path: path.stem)
def test_shipped_models(path):
    assert read_model_config(path).name == path.stem
