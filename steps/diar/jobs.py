"""Plan the work of a stage, run it as parallel jobs, and gather their results.

A stage NAME.py declares its options and supplies three functions::

    def plan(options) -> jobs.Plan      check options and inputs, and list the work
    def run(work, keys, number)         do the pieces of work `keys` of job `number`, each in `with work.done(key)`
    def gather(work)                    write the joint results, in `with work.finish(...)`

    parser = jobs.parser(__doc__, "data_dir", out="window-dir")
    parser.add_argument("--window", type=stage.number(0), default=0.75, help="length of a window in seconds")
    jobs.main(parser, plan, run, gather)

``NAME.py [options] <data-dir> <out-dir>`` then plans, runs ``NAME.py --job N <out-dir>`` for N from 1 to n by
--cmd (run.pl, slurm.pl, Kaldi's queue.pl), and gathers. The docstring of ``ssdiar.work`` explains ``work``.
"""

from __future__ import annotations

import argparse
import logging
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO, Any, NamedTuple

import stage

from ssdiar.base.errors import InputError
from ssdiar.work import Manifest

_LOG = logging.getLogger(__name__)
_INTERVAL = 1.0  # seconds between two looks at the receipts
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Plan(NamedTuple):
    """The work of a stage; ``Manifest.plan`` explains all but ``unit``."""

    inputs: Mapping[str, str]
    settings: Mapping[str, Any]
    digests: Mapping[str, str]  # of recordings and of parts, <recording>@<part>
    costs: Mapping[str, float]
    unit: str = ""  # of the costs in the progress bar, such as "s of audio"; without one it counts recordings


def parser(description: str | None, *inputs: str, out: str) -> stage.Parser:
    """Return a parser with the input directories, the output directory (shown as ``out``) and the options of jobs."""
    parser = stage.Parser(description)
    for name in inputs:
        parser.add_argument(name, type=Path)
    parser.set_defaults(inputs=inputs)
    parser.add_argument("out_dir", metavar=out, type=Path)
    add = parser.running.add_argument
    add("--nj", type=stage.whole_number(1), default=2, help="run at most this many jobs; does not affect the result")
    add("--cmd", default="run.pl", help='run jobs by run.pl, or "slurm.pl --mem 4G", "queue.pl ..."')
    add("--overwrite", type=stage.boolean, default=False, help="redo all recordings")
    return parser


def main(
    parser: stage.Parser,
    plan: Callable[[argparse.Namespace], Plan],
    run: Callable[[Manifest, list[str], int], None],
    gather: Callable[[Manifest], None],
) -> None:
    """Run a stage, or one of its jobs, as the command line asks."""
    name = Path(sys.argv[0]).stem
    if "--job" in sys.argv[1:]:
        parser = stage.Parser()
        parser.add_argument("--job", type=stage.whole_number(1), required=True)
        parser.add_argument("out_dir", type=Path)
        options = parser.parse_args()
        work = Manifest(options.out_dir, name)
        run(work, work.job(options.job), options.job)
        return
    options = parser.parse_args()
    if not options.cmd.split():
        raise InputError("empty --cmd", expected="run.pl or the like")
    stage.apart(options.out_dir, *(getattr(options, name) for name in options.inputs))
    work, todo = Manifest(options.out_dir, name), plan(options)
    number = work.plan(*todo[:4], options.nj, options.overwrite)
    total, left = (len({key.partition("@")[0] for key in keys}) for keys in (todo.digests, work.costs))
    if number == 0:
        _LOG.info("nothing to do: all %d recordings are done", total)
    else:
        if left < total:
            _LOG.info("%d of %d recordings are done; %d to do", total - left, total, left)
        _run_jobs(work, number, options, todo.unit)
    gather(work)


def _run_jobs(work: Manifest, number: int, options: argparse.Namespace, unit: str) -> None:
    """Run jobs 1 to ``number`` by --cmd; exit with 1 if one fails, which --cmd has then reported."""
    out_dir, verbose = str(work.out_dir), getattr(options, "verbose", 1)
    (work.out_dir / "log").mkdir(exist_ok=True)
    _LOG.debug("%d jobs, logs: %s/log/%s.*.log", number, out_dir, work.stage)
    command = [options.python or sys.executable, str(Path(sys.argv[0]).absolute())]
    variable = "JOB"  # --cmd replaces it by the number wherever it occurs
    while variable in " ".join([*command, out_dir]):
        variable += "_"
    command += ["--verbose", str(verbose), "--job", variable, out_dir]
    log = f"{out_dir}/log/{work.stage}.{variable}.log"
    words = [*options.cmd.split(), f"{variable}=1:{number}", log, *map(job_word, command)]
    utils = [str(folder / "utils") for folder in (Path.cwd(), Path(__file__).resolve().parents[2])]
    environment = os.environ | {"PATH": os.pathsep.join([*utils, os.environ["PATH"]])}
    with_bar = verbose != 0 and sys.stderr.isatty()
    output = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT} if with_bar else {}
    try:
        # Jobs on this machine inherit the lock of the output directory and keep it if this process is killed.
        process = subprocess.Popen(words, env=environment, pass_fds=[work.lock], errors="replace", **output)
    except OSError as error:
        raise InputError(f"cannot run {words[0]}: {error.strerror}", expected="--cmd run.pl or the like") from None
    signals: list[int] = []

    def forward(received: int, _: object) -> None:
        signals.append(received)
        process.send_signal(received)

    before = {each: signal.signal(each, forward) for each in _SIGNALS}
    if with_bar:
        _show_progress(work, unit, process.stdout)
    code = process.wait()
    for each, handler in before.items():
        signal.signal(each, handler)
    if signals or code != 0:
        sys.exit(128 + signals[0] if signals else 1)


def job_word(text: str) -> str:
    """Return a word of a job's command as --cmd must get it.

    Kaldi's run.pl and queue.pl join their arguments to one shell line, in which only those with blanks get quotes. So
    text with other special characters becomes a substitution, which has blanks.
    """
    if re.fullmatch(r"[\w./:=@%+,-]+", text):
        return text
    return "$(printf %b " + "".join(f"\\\\0{byte:03o}" for byte in os.fsencode(text)) + ")"


def _show_progress(work: Manifest, unit: str, output: IO[str]) -> None:
    """Show a bar until the command of the jobs has closed its output, which is written above the bar."""
    from tqdm import tqdm

    def relay() -> None:
        for line in output:
            tqdm.write(line.rstrip("\n"), file=sys.stderr)

    sized = os.get_terminal_size(2).columns > 0
    plain = os.environ.get("NO_COLOR") or os.environ.get("TERM", "dumb") == "dumb"
    # The mean rate since the start (smoothing=0), because jobs of a queue start late and end in bursts.
    with tqdm(
        total=sum(work.costs.values()) if unit else len(work.costs),
        unit=unit.partition(" ")[0] or "rec",
        bar_format="{desc} {percentage:3.0f}%|{bar}| [{elapsed}<{remaining}, {rate_fmt}]",
        colour=None if plain else "cyan",
        smoothing=0,
        ncols=None if sized else 80,
        nrows=None if sized else 24,
        dynamic_ncols=sized,
        leave=False,
    ) as bar:
        reader = threading.Thread(target=relay)
        reader.start()
        while reader.is_alive():
            seconds = _draw(bar, work, unit)
            reader.join(max(_INTERVAL, 10 * seconds))  # looking at very many receipts takes at most a tenth of a core
        _draw(bar, work, unit)
        bar.leave = bar.n == bar.total


def _draw(bar: Any, work: Manifest, unit: str) -> float:
    """Draw the bar as things stand; return the seconds that this took."""
    started, costs, done = time.monotonic(), work.costs, work.done_so_far()
    share = sum(costs[key] for key in done) / (sum(costs.values()) or 1.0)
    bar.n = bar.total if len(done) == len(costs) else round(share * bar.total, 3)
    shown = f"{bar.n:.0f} of {bar.total:.0f} {unit}" if unit else f"{len(done)} of {len(costs)} recordings"
    bar.set_description_str(f"{work.stage}: {shown}", refresh=False)
    bar.refresh()
    return time.monotonic() - started
