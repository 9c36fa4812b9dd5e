"""Simulated calls and the data directories that they, or any other recordings with a reference, are written to."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

import numpy as np

from ssdiar.errors import InputError
from ssdiar.io.publish import publish_folder, publish_text
from ssdiar.io.rttm import Turn, write_rttm
from ssdiar.io.tables import check_id, read_rows, write_table
from ssdiar.simulation.channel import Channel
from ssdiar.simulation.turns import SHORTEST_SPURT, Spurt
from ssdiar.simulation.voices import RATE, Supply, Voice


@dataclass(frozen=True)
class Call:
    """A simulated call: ``samples`` (n,) float32 at 8 kHz and its exact reference, times on a grid of 10 ms."""

    reco: str
    samples: np.ndarray
    turns: tuple[Turn, ...]


def generator(*parts: object) -> np.random.Generator:
    """Return the random generator that belongs to ``parts`` (a seed, a call's id, a purpose), on any machine."""
    digest = hashlib.sha256("\0".join(map(str, parts)).encode()).digest()
    return np.random.Generator(np.random.PCG64(int.from_bytes(digest, "little")))


def assign_pairs(voices: Sequence[str], num_calls: int, seed: int) -> list[tuple[str, str]]:
    """Choose two different voices for each call, every voice as often as any other to within one.

    Among equally used voices, those that have not met come first, then chance decides. The first calls of a corpus are
    those of a longer one with the same seed.
    """
    rng = generator(seed, "pairs")
    used = dict.fromkeys(voices, 0)
    met: dict[frozenset[str], int] = {}
    pairs = []
    for _ in range(num_calls):
        chance = dict(zip(voices, rng.permutation(len(voices)), strict=True))
        first = min(voices, key=lambda voice: (used[voice], chance[voice]))
        second = min(
            (voice for voice in voices if voice != first),
            key=lambda voice: (used[voice], met.get(frozenset((first, voice)), 0), chance[voice]),
        )
        for voice in (first, second):
            used[voice] += 1
        met[frozenset((first, second))] = met.get(frozenset((first, second)), 0) + 1
        pairs.append((first, second) if rng.random() < 0.5 else (second, first))
    return pairs


def read_pairs(path: str | Path, voices: Sequence[str]) -> list[tuple[str, str]]:
    """Read ``<call> <voice> <voice>`` lines: who talks to whom, in file order.

    Raises:
        InputError: A line is malformed, names an unknown voice, or the same voice twice; or there is no line.
    """
    pairs = []
    for line, (_, first, second) in read_rows(path, "call voice voice"):
        for voice in (first, second):
            if voice not in voices:
                expected = "one of " + ", ".join(voices[:10]) + (" ..." if len(voices) > 10 else "")
                raise InputError("unknown voice", path=path, line=line, expected=expected, got=voice)
        if first == second:
            raise InputError("the same voice on both sides", path=path, line=line, got=first)
        pairs.append((first, second))
    if not pairs:
        raise InputError("no pairs", path=path)
    return pairs


def simulate_call(
    reco: str, voices: tuple[Voice, Voice], plan: Sequence[Spurt], duration: float, channel: Channel, seed: int
) -> Call:
    """Speak a plan of spurts with two voices over a telephone line.

    A spurt starts when the plan says and lasts as long as the speech found for it, which is near to the plan; the
    reference holds what was spoken. Spurts under 0.2 s are left out.

    Args:
        reco: Id of the call; with ``seed`` it decides everything that is random here.
        voices: The voices of side 0 and side 1.
        plan: Spurts ordered by start, none of a side overlapping another of that side.
        duration: Length of the call in seconds.
        channel: The line.
        seed: The corpus's seed.
    """
    signals = [np.zeros(round(duration * RATE), np.float32) for _ in voices]
    turns = []
    for side, voice in enumerate(voices):
        supply = Supply(voice, generator(seed, reco, "speech", side))
        spurts = [spurt for spurt in plan if spurt.side == side]
        limits = [spurt.start for spurt in spurts[1:]] + [duration]
        for spurt, limit in zip(spurts, limits, strict=False):
            start = round(spurt.start * 100) / 100
            # Ends before the side's next spurt, with the 10 ms grid in mind: two turns of one side stay two.
            longest = min(limit - 0.02, duration) - start
            if min(spurt.end - spurt.start, longest) < SHORTEST_SPURT:
                continue
            speech = supply.take(spurt.end - spurt.start, longest)
            first = round(start * RATE)
            signals[side][first : first + len(speech)] = speech
            turns.append(Turn(reco, voice.id, start, (first + len(speech)) / RATE))
    samples = channel.transmit(signals, generator(seed, reco, "channel"))
    return Call(reco, samples, tuple(sorted(turns, key=lambda turn: (turn.start, turn.speaker))))


class CorpusWriter:
    """Writes a data directory: recordings first, tables and the final name when the block ends without an exception.

    It holds wav/RECO.flac (or .wav), wav.scp with absolute paths, utt2spk and spk2utt (an utterance is a whole
    recording), reco2num_spk, reco2dur, ref.rttm and all.uem. Until then everything is in a hidden folder beside the
    destination, which is removed if the block raises.
    """

    def __init__(self, out_dir: str | Path, overwrite: bool = False, audio_format: str = "flac") -> None:
        """Check the destination.

        Raises:
            InputError: ``out_dir`` exists and is not to be overwritten, or is no data directory to replace.
        """
        self._out_dir = Path(os.path.abspath(out_dir))
        self._format = audio_format
        self._tables: dict[str, dict[str, object]] = {"wav.scp": {}, "reco2num_spk": {}, "reco2dur": {}}
        self._turns: list[Turn] = []
        if not self._out_dir.exists():
            return
        if not self._out_dir.is_dir() or (any(self._out_dir.iterdir()) and not (self._out_dir / "wav.scp").is_file()):
            raise InputError("exists and is no data directory, so it is left alone", path=out_dir)
        if any(self._out_dir.iterdir()) and not overwrite:
            raise InputError("exists already", path=out_dir, hint="Say --overwrite true to replace it.")

    def __enter__(self) -> CorpusWriter:
        self._out_dir.parent.mkdir(parents=True, exist_ok=True)
        self._build = Path(tempfile.mkdtemp(prefix=f".{self._out_dir.name}.", suffix=".tmp", dir=self._out_dir.parent))
        (self._build / "wav").mkdir()
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        try:
            if kind is None:
                self._write_tables()
                publish_folder(self._build, self._out_dir)
        finally:
            shutil.rmtree(self._build, ignore_errors=True)

    def add(self, reco: str, samples: np.ndarray, rate: int, turns: Sequence[Turn]) -> None:
        """Write one recording, (n,) float samples within -1 to 1 as 16 bits, and keep its reference."""
        import soundfile

        name = f"{check_id(reco, self._out_dir)}.{self._format}"
        with open(self._build / "wav" / name, "wb") as stream:
            soundfile.write(stream, np.clip(samples, -1, 1 - 2**-15), rate, subtype="PCM_16", format=self._format)
        self._tables["wav.scp"][reco] = self._out_dir / "wav" / name
        self._tables["reco2dur"][reco] = f"{len(samples) / rate:.3f}"
        self._tables["reco2num_spk"][reco] = len({turn.speaker for turn in turns})
        self._turns += turns

    def add_file(self, name: str, text: str) -> None:
        """Write a further text file of the directory."""
        publish_text(self._build / name, text)

    def _write_tables(self) -> None:
        for name, rows in self._tables.items():
            write_table(self._build / name, rows)
        for name in ("utt2spk", "spk2utt"):
            write_table(self._build / name, {reco: reco for reco in self._tables["wav.scp"]})
        write_rttm(self._build / "ref.rttm", self._turns)
        ends = self._tables["reco2dur"]
        self.add_file("all.uem", "".join(f"{reco} 1 0.000 {ends[reco]}\n" for reco in sorted(ends)))
