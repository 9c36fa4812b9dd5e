"""YAML into structs: anything that is not exactly as the struct defines it is refused, with its place."""

import math
import typing
from pathlib import Path
from typing import Annotated, Literal

import msgspec
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Meta

from ssdiar.base.config import AtLeastOne, Config, config_files, config_name, read_config
from ssdiar.base.errors import InputError
from ssdiar.clustering.config import SystemConfig, read_system
from ssdiar.speech.pyannote import Pyannote
from ssdiar.speech.silero import Silero
from ssdiar.speech.source import read_sad
from ssdiar.speech.webrtc import WebRtc
from ssdiar.xvectors.models import ModelConfig, read_model_config

CONF = Path(__file__).resolve().parents[2] / "conf"


class Inner(Config, frozen=True):
    rate: Annotated[float, Meta(ge=-100, le=100)] = 0.5
    kind: Literal["a", "b"] = "a"
    share: Annotated[float, Meta(gt=0, le=1)] = 1.0
    widths: tuple[Annotated[int, Meta(ge=2, le=100)], ...] = ()


class Outer(Config, frozen=True):
    name: str
    count: AtLeastOne = 1
    flag: bool = False
    limit: Annotated[float, Meta(ge=-1000, le=1000)] | None = None
    inner: Inner = Inner()


@pytest.fixture
def config(tmp_path):
    def read(text, *changes):
        path = tmp_path / "système un.yaml"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return read_config(Outer, path, "systems", changes)

    return read


def test_absent_keys_have_their_defaults(config):
    assert config("name: x") == Outer("x")
    assert config("# comment\nname: 'été'\ninner: {}\n") == Outer("été")


def test_all_types(config):
    read = config("name: x\ncount: 3\nflag: true\nlimit: 2\ninner:\n  rate: 1.5\n  kind: b\n  widths: [2, 9]\n")
    assert read == Outer("x", 3, True, 2.0, Inner(1.5, "b", widths=(2, 9)))
    assert type(read.limit) is float, "a whole number is a number"
    assert config("name: x\nlimit: null").limit is None


@pytest.mark.parametrize(
    ("text", "value"), [("1e-3", 0.001), ("1E2", 100.0), ("-2.5e+1", -25.0), (".5", 0.5), ("3", 3.0)]
)
def test_numbers_as_people_write_them(config, text, value):
    assert config(f"name: x\nlimit: {text}").limit == value


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name: x\nnmae: x", "unknown field `nmae`"),
        ("name: x\ninner:\n  rat: 1", "inner: .*unknown field `rat`"),
        ("count: 2", "missing required field `name`"),
        ("", "got `null`"),
        ("- name", "got `array`"),
        ("name: x\ninner: 3", "inner: .*got `int`"),
        ("name: x\ninner:", "inner: .*got `null`"),
        ("name: 3", "name: .*got `int`"),
        ("name: x\ncount: 1.5", "count: .*got `float`"),
        ("name: x\ncount: true", "count: .*got `bool`"),
        ("name: x\ncount: '1'", "count: .*got `str`"),
        ("name: x\ncount: 0", "count: .*>= 1"),
        ("name: x\nflag: 1", "flag: .*got `int`"),
        ("name: x\nflag: 'true'", "flag: .*got `str`"),
        ("name: x\nlimit: many", "limit: .*got `str`"),
        ("name: x\nlimit: 1e3x", "limit: .*got `str`"),
        ("name: x\nlimit: .inf", "limit: .*<= 1000"),
        ("name: x\nlimit: [1]", "limit: .*got `array`"),
        ("name: x\ninner: {rate: null}", "inner.rate: .*got `null`"),
        ("name: x\ninner: {kind: c}", "inner.kind: .*'c'"),
        ("name: x\ninner: {share: 0}", "inner.share: .*> 0"),
        ("name: x\ninner: {share: 1.5}", "inner.share: .*<= 1"),
        ("name: x\ninner: {widths: [3, 1]}", r"inner.widths\[.*\]: .*>= 2"),
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


def test_a_missing_file_lists_the_others_of_its_folder(tmp_path):
    with pytest.raises(InputError, match=r"no such file; expected one of that folder \(nothing\)"):
        read_config(Outer, tmp_path / "x.yaml", "systems")
    with pytest.raises(InputError, match=r"no such file; expected one of that folder \(.*xvector_ahc.*\)"):
        read_system("xvector")


def test_a_choice_names_files_and_changes(tmp_path):
    mine = tmp_path / "mine.yaml"
    mine.write_text("description: x\nmethod: ssl\nstop: {threshold: 0.25}\n")
    choice = f"{mine}+literal+train.patience=3"
    read = read_system(choice, ["stop.max_iterations=2"])
    assert (read.stop.threshold, read.stop.loss, read.train.patience) == (0.25, "new_labels", 3)
    assert read.stop.max_iterations == 2
    assert config_files(choice, "systems") == [mine, CONF / "readings/literal.yaml"]
    assert config_name(choice) == "mine_literal"


@pytest.mark.parametrize("change", ["stop", "=1", "stop..threshold=1", "stop.threshold=[", ".stop=1"])
def test_bad_changes_are_refused(change):
    with pytest.raises(InputError, match=r"bad (change|value) of"):
        read_system("best", [change])


@pytest.mark.parametrize("path", sorted((CONF / "systems").glob("*.yaml")), ids=lambda path: path.stem)
def test_shipped_systems(path):
    assert read_system(path).description


@pytest.mark.parametrize("path", sorted((CONF / "sad").glob("*.yaml")), ids=lambda path: path.stem)
def test_shipped_detectors(path):
    assert type(read_sad(path)).__name__.lower() == path.stem


@pytest.mark.parametrize("path", sorted((CONF / "xvector").glob("*.yaml")), ids=lambda path: path.stem)
def test_shipped_models(path):
    assert read_model_config(path).name == path.stem


def fields_of(cls, place=""):
    """Yield (name, type) of every field of a struct and of the structs in it."""
    for name, hint in typing.get_type_hints(cls, include_extras=True).items():
        if isinstance(hint, type) and issubclass(hint, msgspec.Struct):
            yield from fields_of(hint, f"{place}{name}.")
        elif not name.startswith("__"):
            yield f"{place}{name}", hint


def leaves_of(hint):
    """Yield the types in a type that are not made of others, annotations on."""
    if typing.get_origin(hint) in (None, Annotated, Literal):
        yield hint
    else:
        for part in typing.get_args(hint):
            yield from leaves_of(part)


CONFIGS = {
    SystemConfig: "{description: x, method: ssl}",
    ModelConfig: (CONF / "xvector/campplus.yaml").read_text(),
    WebRtc: (CONF / "sad/webrtc.yaml").read_text(),
    Silero: (CONF / "sad/silero.yaml").read_text(),
    Pyannote: (CONF / "sad/pyannote.yaml").read_text(),
}
FIELDS = [(cls, name, hint) for cls in CONFIGS for name, hint in fields_of(cls)]
ANYTHING = (
    st.integers(-5, 5)
    | st.integers(-(2**31) + 1, 2**31 - 1)
    | st.floats(-2, 2)
    | st.floats()
    | st.booleans()
    | st.none()
    | st.sampled_from(["", "foo", "none", "recording", "1e-3", "0x1"])
    | st.text(max_size=5)
)


@pytest.mark.parametrize(("cls", "name", "hint"), FIELDS, ids=[f"{cls.__name__}-{name}" for cls, name, _ in FIELDS])
def test_every_number_has_a_range(cls, name, hint):
    assert not {int, float} & set(leaves_of(hint)), f"{name} takes any number"


@pytest.fixture(scope="module")
def shortest(tmp_path_factory):
    """Return a file of each config with only what is required."""
    paths = {cls: tmp_path_factory.mktemp("config") / "système.yaml" for cls in CONFIGS}
    for cls, path in paths.items():
        path.write_text(CONFIGS[cls])
    return paths


def is_allowed(hint, value):
    try:
        msgspec.convert(value, hint)
    except msgspec.ValidationError:
        return False
    return True


@settings(max_examples=15, deadline=None)
@pytest.mark.parametrize(("cls", "name", "hint"), FIELDS, ids=[f"{cls.__name__}-{name}" for cls, name, _ in FIELDS])
@given(value=ANYTHING | st.lists(ANYTHING, max_size=3))
def test_every_field_takes_what_its_type_allows_and_names_the_place_of_anything_else(cls, name, hint, value, shortest):
    path = shortest[cls]
    text = yaml.safe_dump(value, default_style='"') if isinstance(value, str) else yaml.safe_dump(value)
    try:
        read = read_config(cls, path, "systems", [f"{name}={text}"])
    except InputError as error:
        message = str(error)
        assert "\n" not in message and message.startswith(f"{path}: {name.split('.')[0]}")
        return
    assert is_allowed(hint, value)
    for part in name.split("."):
        read = getattr(read, part)
    assert read == (tuple(value) if isinstance(value, list) else value)
    assert not isinstance(read, float) or math.isfinite(read)
