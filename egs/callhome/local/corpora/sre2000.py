"""NIST SRE 2000, disk 8 (LDC2001S97, R65_8_1): 500 telephone calls of 2 to 7 speakers in several languages.

Audio is ``<call>.sph`` (``iaaa`` ...): NIST SPHERE, 8 kHz, mu-law, both sides summed, usually shorten-compressed. LDC
ships no reference; everybody scores against the key that openslr.org offers as resource 10, ``sre2000-key.tar.gz``:
``fullref.rttm``, ``reco2num`` (speakers per call) and ``segments`` (speech). Kaldi's callhome_diarization tunes on one
half of the calls and scores the other; its halves are what a seeded shuffle makes of the sorted list of calls, and
are computed here, not shipped: the first equals the published list (BUT's CALLHOME_sublists) but for iaeu, which
others leave out because the key has a turn of 103 s there that is none.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from corpora.corpus import Call, Collector, Corpus, audio_by_stem, join_turns
from ssdiar.data import files_below
from ssdiar.errors import InputError
from ssdiar.io.rttm import read_rttm
from ssdiar.io.tables import read_counts, read_segments
from ssdiar.timeline.spans import Segment, Turn, by_recording, grouped

NAME = "sre2000"
LICENCE = (
    "2000 NIST Speaker Recognition Evaluation (LDC2001S97) is licensed by the Linguistic Data Consortium; you must "
    "hold it, and have unpacked sre2000-key.tar.gz (openslr.org, resource 10) in the corpus folder"
)
FOLDS = ("callhome1", "callhome2")
_LONGEST_TURN = 60.0  # seconds; a turn of more is not speech but a slip in the key


def keys(files: list[Path]) -> list[Path]:
    """Return those files that are the key's reference by their names."""
    return [path for path in files if path.name == "fullref.rttm"]


def read_corpus(folder: str | Path) -> Corpus:
    """Read the key below a folder and find the audio of its calls.

    Raises:
        InputError: There is no key or more than one, or it is malformed.
    """
    folder = Path(folder)
    files = list(files_below(folder))
    found = keys(files)
    if len(found) != 1:
        packed = any(path.name == "sre2000-key.tar.gz" for path in files)
        hint = "Unpack sre2000-key.tar.gz." if packed else "It is in sre2000-key.tar.gz, openslr.org, resource 10."
        expected = "fullref.rttm of the key, once"
        raise InputError("no key" if not found else "two keys", path=folder, expected=expected, hint=hint)
    key = found[0].parent
    counts = read_counts(key / "reco2num", "recording number")
    turns = grouped(read_rttm(found[0]))
    segments = by_recording(read_segments(key / "segments")) if (key / "segments").exists() else None
    first = first_half(sorted(counts))
    audio, collector = audio_by_stem(files), Collector()
    for reco, count in counts.items():
        if segments is not None and reco not in segments:
            collector.left_out[reco] = f"not in {key / 'segments'}"
            continue
        joined = join_turns(turns.get(reco, []))
        part = frozenset([FOLDS[0] if reco in first else FOLDS[1]])
        speech = () if segments is None else tuple(segments[reco])
        remarks = _remarks(joined, count)
        collector.add(Call(reco, audio.get(reco, ()), joined, part, count, _with_ids(reco, speech), remarks))
    for reco in turns.keys() - counts.keys():
        collector.left_out[reco] = f"not in {key / 'reco2num'}"
    sources = [found[0], key / "reco2num", *([] if segments is None else [key / "segments"])]
    return collector.corpus(NAME, LICENCE, sources, FOLDS)


def _with_ids(reco: str, speech: Sequence[Segment]) -> tuple[Segment, ...]:
    """Return speech regions under ids that begin with the recording's, as data directories want them."""
    if all(region.id.startswith(reco) for region in speech):
        return tuple(speech)
    return tuple(Segment(f"{reco}-{number:04}", reco, s.start, s.end) for number, s in enumerate(speech))


def _remarks(turns: Sequence[Turn], count: int) -> tuple[str, ...]:
    named = len({turn.speaker for turn in turns})
    remarks = [] if named == count else [f"{count} speakers by reco2num, {named} by fullref.rttm"]
    remarks += [
        f"speaker {turn.speaker} talks from {turn.start:g} to {turn.end:g} s without a break by fullref.rttm"
        for turn in turns
        if turn.end - turn.start > _LONGEST_TURN
    ]
    return tuple(remarks)


def first_half(recordings: Sequence[str]) -> frozenset[str]:
    """Return the first half of a sorted list of recordings, as Kaldi's make_callhome.sh halves it.

    There ``utils/shuffle_list.pl`` gives each line a random number and sorts by its text (Perl's ``%.15g``), and the
    first 250 lines of 500 are callhome1. Perl's generator since 5.20 is drand48, here seeded with 0.

    Args:
        recordings: Ids in order.
    """
    state, numbered = 0x330E, []
    for reco in recordings:
        state = (state * 0x5DEECE66D + 0xB) % 2**48
        numbered.append((f"{state / 2**48:.15g}", reco))
    return frozenset(reco for _, reco in sorted(numbered)[: len(recordings) // 2])
