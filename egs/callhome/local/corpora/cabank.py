"""CallHome English of TalkBank's CABank: mp3 or wav audio, transcripts in CHAT with time bullets.

A CHAT transcript (``NNNN.cha``, UTF-8) has headers that begin with ``@``, main lines that begin with ``*``, the code
of a participant and a colon, dependent lines that begin with ``%``, and continuation lines that begin with a tab. A
time bullet is ``start_end`` in milliseconds between two characters U+0015, in older files with ``%snd:"<media>"_``
before it::

    @Participants:	A Subject, B Subject
    @Media:	0638, audio
    *A:	right . <U+0015>200460_200690<U+0015>

The maintained Python package (pylangacq) is not used because the reference would lack turns: it takes only the first of
several bullets in an utterance and accepts a truncated file. It also refuses files for reasons unrelated to times, and
its errors have no line numbers. Source: the CHAT manual of TalkBank.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path

from corpora.corpus import Call, Corpus, audio_by_stem, join_turns, remark_on_skipped
from ssdiar.base.errors import InputError
from ssdiar.io.recordings import files_below
from ssdiar.io.tables import check_id, read_lines
from ssdiar.timeline.spans import Turn

NAME = "cabank"
LICENCE = (
    "TalkBank's CABank is free of charge for members who accept its rules (licence CC BY-NC-SA, citation of "
    "doi:10.21415/T5KP54 for CallHome English)"
)
_BULLET = re.compile(r'\x15(?:%snd:"[^"\x15]*"_)?([0-9]+)_([0-9]+)\x15')
_MAIN = re.compile(r"\*([^:\s]+):")


@dataclass(frozen=True)
class Transcript:
    """A CHAT file: language codes, name of the media, turns (in seconds, joined), remarks."""

    languages: tuple[str, ...]
    media: str | None
    turns: tuple[Turn, ...]
    remarks: tuple[str, ...]


def annotation(files: list[Path]) -> list[Path]:
    """Return the files that are transcripts by their names."""
    return [path for path in files if path.suffix.lower() == ".cha"]


def read_corpus(folder: str | Path) -> Corpus:
    """Read the transcripts below a folder and find their audio.

    English calls get LDC's ids, ``en_NNNN``, so that lists of calls fit both corpora; others are named after their
    file. A call is left out if its transcript is malformed, has no times, or occurs twice, or if it has no audio.
    """
    files = list(files_below(Path(folder)))
    audio, texts = audio_by_stem(files), annotation(files)
    corpus = Corpus(NAME, LICENCE, texts)
    seen: dict[str, Path] = {}
    for path in texts:
        try:
            transcript = read_chat(path)
            is_english_call = path.stem.isdigit() and transcript.languages[:1] == ("eng",)
            reco = check_id(f"en_{path.stem}" if is_english_call else path.stem, path)
        except InputError as error:
            corpus.left_out[path.stem] = str(error)
            continue
        if reco in seen:
            corpus.calls.pop(reco, None)
            corpus.left_out[reco] = f"two transcripts: {seen[reco]} and {path}"
            continue
        seen[reco] = path
        media = (transcript.media or path.stem).lower()
        turns = tuple(replace(turn, reco=reco) for turn in transcript.turns)
        found = audio.get(media) or audio.get(path.stem.lower(), ())
        corpus.add(Call(reco, found, turns, remarks=transcript.remarks))
    return corpus


def read_chat(path: str | Path) -> Transcript:
    """Read one CHAT transcript; its turns belong to a recording named after the file.

    Every bullet is a turn of its line's speaker. Lines without a bullet are counted in a remark. Lines with a malformed
    bullet or an undeclared participant are skipped.

    Raises:
        InputError: No ``@Begin``, no ``@End`` (cut short), or too many malformed lines (remark_on_skipped).
    """
    path = Path(path)
    reco, speakers, headers = path.stem, set(), {}
    turns, without, empty, line, utterances, errors = [], 0, 0, 0, 0, []
    for line, text in _logical_lines(path):
        if text.startswith("@"):
            name, _, value = text[1:].partition(":")
            headers.setdefault(name.strip(), value.strip())
            if name == "Participants":
                speakers = {participant.split()[0] for participant in value.split(",") if participant.strip()}
        elif not text.startswith("%"):
            utterances += 1
            try:
                speaker = _speaker(path, line, text, speakers)
                times = _bullets(path, line, text)
            except InputError as error:
                errors.append(error)
                continue
            without += not times
            turns += [Turn(reco, speaker, start / 1000, end / 1000) for start, end in times if end > start]
            empty += sum(end <= start for start, end in times)
    for header, what in {"Begin": "not a CHAT transcript", "End": "cut short"}.items():
        if header not in headers:
            raise InputError(what, path=path, line=line or None, expected=f"a line @{header}")
    remarks = remark_on_skipped(errors, utterances)
    remarks += [f"{without} utterances without times"] if without else []
    remarks += [f"{empty} turns that do not end after they start left out"] if empty else []
    media = headers.get("Media", "").split(",")[0].strip().strip('"') or None
    languages = tuple(re.split(r"[,\s]+", headers["Languages"])) if headers.get("Languages") else ()
    return Transcript(languages, media, join_turns(turns), tuple(remarks))


def _logical_lines(path: Path) -> list[tuple[int, str]]:
    """Return (number of the first line, text) with continuation lines joined."""
    lines: list[tuple[int, str]] = []
    for number, text in read_lines(path):
        if lines and text.startswith("\t"):
            lines[-1] = (lines[-1][0], f"{lines[-1][1]} {text.strip()}")
        else:
            lines.append((number, text.rstrip()))
    return lines


def _speaker(path: Path, line: int, text: str, speakers: set[str]) -> str:
    match = _MAIN.match(text)
    if not text.startswith("*"):
        raise InputError("not a CHAT line", path=path, line=line, expected="@, *, % or a tab first", got=text[:40])
    if match is None:
        raise InputError("no speaker", path=path, line=line, expected="*<participant>: ...", got=text.split()[0])
    if match[1] not in speakers:
        names = " ".join(sorted(speakers)) or "an @Participants line before it"
        raise InputError("unknown participant", path=path, line=line, expected=names, got=match[1])
    return match[1]


def _bullets(path: Path, line: int, text: str) -> list[tuple[int, int]]:
    times = [(int(start), int(end)) for start, end in _BULLET.findall(text)]
    rest = _BULLET.sub("", text)
    if "\x15" in rest:
        got = rest[rest.index("\x15") :][:40].replace("\x15", "<U+0015>")
        raise InputError("bad time bullet", path=path, line=line, expected="<U+0015>start_end<U+0015>", got=got)
    return times
