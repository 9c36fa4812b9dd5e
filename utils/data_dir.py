"""The files of a data directory and what their lines are about: shared by validate_data_dir.py and fix_data_dir.py."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "steps" / "diar"))

import stage  # noqa: F401 (puts the library on the path)

from ssdiar.errors import InputError
from ssdiar.io.tables import read_lines

# Columns of the tables with one line per utterance, speaker and recording, in the notation of ssdiar.io.tables.
BY_UTTERANCE = {
    "segments": "utterance recording start end",
    "feats.scp": "utterance path...",
    "text": "utterance words...",
    "vad.scp": "utterance path...",
    "utt2lang": "utterance language",
    "utt2uniq": "utterance original",
    "utt2dur": "utterance seconds",
    "utt2num_frames": "utterance frames",
    "utt2warp": "utterance warp",
}
BY_SPEAKER = {"cmvn.scp": "speaker path...", "spk2gender": "speaker gender", "spk2warp": "speaker warp"}
BY_RECORDING = {
    "wav.scp": "recording path-or-command...",
    "reco2num_spk": "recording number",
    "reco2dur": "recording seconds",
    "reco2file_and_channel": "recording file channel",
}
# The same, but recordings may be left out.
BY_SOME_RECORDINGS = {
    "reco2channel": "recording channel",
    "reco2parties": "recording channels...",
    "reco2offset": "recording seconds",
    "side2reco": "side recording",
}
# Files with any number of lines per recording, and the field (from 0) that names the recording.
ABOUT_RECORDINGS = {"ref.rttm": 1, "all.uem": 0, "overlap.segments": 1}


def recording_lines(path: Path) -> Iterable[tuple[int, str, str | None]]:
    """Yield (line number, line, recording or None for a comment) of a file of ``ABOUT_RECORDINGS``.

    Raises:
        InputError: A line has too few fields to name a recording.
    """
    field = ABOUT_RECORDINGS[path.name]
    for line, text in read_lines(path):
        fields = text.split()
        if text.startswith(";;"):
            yield line, text, None
        elif len(fields) > field:
            yield line, text, fields[field]
        else:
            raise InputError(
                "wrong number of fields", path=path, line=line, expected=f"at least {field + 1}", got=f"{len(fields)}"
            )


def check_sorted_by_speaker(path: Path, lines: Iterable[tuple[int, str]]) -> None:
    """Check that ``lines`` of utt2spk, which are sorted by utterance, are sorted by speaker too.

    Kaldi's programs and its validate_data_dir.sh (``sort -k2 -C``) rely on it. The order is that of ``sort``: by the
    line from the end of its first field on, then by the whole line, as bytes.

    Raises:
        InputError: They are not.
    """
    last = (b"", b"")
    for line, text in lines:
        whole = text.encode()
        key = (whole[len(whole.split(None, 1)[0]) :], whole)
        if key < last:
            raise InputError(
                "sorted by utterance but not by speaker",
                path=path,
                line=line,
                hint="Let every utterance id begin with its speaker (here: its recording) and '-', "
                "and let no speaker id be another one with '-' at its end.",
            )
        last = key
