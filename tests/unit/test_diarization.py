"""A result of diarize() in Python's own terms: printing, iterating, comparing, saving, tables, types."""

import os
import subprocess
import sys

import pytest

from ssdiar import Diarization, InputError
from ssdiar.io.rttm import read_rttm
from ssdiar.timeline.spans import Turn

PROGRAM = """
from ssdiar import Diarization, Diarizer, InputError, diarize

result: Diarization = diarize("call.wav", num_spk=2)
for turn in result:
    print(f"{turn.start:.1f} {turn.speaker.upper()}")
shares: dict[str, float] = {one["name"]: one["share"] for one in result.exclusive().speakers}
with Diarizer(threads=2) as diarizer:
    try:
        diarizer("other.wav", progress=True).save("other.srt")
    except InputError as error:
        print(error.hint)
diarize("call.wav", number=2)
"""


@pytest.fixture
def result():
    turns = (Turn("call", "anna", 0, 40, 0.9), Turn("call", "<b>", 35, 60, 0.8), Turn("call", "anna", 61, 62))
    models = dict.fromkeys(("system", "speech", "xvectors"), "x")
    return Diarization("call", None, 65.0, turns, 0.9, {2: 0.9}, {}, {}, "mono", (), models, "closed")


def test_it_is_printed_in_a_line_and_drawn_in_a_notebook(result):
    assert repr(result) == "<Diarization call: 2 speakers, 3 turns in 1:05>"
    drawn = result._repr_html_()
    assert drawn.count("<rect ") == 3 and "&lt;b&gt;" in drawn and "<b>" not in drawn and len(drawn) < 1500


def test_it_is_iterated_and_compared_as_an_object(result):
    assert [turn.speaker for turn in result] == ["anna", "<b>", "anna"] and result.num_speakers == 2
    other = result.exclusive()
    assert [(turn.start, turn.end) for turn in other] == [(0, 40), (40, 60), (61, 62)]
    assert result != other and len({result, other, result}) == 2


def test_the_suffix_of_a_file_gives_its_format(result, tmp_path):
    result.save(tmp_path / "a.RTTM")
    assert read_rttm(tmp_path / "a.RTTM") == sorted(result.turns, key=lambda turn: turn.start)
    result.save(str(tmp_path / "a.vtt"))
    assert (tmp_path / "a.vtt").read_text().startswith("WEBVTT")
    for name in ("a.doc", "a"):
        with pytest.raises(InputError, match=r"no such format; expected \.txt .*\.vtt, got"):
            result.save(tmp_path / name)


def test_a_table_of_pandas(result, need_module):
    need_module("pandas")
    table = result.to_dataframe()
    assert list(table.columns) == ["recording", "start", "end", "speaker", "confidence"]
    assert (table.end - table.start).groupby(table.speaker).sum().to_dict() == {"anna": 41, "<b>": 25}


def test_mypy_knows_the_types(repo, need_module, tmp_path):
    need_module("mypy")
    (tmp_path / "program.py").write_text(PROGRAM)
    command = [sys.executable, "-m", "mypy", "--strict", "--follow-imports=silent", "program.py"]
    environment = os.environ | {"MYPYPATH": str(repo / "steps/libs")}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert (
        "Found 1 error" in done.stdout and 'program.py:13: error: Unexpected keyword argument "number"' in done.stdout
    )
