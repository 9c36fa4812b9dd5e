"""use_corrections.sh as users call it: corrections become the result, stay, and can be taken back."""

import pytest
from running import DIAR, run_script

from ssdiar.results import read_result


@pytest.fixture
def work(tmp_path):
    """Recordings a and b of 10 s, of two speakers each, below a path with a space."""
    root = tmp_path / "wer spricht, når"
    for folder in ("sub", "sys", "data"):
        (root / folder).mkdir(parents=True)
    (root / "sub/segments").write_text("a-1 a 0 1\na-2 a 2 3\nb-1 b 1 2\nb-2 b 3 4\n")
    (root / "sys/labels").write_text("a-1 1\na-2 2\nb-1 1\nb-2 2\n")
    (root / "sys/meta.json").write_text('{"num_spk": {"a": {"number": 2, "probability": 0.9}}}')
    (root / "data/wav.scp").write_text("a a.wav\nb b.wav\n")
    (root / "data/reco2dur").write_text("a 10\nb 10\n")
    make(root)
    return root


def make(work):
    return run_script(DIAR / "make_rttm.sh", "--data-dir", "data", "sub", "sys", cwd=work)


def use(work, *args, rc=0):
    return run_script(DIAR / "use_corrections.sh", *args, cwd=work, rc=rc).stderr


def line(reco, speaker, start, length):
    return f"SPEAKER {reco} 1 {start:.3f} {length:.3f} <NA> <NA> {speaker} <NA> <NA>\n"


def rttm(work):
    return (work / "sys/rttm").read_text()


def test_corrections_stay_until_they_are_taken_back(work):
    own = rttm(work)
    (work / "all.rttm").write_text(line("a", "Anna", 0, 3) + "".join(own.splitlines(True)[2:]))
    assert "corrections of 1 recording: a;" in use(work, "sys", "all.rttm"), "b is as it was"
    corrected = rttm(work)
    assert corrected == (work / "all.rttm").read_text()
    a = read_result(work / "sys/result.json")["recordings"][0]
    assert (a["speakers"][0]["name"], a["num_spk"], a["num_spk_probability"]) == ("Anna", 1, None)
    assert "up to date" in make(work).stderr
    (work / "sys/labels").write_text("a-1 1\na-2 1\nb-1 1\nb-2 1\n")
    make(work)
    assert [row.split()[7] for row in rttm(work).splitlines()] == ["Anna", "speaker1", "speaker1"], "clustered again"
    (work / "saved").mkdir()
    (work / "saved/a.rttm").write_text(line("a", "Bo", 0, 3))
    (work / "saved/b.rttm").write_text("")
    use(work, "sys", "saved")
    assert rttm(work) == line("a", "Bo", 0, 3)
    assert read_result(work / "sys/result.json")["recordings"][1]["num_spk"] == 0, "no one speaks in b"
    use(work, "--drop", "a", "sys")
    assert {row.split()[1] for row in rttm(work).splitlines()} == {"a"}
    use(work, "--drop", "all", "sys")
    (work / "sys/labels").write_text("a-1 1\na-2 2\nb-1 1\nb-2 2\n")
    make(work)
    assert rttm(work) == own


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (line("a", "x", 0, 1) + line("c", "x", 0, 1), "saved.rttm:2: no such recording; expected one of: a b, got c"),
        (
            line("a", "x", 9, 2),
            "saved.rttm:1: the turn ends after recording a; expected at most 10.000 s, got 11.000 s",
        ),
        ("SPEAKER a 1 0 1\n", "saved.rttm:1: wrong number of fields"),
        ("", "saved.rttm: no SPEAKER line"),
    ],
)
def test_bad_corrections_change_nothing(work, text, problem):
    before = rttm(work)
    (work / "saved.rttm").write_text(text)
    assert problem in use(work, "sys", "saved.rttm", rc=1)
    assert rttm(work) == before and not (work / "sys/corrections").exists()


def test_refusals(work):
    (work / "two").mkdir()
    for name in ("a.rttm", "a (1).rttm"):
        (work / "two" / name).write_text(line("a", "x", 0, 1))
    assert "two/a.rttm: a second correction of a, beside a (1).rttm" in use(work, "sys", "two", rc=1)
    assert "no .rttm file" in use(work, "sys", "data", rc=1)
    assert "no corrections of this recording" in use(work, "--drop", "a", "sys", rc=1)
    assert "expected either" in use(work, "sys", rc=1)
    assert "make_rttm.sh" in use(work, "data", "two", rc=1)
    (work / "sys/rttm").write_text(line("a", "by_hand", 0, 1))
    (work / "two/a (1).rttm").unlink()
    assert "sys/rttm: was edited by hand" in use(work, "sys", "two", rc=1)
    assert rttm(work) == line("a", "by_hand", 0, 1), "nothing is lost"


def test_hand_edits_are_seen_if_the_talk_time_is_the_same(work):
    (work / "saved.rttm").write_text(line("a", "Anna", 0, 3))
    use(work, "sys", "saved.rttm")
    corrected = rttm(work)
    for before, after in ((" 3.000 <NA>", " 3.001 <NA>"), ("b 1 1.000", "b 1 1.500")):
        (work / "sys/rttm").write_text(corrected.replace(before, after, 1))
        assert "was edited by hand" in use(work, "--drop", "all", "sys", rc=1)
    (work / "sys/rttm").write_text(corrected)
    use(work, "--drop", "all", "sys")
