"""YAML into dataclasses: what is not exactly what the dataclass says is refused, with its place."""

import math
import types
import typing
from dataclasses import dataclass, field, is_dataclass
from pathlib import Path
from typing import Annotated, Literal

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from ssdiar.speech.config import PyannoteConfig, SileroConfig, WebRtcConfig, read_sad

from ssdiar.clustering.config import SystemConfig, read_system
from ssdiar.config import Matching, Range, read_config
from ssdiar.errors import InputError
from ssdiar.xvectors.models import ModelConfig, read_model_config

CONF = Path(__file__).resolve().parents[2] / "conf"


@dataclass(frozen=True)
class Inner:
    rate: float = 0.5
    kind: Literal["a", "b"] = "a"
    share: Annotated[float, Range(0, 1, above=True)] = 1.0
    odd: Annotated[int, Range(1, step=2)] | Annotated[str, Matching("c[0-9]", "c and a digit")] = 1
    widths: tuple[Annotated[int, Range(2)], ...] = ()


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
    inner = "inner:\n  rate: 1.5\n  kind: b\n  odd: c3\n  widths: [2, 9]\n"
    read = config("name: x\ncount: 3\nflag: true\nlimit: 2\n" + inner)
    assert read == Outer("x", 3, True, 2.0, Inner(1.5, "b", odd="c3", widths=(2, 9)))
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
        ("name: x\ninner:\n  rat: 1", "unknown key inner.rat; expected one of: rate kind share odd widths"),
        ("count: 2", "no name"),
        ("", "bad content; expected name count flag limit inner, got null"),
        ("- name", r"bad content; .*got \[name\]"),
        ("name", "bad content; .*got name"),
        ("name: x\ninner: 3", "bad inner; expected rate kind share odd widths, got 3"),
        ("name: x\ninner:", "bad inner; expected rate kind share odd widths, got null"),
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
        ("name: x\ninner: {share: 0}", "bad inner.share; expected a number above 0, at most 1, got 0"),
        ("name: x\ninner: {share: 1.5}", "bad inner.share; expected a number above 0, at most 1, got 1.5"),
        (
            "name: x\ninner: {odd: 2}",
            "bad inner.odd; .*whole number from 1 in steps of 2 or c and a digit, got 2",
        ),
        ("name: x\ninner: {odd: c12}", "bad inner.odd; .*got c12"),
        ("name: x\ninner: {widths: [3, 1]}", "bad inner.widths; expected a whole number from 2, got 1"),
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


@pytest.mark.parametrize("path", sorted((CONF / "sad").glob("*.yaml")), ids=lambda path: path.stem)
def test_shipped_detectors(path):
    assert read_sad(path).detector == path.stem


@pytest.mark.parametrize("path", sorted((CONF / "xvector").glob("*.yaml")), ids=lambda path: path.stem)
def test_shipped_models(path):
    assert read_model_config(path).name == path.stem


def fields_of(cls, place=""):
    """Yield (name, type) of every field of a dataclass and of those in it."""
    for name, hint in typing.get_type_hints(cls, include_extras=True).items():
        if is_dataclass(hint):
            yield from fields_of(hint, f"{place}{name}.")
        else:
            yield f"{place}{name}", hint


def kinds_of(hint):
    """Return the types that a field may have, annotations on."""
    options = typing.get_args(hint) if typing.get_origin(hint) in (typing.Union, types.UnionType) else (hint,)
    return [typing.get_args(option)[0] if typing.get_origin(option) is tuple else option for option in options]


def is_allowed(hint, value):
    """Tell whether a field may hold a value, by what its type says."""
    if isinstance(value, list):
        return typing.get_origin(hint) is tuple and all(is_allowed(typing.get_args(hint)[0], item) for item in value)
    for kind in kinds_of(hint) if typing.get_origin(hint) is not tuple else ():
        if typing.get_origin(kind) is Literal:
            if any(value == choice and type(value) is type(choice) for choice in typing.get_args(kind)):
                return True
            continue
        base, limits = (kind.__origin__, kind.__metadata__) if typing.get_origin(kind) is Annotated else (kind, ())
        if type(value) is not base and not (base is float and type(value) is int):
            continue
        if isinstance(value, float) and not math.isfinite(value):
            continue
        if all(limit.allows(value) for limit in limits):
            return True
    return False


CONFIGS = {
    SystemConfig: "{description: x, method: ssl}",
    ModelConfig: (CONF / "xvector/campplus.yaml").read_text(),
    WebRtcConfig: (CONF / "sad/webrtc.yaml").read_text(),
    SileroConfig: (CONF / "sad/silero.yaml").read_text(),
    PyannoteConfig: (CONF / "sad/pyannote.yaml").read_text(),
}
FIELDS = [(cls, name, hint) for cls in CONFIGS for name, hint in fields_of(cls)]
ANYTHING = (
    st.integers(-5, 5)
    | st.integers(-(2**31) + 1, 2**31 - 1)
    | st.floats(-2, 2)
    | st.floats()
    | st.booleans()
    | st.none()
    | st.sampled_from(["", "foo", "last", "closest:3", "closest:0", "none", "recording", "1e-3", "0x1"])
    | st.text(max_size=5)
)


@pytest.mark.parametrize(("cls", "name", "hint"), FIELDS, ids=[f"{cls.__name__}-{name}" for cls, name, _ in FIELDS])
def test_every_number_has_a_range(cls, name, hint):
    assert not {int, float} & set(kinds_of(hint)), f"{name} takes any number"


@pytest.fixture(scope="module")
def shortest(tmp_path_factory):
    """Return a file of each config that says no more than it must."""
    paths = {cls: tmp_path_factory.mktemp("config") / "système.yaml" for cls in CONFIGS}
    for cls, path in paths.items():
        path.write_text(CONFIGS[cls])
    return paths


@settings(max_examples=15, deadline=None)
@pytest.mark.parametrize(("cls", "name", "hint"), FIELDS, ids=[f"{cls.__name__}-{name}" for cls, name, _ in FIELDS])
@given(value=ANYTHING | st.lists(ANYTHING, max_size=3))
def test_every_field_takes_what_its_type_says_and_names_the_place_of_anything_else(cls, name, hint, value, shortest):
    path = shortest[cls]
    text = yaml.safe_dump(value, default_style='"') if isinstance(value, str) else yaml.safe_dump(value)
    if is_allowed(hint, value):
        read = read_config(cls, path, [f"{name}={text}"])
        for part in name.split("."):
            read = getattr(read, part)
        assert read == (tuple(value) if isinstance(value, list) else value)
        return
    with pytest.raises(InputError) as error:
        read_config(cls, path, [f"{name}={text}"])
    message = str(error.value)
    assert "\n" not in message
    assert message.startswith(f"{path}: bad {name}; expected ") and ", got " in message
