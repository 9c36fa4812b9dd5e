"""NIST SRE 2000, disk 8 (LDC2001S97, R65_8_1): 500 telephone calls of 2 to 7 speakers in several languages.

Audio is ``<call>.sph`` (``iaaa`` ...): NIST SPHERE, 8 kHz, mu-law, both sides summed, usually shorten-compressed. LDC
ships no reference; the usual key is resource 10 of openslr.org, ``sre2000-key.tar.gz``: ``fullref.rttm``, ``reco2num``
(speakers per call) and ``segments`` (speech). Kaldi's callhome_diarization tunes on one half of the calls and scores
the other. Its halves are a seeded shuffle of the sorted list of calls, computed here: the first equals the published
list (BUT's CALLHOME_sublists) except for iaeu, which others leave out because of a wrong turn of 103 s in the key.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from corpora.corpus import Call, Corpus, audio_by_stem, join_turns
from ssdiar.base.errors import InputError
from ssdiar.io.recordings import files_below
from ssdiar.io.rttm import read_rttm
from ssdiar.io.tables import read_counts, read_if_there, read_segments
from ssdiar.timeline.spans import Segment, Turn, by_recording, grouped

NAME = "sre2000"
LICENCE = (
    "2000 NIST Speaker Recognition Evaluation (LDC2001S97) is licensed by the Linguistic Data Consortium; you must "
    "hold it, and have unpacked sre2000-key.tar.gz (openslr.org, resource 10) in the corpus folder"
)
_LONGEST_TURN = 60.0  # seconds; a longer turn is an error in the key


def annotation(files: list[Path]) -> list[Path]:
    """Return the files that are the key's reference by their names."""
    return [path for path in files if path.name == "fullref.rttm"]


def read_corpus(folder: str | Path) -> Corpus:
    """Read the key below a folder and find the audio of its calls.

    Raises:
        InputError: There is no key or more than one, or it is malformed.
    """
    folder = Path(folder)
    files = list(files_below(folder))
    found = annotation(files)
    if len(found) != 1:
        packed = any(path.name == "sre2000-key.tar.gz" for path in files)
        hint = "Unpack sre2000-key.tar.gz." if packed else "It is in sre2000-key.tar.gz, openslr.org, resource 10."
        expected = "fullref.rttm of the key, once"
        raise InputError("no key" if not found else "two keys", path=folder, expected=expected, hint=hint)
    key = found[0].parent
    counts = read_counts(key / "reco2num", "recording number")
    turns = grouped(read_rttm(found[0]))
    segments = by_recording(read_if_there(read_segments, key / "segments", []))
    first = first_half(sorted(counts))
    audio = audio_by_stem(files)
    sources = [found[0], key / "reco2num", *([key / "segments"] if segments else [])]
    corpus = Corpus(NAME, LICENCE, sources)
    for reco, count in counts.items():
        if segments and reco not in segments:
            corpus.left_out[reco] = f"not in {key / 'segments'}"
            continue
        joined = join_turns(turns.get(reco, []))
        part = frozenset(["callhome1" if reco in first else "callhome2"])
        speech = _with_ids(reco, segments.get(reco, []))
        corpus.add(Call(reco, audio.get(reco, ()), joined, part, count, speech, _remarks(joined, count)))
    corpus.left_out |= dict.fromkeys(turns.keys() - counts.keys(), f"not in {key / 'reco2num'}")
    return corpus


def _with_ids(reco: str, speech: Sequence[Segment]) -> tuple[Segment, ...]:
    """Return speech regions with ids that begin with the recording's, as Kaldi's data directories require."""
    if all(region.id.startswith(reco) for region in speech):
        return tuple(speech)
    return tuple(Segment(f"{reco}-{number:04}", reco, s.start, s.end) for number, s in enumerate(speech))


def _remarks(turns: Sequence[Turn], count: int) -> tuple[str, ...]:
    named = len({turn.speaker for turn in turns})
    remarks = [] if named == count else [f"{count} speakers by reco2num, {named} by fullref.rttm"]
    remarks += [
        f"speaker {turn.speaker} talks without a pause from {turn.start:g} to {turn.end:g} s by fullref.rttm"
        for turn in turns
        if turn.end - turn.start > _LONGEST_TURN
    ]
    return tuple(remarks)


def first_half(recordings: Sequence[str]) -> frozenset[str]:
    """Return the first half of a sorted list of recordings, callhome1 of Kaldi's make_callhome.sh.

    ``utils/shuffle_list.pl`` gives each line a random number and sorts by its text (Perl's ``%.15g``). Perl's generator
    since 5.20 is drand48, here seeded with 0.
    """
    state, numbered = 0x330E, []
    for reco in recordings:
        state = (state * 0x5DEECE66D + 0xB) % 2**48
        numbered.append((f"{state / 2**48:.15g}", reco))
    return frozenset(reco for _, reco in sorted(numbered)[: len(recordings) // 2])
