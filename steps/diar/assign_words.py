"""Give each word of a transcript the speaker who says it.

Reads a transcript (CTM, the JSON of Whisper, WhisperX, OpenAI, whisper.cpp, Transformers or Vosk, WebVTT, SubRip), or a
folder with one per recording, named after it or its audio file (of .ctm, .json, .vtt and .srt, the first is taken);
and the RTTM of make_rttm.sh or any other. Writes into <out-dir>, by default the folder words beside the RTTM: words.ctm
(8 columns, the last is the speaker), words.stm, and <recording>.json, .srt, .vtt. A word gets the speaker whose turns
overlap it most; in a gap, the nearest turn's. If it ties in overlapped speech, it goes to the speaker who is not
saying another word then, else to the speaker of the word before (ssdiar/results/words.py has all rules). Words of
captions share the time of their phrase by their letters.
e.g.: assign_words.sh whisper/call1.json exp/calls/best
"""

from __future__ import annotations

import logging
import re
from pathlib import Path

import stage

from ssdiar.base.errors import InputError
from ssdiar.io.names import Names
from ssdiar.io.rttm import read_rttm
from ssdiar.io.tables import check_reco, read_if_there
from ssdiar.io.transcripts import SUFFIXES, Word, read_transcript
from ssdiar.results import read_result
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
    add("--overwrite", type=stage.boolean, default=False, help="replace files that were changed or made otherwise")
    options = parser.parse_args()
    rttm = options.source / "rttm" if options.source.is_dir() else options.source
    turns = read_rttm(rttm)
    entries = read_if_there(lambda path: read_result(path)["recordings"], rttm.parent / "result.json", [])
    files = {entry["recording"]: entry["file"] or "" for entry in entries}
    spoken = {turn.reco for turn in turns}
    words = read_words(options.transcript, options.recording, Names(files, spoken))
    named = {word.reco for word in words}
    if not named & (spoken | files.keys()):
        raise InputError(
            f"no turn of a recording of {options.transcript}",
            path=rttm,
            expected=" ".join(sorted(named)[:5]),
            got=" ".join(sorted(spoken)[:5]) or "no SPEAKER line",
            hint="Name each transcript after its recording, or give --recording.",
        )
    for reco in sorted(named - spoken):
        _LOG.warning("%s: no turn of %s, so its words have no speaker", rttm, reco)
    out_dir = options.out_dir or rttm.parent / "words"
    assigned = assign_words(words, turns, options.farthest)
    files = write_words(assigned, out_dir, options.formats.split(), options.overwrite)
    unassigned = sum(word.speaker is None for word in assigned)
    _LOG.info("%s: %d words (%d without a speaker), %d files", out_dir, len(assigned), unassigned, len(files))


def read_words(path: Path, reco: str | None, names: Names) -> list[Word]:
    """Read a transcript, or all of a folder: of each recording, that with most detail (the order of SUFFIXES).

    Raises:
        InputError: A file is malformed; or there is none, no word, or a second one of the same recording.
    """
    if not path.is_dir():
        words = read_transcript(path, reco or _recording(path, names))
    elif reco is not None:
        raise InputError("--recording is for a single file, not for a folder", path=path)
    else:
        words = _read_folder(path, names)
    if not words:
        raise InputError("no word", path=path, expected=f"a transcript ({' '.join(SUFFIXES)})")
    return words


def _recording(file: Path, names: Names) -> str:
    """Return the recording of a transcript, which may be named call.json, call.wav.json or call.en.srt."""
    without = re.sub(r"\.[A-Za-z][A-Za-z0-9]{1,3}$", "", file.stem)
    return check_reco(file.stem if file.stem in names or without not in names else without, names, file)


def _read_folder(folder: Path, names: Names) -> list[Word]:
    files = sorted(file for file in folder.iterdir() if file.is_file() and not file.name.startswith("."))
    known = [file for file in files if file.suffix.lower() in SUFFIXES]
    words: list[Word] = []
    sources: dict[str, Path] = {}  # by recording
    for file in sorted(known, key=lambda file: SUFFIXES.index(file.suffix.lower())):
        reco = _recording(file, names)
        if reco in sources and sources[reco].suffix.lower() != file.suffix.lower():
            continue
        found = read_transcript(file, reco)
        recordings = {word.reco for word in found} if file.suffix.lower() == ".ctm" else {reco}
        if twice := recordings & sources.keys():
            what = f"a second transcript of {min(twice)}, beside {sources[min(twice)].name}"
            raise InputError(what, path=file, expected="one for each recording")
        sources |= dict.fromkeys(recordings, file)
        words += found
    if left := [file.name for file in files if file not in sources.values()]:
        more = " ..." if len(left) > 5 else ""
        _LOG.info("%s: %d other files are passed over: %s%s", folder, len(left), " ".join(left[:5]), more)
    return words


if __name__ == "__main__":
    stage.run(main)
