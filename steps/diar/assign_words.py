"""Give each word of a transcript the speaker who says it.

Reads a transcript (CTM, the JSON of Whisper or WhisperX, SubRip, WebVTT), or a folder with one per recording, named
<recording>.json, .srt, .vtt or .ctm; and the RTTM of make_rttm.sh or any other. Writes into <out-dir>, by default the
folder words beside the RTTM: words.ctm (8 columns, the last is the speaker), words.stm, and <recording>.json, .srt,
.vtt. A word gets the speaker whose turns overlap it most; in a gap, that of the nearest turn. If it ties in
overlapped speech, it goes to the speaker who is not saying another word then, else to the speaker of the word before
(ssdiar/results/words.py has all rules). Words of captions share the time of their phrase by their letters.
e.g.: assign_words.sh whisper/call1.json exp/calls/best
"""

from __future__ import annotations

import logging
from pathlib import Path

import stage

from ssdiar.base.errors import InputError
from ssdiar.io.rttm import read_rttm
from ssdiar.io.transcripts import SUFFIXES, Word, read_transcript
from ssdiar.results.words import FARTHEST, FILE_NAMES, assign_words, write_words

_LOG = logging.getLogger(__name__)


def main() -> None:
    """Read the transcript and the RTTM, and write the words with their speakers."""
    parser = stage.Parser(__doc__)
    add = parser.add_argument
    add("transcript", type=Path)
    add("source", metavar="rttm-or-system-dir", type=Path)
    add("out_dir", type=Path, nargs="?")
    add("--formats", default=" ".join(FILE_NAMES), metavar='"a b"', help="write these formats")
    help_text = "name the recording of a single JSON, SRT or WebVTT file (its name without the ending)"
    add("--recording", metavar="id", help=help_text)
    help_text = "leave a word that is farther from any turn without a speaker"
    add("--farthest", type=stage.number(0), default=FARTHEST, metavar="seconds", help=help_text)
    options = parser.parse_args()
    words = read_words(options.transcript, options.recording)
    rttm = options.source / "rttm" if options.source.is_dir() else options.source
    turns = read_rttm(rttm)
    known, named = {turn.reco for turn in turns}, {word.reco for word in words}
    if not known & named:
        raise InputError(
            f"no turn of a recording of {options.transcript}",
            path=rttm,
            expected=" ".join(sorted(named)[:5]),
            got=" ".join(sorted(known)[:5]) or "no SPEAKER line",
            hint="Name each transcript after its recording, or give --recording.",
        )
    for reco in sorted(named - known):
        _LOG.warning("WARNING: %s: no turn of %s, so its words have no speaker", rttm, reco)
    out_dir = options.out_dir or rttm.parent / "words"
    assigned = assign_words(words, turns, options.farthest)
    files = write_words(assigned, out_dir, options.formats.split())
    unassigned = sum(word.speaker is None for word in assigned)
    _LOG.info("%s: %d words (%d without a speaker), %d files", out_dir, len(assigned), unassigned, len(files))


def read_words(path: Path, reco: str | None) -> list[Word]:
    """Read a transcript, or all of a folder.

    Raises:
        InputError: A file is malformed; or there is none, no word, or a second one of the same recording.
    """
    files = [path]
    if path.is_dir():
        files = sorted(file for file in path.iterdir() if file.suffix.lower() in SUFFIXES)
        if reco is not None:
            raise InputError("--recording is for a single file, not for a folder", path=path)
    words: list[Word] = []
    for file in files:
        found = read_transcript(file, reco)
        if twice := {word.reco for word in words} & {word.reco for word in found}:
            raise InputError(f"a second transcript of {min(twice)}", path=file, expected="one for each recording")
        words += found
    if not words:
        raise InputError("no word", path=path, expected=f"a transcript ({' '.join(SUFFIXES)})")
    return words


if __name__ == "__main__":
    stage.run(main)
