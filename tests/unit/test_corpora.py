"""Readers of the CALLHOME corpora's annotation: what each format says, and each broken line by its number."""

import re

import pytest

from corpora.cabank import read_chat
from corpora.corpus import Call, Corpus, join_turns, select
from corpora.ldc import read_transcript
from corpora.sre2000 import first_half
from ssdiar.base.errors import InputError
from ssdiar.timeline.spans import Turn

B = "\x15"
CHAT = f"""\
@UTF8
@Begin
@Languages:	eng, spa
@Participants:	A Subject, B Zoë Subject
@Media:	0638, audio
*A:	right . {B}1000_1800{B}
*B:	and
	so {B}1700_2500{B} on . {B}2500_3100{B}
@End
"""


@pytest.fixture
def path(tmp_path):
    return tmp_path / "0638.cha"


def spans(turns):
    return [(turn.speaker, turn.start, turn.end) for turn in turns]


def test_chat(path):
    path.write_text("\ufeff" + CHAT.replace("\n", "\r\n"), newline="")
    transcript = read_chat(path)
    assert (transcript.languages, transcript.media, transcript.remarks) == (("eng", "spa"), "0638", ())
    assert spans(transcript.turns) == [("A", 1.0, 1.8), ("B", 1.7, 3.1)]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("1000_1800", "1000_", ":6: bad time bullet; expected <U+0015>start_end<U+0015>, got <U+0015>1000_<U+0015>"),
        (f"1800{B}", "1800", ":6: bad time bullet; expected <U+0015>start_end<U+0015>, got <U+0015>1000_1800"),
        ("*B:", "*C:", ":7: unknown participant; expected A B, got C"),
        ("*B:", "*B", ":7: no speaker; expected *<participant>: ..., got *B"),
        ("@Participants:", "@People:", ":6: unknown participant; expected an @Participants line before it, got A"),
        ("@End\n", "", ":7: cut short; expected a line @End"),
        ("@Begin\n", "", ":8: not a CHAT transcript; expected a line @Begin"),
        ("@UTF8", "<html>", ":1: not a CHAT line; expected @, *, % or a tab first, got <html>"),
        ("@UTF8", "\t<html>", ":1: not a CHAT line; expected @, *, % or a tab first, got \t<html>"),
        ("Zoë", "Zo\udceb", ":4: not UTF-8 text"),
        (CHAT, "", ": not a CHAT transcript; expected a line @Begin"),
    ],
)
def test_broken_chat(path, old, new, message):
    path.write_bytes(CHAT.replace(old, new, 1).encode(errors="surrogateescape"))
    with pytest.raises(InputError, match=re.escape(f"{path}{message}") + "$"):
        read_chat(path)


def test_chat_without_times_says_so(path):
    path.write_text(re.sub("\x15[^\x15]*\x15", "", CHAT).replace("right .", f"right . {B}5_5{B}"))
    transcript = read_chat(path)
    assert not transcript.turns
    assert transcript.remarks == ("1 utterances without times", "1 turns that do not end after they start left out")


def test_ldc_transcript(tmp_path):
    text = "#Language: eng\n# 2 11 #BEGIN\n\n2.5 4 A: se\xf1or 3 4\n and more\n4.0 4.5 A:\n4 4 B2: (( ))\n"
    text += "3.25 6. B1: hm\r\n"
    (tmp_path / "en_1.txt").write_bytes(text.encode("latin-1"))
    turns, remarks = read_transcript(tmp_path / "en_1.txt", "en_1")
    assert turns == (Turn("en_1", "A", 2.5, 4.5), Turn("en_1", "B1", 3.25, 6.0))
    assert remarks == ("1 turns that do not end after they start left out",)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1 2 A: a\n2 3\n", ":2: no speaker; expected A: or B: (or A1:, B1: ...) after the times, got nothing"),
        ("1 2 A: a\n2 3 and so on\n", ":2: no speaker; expected A: or B: (or A1:, B1: ...) after the times, got and"),
        ("# x\nA: a\n", ":2: not a turn; expected <start> <end> A: ..., got A: a"),
        ("1 two A: a\n", ":1: not a turn; expected <start> <end> A: ..., got 1 two A: a"),
    ],
)
def test_broken_ldc_transcript(tmp_path, text, message):
    path = tmp_path / "en_1.txt"
    path.write_text(text)
    with pytest.raises(InputError, match=re.escape(f"{path}{message}") + "$"):
        read_transcript(path, "en_1")


@pytest.mark.parametrize(
    ("bad", "what"),
    [
        ("30 31 C: who?", "no speaker; expected A: or B: (or A1:, B1: ...) after the times, got C:"),
        ("30.5 3l.0 A: well", "not a turn; expected <start> <end> A: ..., got 30.5 3l.0 A: well"),
        ("B: a turn without times", "not a turn; expected <start> <end> A: ..., got B: a turn without times"),
    ],
)
def test_a_malformed_line_of_the_ldc_costs_that_line(tmp_path, bad, what):
    path, lines = tmp_path / "en_1.txt", [f"{n} {n}.5 A: 30 people" for n in range(37)]
    path.write_text("\n".join([*lines[:9], bad, *lines[9:], "4 May, and more"]))
    turns, remarks = read_transcript(path, "en_1")
    assert [turn.start for turn in turns] == list(range(37))
    assert remarks == (f"1 of 38 lines malformed (10), the first: {path}:10: {what}; skipped",)
    path.write_text("\n".join([*lines[:9], bad, *lines[9:], bad]))
    with pytest.raises(InputError, match=re.escape(f"2 of 39 lines malformed (10, 39), the first: {path}:10: {what}")):
        read_transcript(path, "en_1")


def test_a_malformed_line_of_chat_costs_that_line(path):
    lines = [f"*A:\tright . {B}{n}000_{n}500{B}\n" for n in range(4, 42)]
    path.write_text(CHAT.replace("@End\n", "".join([*lines, f"and\n\tso {B}50000_51000{B}\n", "@End\n"])))
    transcript = read_chat(path)
    assert [turn.end for turn in transcript.turns] == [1.8, 3.1, *(n + 0.5 for n in range(4, 42))]
    expected = "not a CHAT line; expected @, *, % or a tab first, got and so"
    assert transcript.remarks[0].startswith(f"1 of 41 lines malformed (47), the first: {path}:47: {expected}")


def test_turns_of_a_speaker_that_touch_are_one_and_no_gap_is_closed():
    turns = [Turn("r", "A", 2, 3), Turn("r", "A", 0, 1), Turn("r", "B", 0.5, 4), Turn("r", "A", 1, 1.5)]
    turns.append(Turn("s", "A", 1.5, 2))
    assert join_turns(turns) == (
        Turn("r", "A", 0, 1.5),
        Turn("r", "B", 0.5, 4),
        Turn("r", "A", 2, 3),
        Turn("s", "A", 1.5, 2),
    )


@pytest.fixture
def corpus(tmp_path):
    corpus = Corpus("some", "own it", [])
    for reco, speakers, part in (("en_1", "AB", "train"), ("en_2", "A", "train"), ("en_3", "ABC", "devtest")):
        turns = tuple(Turn(reco, speaker, 0, 1) for speaker in speakers)
        corpus.add(Call(reco, (tmp_path / f"{reco}.sph",), turns, frozenset([part])))
    corpus.add(Call("en_4", (), (Turn("en_4", "A", 0, 1),)))
    return corpus


def test_subsets(corpus, tmp_path):
    (tmp_path / "list").write_text("# CH109\nen_3\n1 x\nen_4\nen_9\n")
    chosen = {
        subset: (list(selection.calls), list(selection.left_out), limit)
        for subset in ("all", "two-speaker", "train", "2", str(tmp_path / "list"))
        for selection, limit in [select(corpus, subset)]
    }
    assert chosen == {
        "all": (["en_1", "en_2", "en_3"], ["en_4"], None),
        "two-speaker": (["en_1"], ["en_2", "en_3", "en_4"], None),
        "train": (["en_1", "en_2"], ["en_4"], None),
        "2": (["en_1", "en_2", "en_3"], ["en_4"], 2),
        str(tmp_path / "list"): (["en_1", "en_3"], ["en_4", "en_9"], None),
    }


def test_the_halves_are_those_of_kaldi():
    """Made with Kaldi's utils/shuffle_list.pl of perl 5.36: names.txt | shuffle_list.pl | head -n 10."""
    names = [f"call{number:02}" for number in range(20)]
    assert sorted(first_half(names)) == KALDI_HALF.split()


KALDI_HALF = "call00 call02 call04 call07 call10 call11 call13 call14 call17 call19"
