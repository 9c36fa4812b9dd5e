"""CALLHOME American English of the Linguistic Data Consortium: speech LDC97S42, transcripts LDC97T14.

Audio is ``data/{train,devtest,evltest}/en_NNNN.sph``: NIST SPHERE, 8 kHz, mu-law, one side of the call per channel,
usually shorten-compressed. Transcripts are ``transcrpt/{train,devtest,evaltest}/en_NNNN.txt`` (ISO 8859-1) of 10
contiguous minutes (5 in the evaluation part) of a call of up to 30, one turn per line::

    #Language: eng
    462.58 468.59 B: That's where, that's where I guess, they would, %um, they
    get involved in initial public offering

The letter is the side of the call; B1, B2 ... are further speakers on it. Lines that do not begin with two times
continue the text before them, unless the side of the call in them shows that a turn is meant. Sources: LDC's catalogue
pages, and the readers of Kaldi (fisher_callhome_spanish, the same series) and lhotse (callhome_english).
"""

from __future__ import annotations

import re
from pathlib import Path

from corpora.corpus import Call, Corpus, audio_by_stem, join_turns, remark_on_skipped
from ssdiar.base.errors import InputError
from ssdiar.io.recordings import files_below
from ssdiar.timeline.spans import Turn

NAME = "callhome_english"
LICENCE = (
    "CALLHOME American English Speech (LDC97S42) and Transcripts (LDC97T14) are licensed by the Linguistic Data "
    "Consortium; you must hold both"
)
PARTS = {"train": "train", "devtest": "devtest", "evltest": "evltest", "evaltest": "evltest"}
_CALL = re.compile(r"[a-z]{2}_[0-9]{4}")
_TIME = r"([0-9]+(?:\.[0-9]*)?)"
_TIMES = re.compile(rf"{_TIME}\s+{_TIME}(?=\s|$)\s*(\S*)")
_SPEAKER = re.compile(r"([AB][0-9]*):")
_TURN = re.compile(rf"([0-9]\S*\s+(\S+\s+)?)?{_SPEAKER.pattern}")  # the times may be malformed


def annotation(files: list[Path]) -> list[Path]:
    """Return the files that are transcripts by their names."""
    return [path for path in files if path.suffix.lower() == ".txt" and _CALL.fullmatch(path.stem.lower())]


def read_corpus(folder: str | Path) -> Corpus:
    """Read the transcripts below a folder and find their audio.

    A call is left out if its transcript is malformed, has no turns, or occurs twice, or if either file is missing.
    """
    files = list(files_below(Path(folder)))
    audio, texts = audio_by_stem(files), annotation(files)
    corpus = Corpus(NAME, LICENCE, texts)
    by_reco: dict[str, list[Path]] = {}
    for path in texts:
        by_reco.setdefault(path.stem.lower(), []).append(path)
    for reco, paths in by_reco.items():
        if len(paths) > 1:
            corpus.left_out[reco] = f"two transcripts: {paths[0]} and {paths[1]}"
            continue
        try:
            turns, remarks = read_transcript(paths[0], reco)
        except InputError as error:
            corpus.left_out[reco] = str(error)
            continue
        places = [paths[0], *audio.get(reco, ())]
        parts = frozenset(PARTS[name] for path in places if (name := path.parent.name.lower()) in PARTS)
        corpus.add(Call(reco, audio.get(reco, ()), turns, parts, remarks=remarks))
    corpus.left_out |= dict.fromkeys(filter(_CALL.fullmatch, audio.keys() - by_reco.keys()), "no transcript")
    return corpus


def read_transcript(path: str | Path, reco: str) -> tuple[tuple[Turn, ...], tuple[str, ...]]:
    """Read one transcript; return its turns in seconds, joined, and remarks. Malformed lines are skipped.

    Raises:
        InputError: Too many lines lack their times or side of the call, or belong to no turn (remark_on_skipped).
    """
    turns, empty, errors = [], 0, []
    for number, line in enumerate(Path(path).read_bytes().decode("latin-1").splitlines(), 1):
        text = line.strip()
        if not text or text.startswith("#"):
            continue
        match = _TIMES.match(text)
        if match is None:
            if _TURN.match(text) or not (turns or empty):
                bad = InputError("not a turn", path=path, line=number, expected="<start> <end> A: ...", got=text[:40])
                errors.append(bad)
            continue
        speaker = _SPEAKER.match(match[3])
        if speaker is None:
            expected = "A: or B: (or A1:, B1: ...) after the times"
            got = match[3] or "nothing"
            errors.append(InputError("no speaker", path=path, line=number, expected=expected, got=got))
            continue
        start, end = float(match[1]), float(match[2])
        if end > start:
            turns.append(Turn(reco, speaker[1], start, end))
        else:
            empty += 1
    remarks = remark_on_skipped(errors, len(turns) + empty + len(errors))
    remarks += [f"{empty} turns that do not end after they start left out"] if empty else []
    return join_turns(turns), tuple(remarks)
