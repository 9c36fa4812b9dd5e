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
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import stage

from ssdiar.base.errors import InputError
from ssdiar.work import FileDigest, Manifest

_LOG = logging.getLogger(__name__)
_INTERVAL = 1.0  # seconds between two looks at the receipts
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Plan(NamedTuple):
    """The work of a stage.

    Attributes:
        inputs: All files that are read, as ``check`` returned them.
        settings: Everything that jobs and gathering need, as JSON can hold it.
        digests: Digest of everything that decides the result of a recording or of <recording>@<part>.
        costs: Expected cost of each; jobs are balanced by it.
        unit: Unit of the costs for the progress bar, such as "s of audio"; without one it counts recordings.
    """

    inputs: Mapping[str, FileDigest]
    settings: Mapping[str, Any]
    digests: Mapping[str, str]
    costs: Mapping[str, float]
    unit: str = ""


def parser(description: str | None, *inputs: str, out: str) -> stage.Parser:
    """Return a parser with the input directories, the output directory (shown as ``out``) and the options of jobs."""
    parser = stage.Parser(description)
    for name in inputs:
        parser.add_argument(name, type=Path)
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
    inputs = [getattr(options, action.dest) for action in parser._positionals._group_actions[:-1]]
    stage.apart(options.out_dir, *inputs)
    work, todo = Manifest(options.out_dir, name), plan(options)
    number = work.plan(*todo[:4], options.nj, options.overwrite, todo.unit)
    total, left = (len({key.partition("@")[0] for key in keys}) for keys in (todo.digests, work.todo))
    if number == 0:
        _LOG.info("nothing to do: all %d recordings are done", total)
    else:
        if left < total:
            _LOG.info("%d of %d recordings are done; %d to do", total - left, total, left)
        _run_jobs(work, number, options)
    gather(work)


def _run_jobs(work: Manifest, number: int, options: argparse.Namespace) -> None:
    """Run jobs 1 to ``number`` by --cmd; exit with 1 if one fails, as --cmd has then reported."""
    out_dir, verbose = str(work.out_dir), getattr(options, "verbose", 1)
    (work.out_dir / "log").mkdir(exist_ok=True)
    _LOG.debug("%d jobs, logs: %s/log/%s.*.log", number, out_dir, work.stage)
    command = [options.python or sys.executable, str(Path(sys.argv[0]).absolute())]
    variable = "JOB"  # which --cmd replaces by the number, wherever it stands
    while variable in " ".join([*command, out_dir]):
        variable += "_"
    command += ["--verbose", str(verbose), "--job", variable, out_dir]
    log = f"{out_dir}/log/{work.stage}.{variable}.log"
    words = [*options.cmd.split(), f"{variable}=1:{number}", log, *map(job_word, command)]
    utils = [str(folder / "utils") for folder in (Path.cwd(), Path(__file__).resolve().parents[2])]
    environment = os.environ | {"PATH": os.pathsep.join([*utils, os.environ["PATH"]])}
    with_bar = verbose != 0 and sys.stderr.isatty()
    output = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT} if with_bar else {}
    signals: list[int] = []
    try:
        # Jobs on this machine inherit the lock of the output directory and keep it if this process is killed.
        process = subprocess.Popen(words, env=environment, pass_fds=[work.lock], **output)
    except OSError as error:
        raise InputError(f"cannot run {words[0]}: {error.strerror}", expected="--cmd run.pl or the like") from None

    def forward(received: int, _: object) -> None:
        signals.append(received)
        process.send_signal(received)

    before = {each: signal.signal(each, forward) for each in _SIGNALS}
    if with_bar:
        _show_progress(work, process.stdout.fileno())
    code = process.wait()
    for each, handler in before.items():
        signal.signal(each, handler)
    if signals or code != 0:
        sys.exit(128 + signals[0] if signals else 1)


def job_word(text: str) -> str:
    """Return a word of a job's command as --cmd must get it.

    Kaldi's run.pl and queue.pl make one shell line of their arguments; they put those with blanks between double quotes
    and leave the others as they are. So text with other characters becomes a substitution, which has blanks.
    """
    if re.fullmatch(r"[\w./:=@%+,-]+", text):
        return text
    return "$(printf %b " + "".join(f"\\\\0{byte:03o}" for byte in os.fsencode(text)) + ")"


def _show_progress(work: Manifest, output: int) -> None:
    """Show a bar until the command of the jobs has closed its output, which is written above the bar."""
    from tqdm import tqdm

    sized = os.get_terminal_size(2).columns > 0
    plain = os.environ.get("NO_COLOR") or os.environ.get("TERM", "dumb") == "dumb"
    first = work.progress()
    # The mean rate since the start (smoothing=0), because jobs of a queue start late and end in bursts.
    with tqdm(
        total=first.cost if first.unit else first.planned,
        unit=first.unit.partition(" ")[0] or "rec",
        bar_format="{desc} {percentage:3.0f}%|{bar}| [{elapsed}<{remaining}, {rate_fmt}]",
        colour=None if plain else "cyan",
        smoothing=0,
        ncols=None if sized else 80,
        nrows=None if sized else 24,
        dynamic_ncols=sized,
        leave=False,
    ) as bar:
        rest, is_open = b"", True
        while is_open:
            seconds = _draw(bar, work)
            # Looking at very many receipts takes at most a tenth of a core.
            if select.select([output], [], [], max(_INTERVAL, 10 * seconds))[0]:
                data = os.read(output, 65536)
                is_open = bool(data)
                lines, newline, rest = (rest + data).rpartition(b"\n")
                if text := lines + newline + (b"" if is_open or not rest else rest + b"\n"):
                    with tqdm.external_write_mode(file=sys.stderr):
                        print(text.decode(errors="replace"), end="", file=sys.stderr, flush=True)
        _draw(bar, work)
        bar.leave = bar.n == bar.total


def _draw(bar: Any, work: Manifest) -> float:
    """Draw the bar as things stand; return the seconds that this took."""
    started, now = time.monotonic(), work.progress()
    bar.n = bar.total if now.done == now.planned else round(now.share * bar.total, 3)
    done = f"{bar.n:.0f} of {bar.total:.0f} {now.unit}" if now.unit else f"{now.done} of {now.planned} recordings"
    bar.set_description_str(f"{work.stage}: {done}", refresh=False)
    bar.refresh()
    return time.monotonic() - started
