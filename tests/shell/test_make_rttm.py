"""make_rttm.sh as users call it: from labels to RTTM, with the speech that had no label of its own."""

import json
import subprocess

import pytest
from running import DIAR, run_script

from ssdiar.results import read_result
from ssdiar.results.names import SpeakerName, write_names


@pytest.fixture
def work(tmp_path):
    """Pieces and labels of two recordings, overlapped speech in a third, below a path with a space."""
    root = tmp_path / "wer spricht, når"
    (root / "sub").mkdir(parents=True)
    (root / "sys").mkdir()
    (root / "sub/segments").write_text("a-1 a 0 0.75\na-2 a 0.75 1.5\na-3 a 2 2.75\na-4 a 2.5 3.25\nb-1 b 1 2\n")
    (root / "sub/overlap.segments").write_text("o1 a 1.5 2\no2 c 4 5\n")
    (root / "sub/short.segments").write_text("s1 b 2.5 2.55\n")
    (root / "sys/labels").write_text("a-1 1\na-2 1\na-3 2\na-4 1\nb-1 7\n")
    return root


def run(work, *args, rc=0):
    return run_script(DIAR / "make_rttm.sh", *args, cwd=work, rc=rc)


def turns(work):
    rows = [line.split() for line in (work / "sys/rttm").read_text().splitlines()]
    assert all(len(row) == 10 and row[2] == "1" for row in rows)
    return [f"{row[1]} {row[3]} {row[4]} {row[7]}" for row in rows]


def test_all_speech_is_labelled(work):
    run(work, "sub", "sys")
    assert turns(work) == [
        "a 0.000 2.000 speaker1",
        "a 2.000 0.625 speaker2",
        "a 2.625 0.625 speaker1",
        "b 1.000 1.000 speaker7",
        "b 2.500 0.050 speaker7",
        "c 4.000 1.000 speaker1",
    ]


def test_what_was_made_of_the_same_input_stays(work):
    run(work, "sub", "sys")
    (work / "sys/rttm").write_text("SPEAKER a 1 0.000 1.000 <NA> <NA> by_hand <NA> <NA>\n")
    assert "sys/rttm is up to date" in run(work, "sub", "sys").stderr
    assert turns(work) == ["a 0.000 1.000 by_hand"]
    assert "up to date" not in run(work, "--gap", "0.5", "sub", "sys").stderr and len(turns(work)) > 1
    (work / "sys/rttm").unlink()
    run(work, "--gap", "0.5", "sub", "sys")
    assert len(turns(work)) > 1
    (work / "sys/labels").write_text("a-1 1\na-2 1\na-3 1\na-4 1\nb-1 1\n")
    run(work, "--gap", "0.5", "sub", "sys")
    assert {line.split()[3] for line in turns(work)} == {"speaker1"}


def test_names_are_kept_until_the_labels_change(work):
    names = [
        SpeakerName("a", "speaker1", "zoë", 0.9),
        SpeakerName("a", "speaker2"),
        SpeakerName("x", "speaker1", "bob"),
    ]
    write_names(work / "sys", names)
    run(work, "sub", "sys")
    assert {line.split()[3] for line in turns(work)} == {"zoë", "speaker2", "speaker7", "speaker1"}
    speakers = read_result(work / "sys/result.json")["recordings"][0]["speakers"]
    assert [(one["name"], one.get("name_probability")) for one in speakers] == [("zoë", 0.9), ("speaker2", None)]
    (work / "sys/labels").write_text("a-1 1\na-2 2\na-3 2\na-4 1\nb-1 7\n")
    assert "sys/names.json" in run(work, "sub", "sys").stderr
    assert "zoë" not in (work / "sys/rttm").read_text()


def test_sides_are_put_together_and_no_pause_is_closed_in_which_the_other_party_talks(work):
    (work / "sub/segments").write_text(
        "a-1 c.channel1 0 1\na-2 c.channel1 1.5 2\na-3 c.channel1 2.5 3\nb-1 c.channel2 1.1 1.4\n"
    )
    for name in ("overlap.segments", "short.segments"):
        (work / "sub" / name).unlink()
    (work / "sub/side2reco").write_text("c.channel1 c\nc.channel2 c\n")
    (work / "sys/labels").write_text("a-1 1\na-2 1\na-3 2\nb-1 1\n")
    run(work, "--gap", "0.8", "sub", "sys")
    assert turns(work) == [
        "c 0.000 1.000 channel1-1",
        "c 1.100 0.300 channel2",
        "c 1.500 0.500 channel1-1",
        "c 2.500 0.500 channel1-2",
    ]
    (work / "sys/labels").write_text("a-1 1\na-2 1\na-3 1\nb-1 1\n")
    run(work, "--gap", "0.8", "sub", "sys")
    assert turns(work) == ["c 0.000 1.000 channel1", "c 1.100 0.300 channel2", "c 1.500 1.500 channel1"]


def test_second_speaker(work):
    run(work, "--second-speaker", "true", "sub", "sys")
    assert turns(work)[:3] == ["a 0.000 2.000 speaker1", "a 1.500 1.125 speaker2", "a 2.625 0.625 speaker1"]
    assert turns(work)[-1] == "c 4.000 1.000 speaker1"


def test_second_speaker_is_learnt_from_the_way_speech_was_detected(work):
    for second_speaker, speakers in (("true", {"speaker1", "speaker2"}), ("false", {"speaker1"})):
        (work / "sub/meta.json").write_text(f'{{"second_speaker": {second_speaker}}}')
        run(work, "sub", "sys")
        rows = [turn.split() for turn in turns(work)]
        assert {
            row[3] for row in rows if row[0] == "a" and float(row[1]) < 1.6 < float(row[1]) + float(row[2])
        } == speakers
    run(work, "--second-speaker", "true", "sub", "sys")
    assert turns(work)[1] == "a 1.500 1.125 speaker2"
    (work / "sub/meta.json").write_text("[]")
    assert "sub/meta.json: damaged; expected a JSON object" in run(work, "sub", "sys", rc=1).stderr
    for text, message in (
        ('"second_speaker": 1', "second_speaker: "),
        ('"close_pauses": -1', "close_pauses: "),
    ):
        (work / "sub/meta.json").write_text(f"{{{text}}}")
        assert f"sub/meta.json: {message}" in run(work, "sub", "sys", rc=1).stderr


def test_pauses_are_closed_if_asked_for_or_as_was_decided_with_the_speech(work):
    (work / "sub/overlap.segments").unlink()
    run(work, "sub", "sys")
    apart = turns(work)
    assert apart[:2] == ["a 0.000 1.500 speaker1", "a 2.000 0.625 speaker2"]
    (work / "sub/short.segments").write_text("s1 b 2.5 2.55\n")
    run(work, "--gap", "0.6", "sub", "sys")
    assert turns(work) == [*apart[:-2], "b 1.000 1.550 speaker7"]
    (work / "sub/meta.json").write_text('{"close_pauses": 0.0}')
    run(work, "sub", "sys")
    assert turns(work) == apart
    (work / "sub/meta.json").write_text('{"close_pauses": 0.6}')
    run(work, "sub", "sys")
    assert turns(work) == [*apart[:-2], "b 1.000 1.550 speaker7"]
    run(work, "--gap", "0", "sub", "sys")
    assert turns(work) == apart


def test_result_says_what_was_found(work):
    sure = {"a": {"number": 2, "probability": 0.9}, "b": {"number": 1, "probability": None}}
    (work / "sys/meta.json").write_text(json.dumps({"system": "best", "seed": 3, "num_spk": sure}))
    run(work, "sub", "sys")
    result = read_result(work / "sys/result.json")
    assert (result["schema"], result["system"], result["seed"]) == ("ssdiar-result/1", "best", 3)
    a, b, c = result["recordings"]
    assert [one["name"] for one in a["speakers"]] == ["speaker1", "speaker2"]
    assert (a["duration"], a["num_spk_probability"], b["num_spk_probability"]) == (None, 0.9, None)
    assert (b["speakers"][0]["seconds"], b["speakers"][0]["turns"], c["num_spk"]) == (1.05, 2, 1)
    (work / "data").mkdir()
    (work / "data/wav.scp").write_text("a a b.wav\nb b.wav\nc c.wav\nd d.wav\n")
    (work / "data/reco2dur").write_text("a 10\nb 20\nc 30\nd 40\n")
    run(work, "--data-dir", "data", "sub", "sys")
    recordings = read_result(work / "sys/result.json")["recordings"]
    assert [(one["recording"], one["file"], one["duration"]) for one in recordings[::3]] == [
        ("a", "a b.wav", 10),
        ("d", "d.wav", 40),
    ]
    assert (recordings[3]["num_spk"], recordings[3]["speakers"]) == (0, []), "nobody speaks"
    assert (work / "sys/reco2file").read_text().endswith("d d.wav\n")


def test_pieces_alone(work):
    (work / "sub/overlap.segments").unlink()
    (work / "sub/short.segments").unlink()
    run(work, "sub", "sys")
    assert turns(work)[0] == "a 0.000 1.500 speaker1"
    before = (work / "sys/rttm").stat().st_mtime_ns
    run(work, "sub", "sys")
    assert (work / "sys/rttm").stat().st_mtime_ns == before


def test_no_speech(work):
    for name in ("segments", "overlap.segments", "short.segments"):
        (work / "sub" / name).write_text("")
    (work / "sys/labels").write_text("")
    run(work, "sub", "sys")
    assert turns(work) == []


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ("a-1 1\na-3 2\na-4 1\n", "sys/labels: no label of sub-segment a-2 (2 of 5 sub-segments have none)"),
        ("a-1 1\na-2 1\na-3 1\na-4 1\nb-1 1\nz 1\n", "label of an unknown sub-segment (1 of 6); expected one of"),
        ("a-1 0\n", "sys/labels:1: bad number; expected a whole number from 1, got 0"),
        ("a-1 1\na-1 2\n", "sys/labels:2: duplicate id a-1"),
        (None, "sys/labels: no such file"),
    ],
)
def test_bad_labels(work, labels, message):
    (work / "sys/labels").unlink()
    if labels is not None:
        (work / "sys/labels").write_text(labels)
    assert message in run(work, "sub", "sys", rc=1).stderr
    assert not (work / "sys/rttm").exists()


def test_the_command_is_told_so_that_it_can_be_pasted(work):
    (work / "sub").rename(work / "it's $a süb")
    told = run(work, "--gap", "", "it's $a süb", "sys").stderr.splitlines()[0]
    assert "--gap '' " in told and "süb' sys" in told
    (work / "sys/rttm").unlink()
    done = subprocess.run(["bash", "-c", told], cwd=work, capture_output=True, text=True)
    assert (done.returncode, done.stderr.splitlines()[0]) == (0, told)
    assert (work / "sys/rttm").exists()
    assert told not in run(work, "--verbose", "0", "it's $a süb", "sys").stderr


def test_bad_command_lines(work):
    assert "expected true or false" in run(work, "--second-speaker", "yes", "sub", "sys", rc=1).stderr
    assert "got 1 arguments" in run(work, "sub", rc=1).stderr
    assert "unknown option --second" in run(work, "--second", "true", "sub", "sys", rc=1).stderr
    assert "--second-speaker <true|false>" in run(work, "--help").stdout


def test_how_sure_stands_in_field_9(work):
    (work / "sys/sure").write_text("a-1 0.9\na-2 0.7\na-3 0.5\na-4 1.0\nb-1 0.25\n")
    (work / "sys/meta.json").write_text('{"second_sure": [0.9, 0.6]}')
    run(work, "--second-speaker", "true", "sub", "sys")
    rows = [line.split() for line in (work / "sys/rttm").read_text().splitlines()]
    assert [(row[1], row[7], row[8]) for row in rows] == [
        ("a", "speaker1", "0.775"),  # 0.75 s of 0.9, 0.75 s of 0.7 and 0.5 s that take the latter
        ("a", "speaker2", "0.678"),  # 0.5 s as second speaker, 0.625 s of 0.5
        ("a", "speaker1", "1.000"),
        ("b", "speaker7", "0.250"),
        ("b", "speaker7", "0.250"),
        ("c", "speaker1", "<NA>"),
    ]
    (work / "sys/sure").unlink()
    (work / "sys/meta.json").unlink()
    run(work, "sub", "sys")
    assert {line.split()[8] for line in (work / "sys/rttm").read_text().splitlines()} == {"<NA>"}


def test_sides_keep_how_sure_they_are(work):
    (work / "sub/side2reco").write_text("a r\nb r\nc r\n")
    (work / "sys/sure").write_text("a-1 0.9\na-2 0.9\na-3 0.9\na-4 0.9\nb-1 0.25\n")
    run(work, "sub", "sys")
    assert {"0.900", "0.250"} <= {line.split()[8] for line in (work / "sys/rttm").read_text().splitlines()}


@pytest.mark.parametrize(
    ("sure", "meta", "message"),
    [
        ("a-1 0.9\n", "{}", "sys/sure: no probability of sub-segment a-2 (4 of 5"),
        ("a-1 1.1\n", "{}", "sys/sure:1: bad number; expected a number from 0 to 1"),
        (None, '{"second_sure": [0.5, 1.5]}', "sys/meta.json: second_sure[1]: "),
        (None, '{"second_sure": 0.5}', "sys/meta.json: second_sure: "),
    ],
)
def test_bad_probabilities(work, sure, meta, message):
    if sure is not None:
        (work / "sys/sure").write_text(sure)
    (work / "sys/meta.json").write_text(meta)
    assert message in run(work, "sub", "sys", rc=1).stderr
    assert not (work / "sys/rttm").exists()


def test_both_kinds_of_turns_are_kept_and_rttm_is_the_chosen_one(work):
    def kind(name):
        rows = [line.split() for line in (work / "sys" / name).read_text().splitlines()]
        return [f"{row[1]} {row[3]} {row[4]} {row[7]}" for row in rows]

    (work / "sub/meta.json").write_text('{"close_pauses": 0.6}')
    (work / "sub/tight.segments").write_text("t1 a 0.1 1.4\nt2 a 1.6 1.9\nt3 b 1 1.5\nt4 b 2.5 9\n")
    tight = ["a 0.100 1.300 speaker1", "a 1.600 0.300 speaker1", "b 1.000 0.500 speaker7", "b 2.500 0.050 speaker7"]
    run(work, "sub", "sys")
    closed = kind("rttm.closed")
    assert turns(work) == closed and "b 1.000 1.550 speaker7" in closed and kind("rttm.tight") == tight
    assert read_result(work / "sys/result.json")["turn_kind"] == "closed"
    run(work, "--turns", "tight", "sub", "sys")
    assert (turns(work), kind("rttm.closed"), kind("rttm.tight")) == (tight, closed, tight)
    assert read_result(work / "sys/result.json")["turn_kind"] == "tight"
    run(work, "--turns", "tight", "--gap", "0.3", "sub", "sys")
    assert (turns(work)[0], kind("rttm.closed")) == ("a 0.100 1.800 speaker1", closed)
    (work / "sub/tight.segments").unlink()
    assert "tight.segments: no such file" in run(work, "--turns", "tight", "sub", "sys", rc=1).stderr
    run(work, "sub", "sys")
    assert turns(work) == closed and not (work / "sys/rttm.tight").exists()


def test_sides_have_the_same_names_in_both_kinds_of_turns(work):
    """A second voice of a side that only has padding is in no tight turn."""
    (work / "sub/segments").write_text("a-1 c.channel1 0 1\na-2 c.channel1 2 2.1\n")
    for name in ("overlap.segments", "short.segments"):
        (work / "sub" / name).unlink()
    (work / "sub/tight.segments").write_text("t1 c.channel1 0 1\n")
    (work / "sub/side2reco").write_text("c.channel1 c\n")
    (work / "sys/labels").write_text("a-1 1\na-2 2\n")
    run(work, "--turns", "tight", "sub", "sys")
    assert turns(work) == ["c 0.000 1.000 channel1-1"]
