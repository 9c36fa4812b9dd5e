"""Simulated recordings, and the data directories that these or other recordings with a reference are written to."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from simulation.channel import Channel
from simulation.turns import SHORTEST_SPURT, Spurt
from simulation.voices import RATE, Supply, Voice
from ssdiar.base.errors import InputError
from ssdiar.base.publish import publish_folder, publish_text
from ssdiar.io.rttm import write_rttm
from ssdiar.io.tables import check_id, write_table
from ssdiar.timeline.spans import Turn
from ssdiar.work import Manifest

STAGE = "prepare_data"  # in the manifest of a corpus that has one


@dataclass(frozen=True)
class Call:
    """A simulated recording and its exact reference."""

    reco: str
    samples: np.ndarray  # (n,) float32 at 8 kHz; (n, lines) with a channel per line
    turns: tuple[Turn, ...]  # times on a grid of 10 ms
    ran_out: dict[str, float]  # seconds at which voices had no unused speech left; only the first unless voices repeat


def generator(*parts: object) -> np.random.Generator:
    """Return the random generator that belongs to ``parts`` (a seed, a call's id, a purpose), on any machine."""
    digest = hashlib.sha256("\0".join(map(str, parts)).encode()).digest()
    return np.random.Generator(np.random.PCG64(int.from_bytes(digest, "little")))


def assign_lines(parties: int, lines: int, rng: np.random.Generator) -> list[int]:
    """Return the line of each party: its own, or with more parties than lines a random one, every line in use."""
    if parties <= lines:
        return list(range(parties))
    return rng.permutation([*range(lines), *rng.integers(lines, size=parties - lines)]).tolist()


def simulate_call(
    reco: str,
    voices: Sequence[Voice],
    plan: Sequence[Spurt],
    duration: float,
    channel: Channel,
    seed: int,
    repeat: bool = False,
) -> Call:
    """Speak a plan of spurts with one voice per party over telephone lines.

    A spurt starts as planned and lasts as long as the speech that is found for it, which is close to the plan; the
    reference holds the actual times. Spurts under 0.2 s are left out.

    Args:
        reco: Id of the recording; it and the corpus's ``seed`` decide everything random.
        voices: The voice of each party.
        plan: Spurts ordered by start; spurts of one party do not overlap.
        duration: Length of the recording in seconds.
        channel: The lines.
        repeat: Whether a voice repeats itself when it has no unused speech left; otherwise the recording ends there,
            half a second after the last turn.
    """
    spoken, ran_out = _speak(reco, voices, plan, duration, seed, repeat)
    if ran_out and not repeat:
        voice, over = min(ran_out.items(), key=lambda item: item[1])
        ran_out, spoken = {voice: over}, [part for part in spoken if part[0].end <= over]
        duration = min(duration, max(turn.end for turn, _, _ in spoken) + 0.5)
    line_of = assign_lines(len(voices), channel.lines, generator(seed, reco, "lines"))
    levels = generator(seed, reco, "levels").uniform(-channel.party_gain, channel.party_gain, len(voices))
    signals = [np.zeros(round(duration * RATE), np.float32) for _ in range(max(line_of) + 1)]
    for turn, party, speech in spoken:
        first, line = round(turn.start * RATE), line_of[party]
        gain = 10 ** (levels[party] / 20) if line_of.count(line) > 1 else 1.0
        signals[line][first : first + len(speech)] += np.float32(gain) * speech
    turns = sorted((turn for turn, _, _ in spoken), key=lambda turn: (turn.start, turn.speaker))
    return Call(reco, channel.transmit(signals, generator(seed, reco, "channel")), tuple(turns), ran_out)


def _speak(
    reco: str, voices: Sequence[Voice], plan: Sequence[Spurt], duration: float, seed: int, repeat: bool
) -> tuple[list[tuple[Turn, int, np.ndarray]], dict[str, float]]:
    """Return (turn, party, samples) of every spurt, and the time at which each voice ran out, if it did."""
    spoken, ran_out = [], {}
    for party, voice in enumerate(voices):
        supply = Supply(voice, generator(seed, reco, "speech", party), repeat)
        spurts = [spurt for spurt in plan if spurt.party == party]
        limits = [spurt.start for spurt in spurts[1:]] + [duration]
        for spurt, limit in zip(spurts, limits, strict=False):
            start = round(spurt.start * 100) / 100
            # Ends at least one frame of 10 ms before the party's next spurt, so that the two remain two turns.
            longest = min(limit - 0.02, duration) - start
            if min(spurt.end - spurt.start, longest) < SHORTEST_SPURT:
                continue
            speech = supply.take(spurt.end - spurt.start, longest)
            turn = Turn(reco, voice.id, start, (round(start * RATE) + len(speech)) / RATE)
            spoken.append((turn, party, speech))
            if supply.repeats:
                ran_out.setdefault(voice.id, turn.start)
            if supply.is_over:
                ran_out[voice.id] = turn.end
                break
    return spoken, ran_out


class CorpusWriter:
    """Recordings with their reference, on their way into a data directory; :func:`write_corpus` makes one."""

    def __init__(self, folder: Path, final_folder: Path) -> None:
        self._folder, self._final_folder = folder, final_folder
        names = ("wav.scp", "utt2spk", "spk2utt", "reco2num_spk", "reco2dur")
        self.tables: dict[str, dict[str, object]] = {name: {} for name in names}
        self._turns: list[Turn] = []
        (folder / "wav").mkdir()

    def add(self, reco: str, samples: np.ndarray, rate: int, turns: Sequence[Turn]) -> None:
        """Write one recording, (n,) or (n, channels) floats within -1 to 1, as 16 bits, and keep its reference.

        Each of several channels holds a party (reco2parties).
        """
        import soundfile

        path = self._folder / "wav" / f"{check_id(reco, self._final_folder)}.flac"
        soundfile.write(path, np.clip(samples, -1, 1 - 2**-15), rate, subtype="PCM_16")
        row = {"wav.scp": self._final_folder / "wav" / path.name, "utt2spk": reco, "spk2utt": reco}
        names = sorted({turn.speaker for turn in turns})
        row |= {"reco2num_spk": len(names), "reco2dur": f"{len(samples) / rate:.3f}"}
        if names:
            row["reco2voices"] = " ".join(names)
        if samples.ndim > 1 and samples.shape[1] > 1:
            row["reco2parties"] = " ".join(map(str, range(1, samples.shape[1] + 1)))
        for name, value in row.items():
            self.tables.setdefault(name, {})[reco] = value
        self._turns += turns

    def write_tables(self) -> None:
        """Write everything but the audio."""
        for name, rows in self.tables.items():
            write_table(self._folder / name, rows)
        write_rttm(self._folder / "ref.rttm", self._turns)
        ends = sorted(self.tables["reco2dur"].items())
        publish_text(self._folder / "all.uem", "".join(f"{reco} 1 0.000 {end}\n" for reco, end in ends))


@contextmanager
def write_corpus(
    out_dir: Path, overwrite: bool = False, settings: Mapping[str, Any] | None = None
) -> Iterator[CorpusWriter]:
    """Yield a writer; its data directory appears as ``out_dir`` when the block ends without an error.

    It holds wav/RECO.flac, wav.scp with absolute paths, utt2spk and spk2utt (an utterance is a whole recording),
    reco2num_spk, reco2dur, reco2voices (a voice has one name in all recordings), ref.rttm, all.uem and, for recordings
    of several channels, reco2parties.

    Args:
        out_dir: The directory.
        overwrite: Whether it may replace an older one.
        settings: Settings for its manifest (stage :data:`STAGE`); None: it has no manifest.

    Raises:
        InputError: ``out_dir`` exists and may not be replaced, or is no data directory.
    """
    if out_dir.exists() and not (out_dir.is_dir() and not any(out_dir.iterdir())):
        if not (out_dir / "wav.scp").is_file():
            raise InputError("exists and is no data directory, so it is not replaced", path=out_dir)
        if not overwrite:
            raise InputError("exists already", path=out_dir, hint="Give --overwrite true to replace it.")
    with publish_folder(out_dir) as folder:
        writer = CorpusWriter(folder, Path(os.path.abspath(out_dir)))
        yield writer
        finish: AbstractContextManager = nullcontext()
        if settings is not None:
            manifest = Manifest(folder, STAGE)
            manifest.plan({}, settings)
            audio = (f"wav/{reco}.flac" for reco in writer.tables["wav.scp"])
            finish = manifest.finish(*audio, editable=[*writer.tables, "ref.rttm", "all.uem"])
        with finish:
            writer.write_tables()
