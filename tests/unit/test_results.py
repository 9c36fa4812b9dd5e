"""result.json: its entry of a recording, and what is refused."""

import json

import pytest

from ssdiar.base.errors import InputError
from ssdiar.results import (
    SCHEMA,
    count_probabilities,
    read_result,
    recording_entry,
    result_content,
    result_text,
)
from ssdiar.timeline.spans import Turn

TURNS = [Turn("a", "speaker1", 0, 4, 0.5), Turn("a", "speaker2", 3, 13, 1.0), Turn("a", "speaker1", 20, 21.0004)]


def test_a_recording():
    entry = recording_entry("a", TURNS, file="a b.wav", duration=60.00049, probability=0.98765)
    assert entry == {
        "recording": "a",
        "file": "a b.wav",
        "duration": 60.0,
        "num_spk": 2,
        "num_spk_probability": 0.9877,
        "confidence": pytest.approx((4 * 0.5 + 10 * 1.0) / 14, abs=1e-4),
        "overlap": 1.0,
        "speakers": [
            {"name": "speaker2", "seconds": 10, "share": 0.6666, "turns": 1},
            {"name": "speaker1", "seconds": 5.0, "share": 0.3334, "turns": 2},
        ],
    }


def test_nobody_speaks():
    entry = recording_entry("a", [])
    assert (entry["num_spk"], entry["speakers"], entry["overlap"], entry["confidence"]) == (0, [], 0, None)


def test_three_at_once_are_counted_once():
    assert recording_entry("a", [Turn("a", name, 0, 2) for name in "xyz"])["overlap"] == 2


def test_sides_are_as_sure_as_all_of_them_together():
    found = {
        "a.channel1": {"number": 1, "probability": 0.9},
        "a.channel2": {"number": 1, "probability": 0.8},
        "b": {"number": 2, "probability": None},
        "c": {"number": 3, "probability": 0.7},
    }
    sides = {"a.channel1": "a", "a.channel2": "a"}
    assert count_probabilities(found, sides) == pytest.approx({"a": 0.72, "c": 0.7})


def test_what_is_written_is_read(tmp_path):
    meta = {"system": "best", "seed": 0, "speech_source": "pyannote", "dimension": 192}
    content = result_content(meta, [recording_entry("b", []), recording_entry("a", TURNS)])
    (tmp_path / "result.json").write_text(result_text(content))
    assert read_result(tmp_path / "result.json") == content
    assert [entry["recording"] for entry in content["recordings"]] == ["a", "b"]
    assert content["schema"] == SCHEMA and content["num_spk_source"] is None and "dimension" not in content


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "not a result"),
        ("[]", "not a result"),
        ('{"schema": "ssdiar-result/1"}', "not a result"),
        (json.dumps({"schema": "ssdiar-result/0", "recordings": []}), f"another schema; expected {SCHEMA}, got"),
        (json.dumps({"schema": SCHEMA, "recordings": [{"recording": "a"}]}), "not a result"),
        (json.dumps({"schema": SCHEMA, "recordings": [recording_entry("a", []) | {"num_spk": "2"}]}), "not a result"),
    ],
)
def test_damaged(tmp_path, text, message):
    (tmp_path / "result.json").write_text(text)
    with pytest.raises(InputError, match=message):
        read_result(tmp_path / "result.json")
