"""A stage with jobs, written from the docstrings of jobs.py and ssdiar.work: it counts the words of each file."""

import subprocess
import sys
from pathlib import Path

import pytest
from running import PATIENCE

DIAR = Path(__file__).resolve().parents[2] / "steps" / "diar"

SHELL = r"""#!/usr/bin/env bash
. "DIAR/begin.sh"
exec "$python" "$here/count_words.py" "$@"
"""

PYTHON = r'''
"""Count the words of each file."""
import sys
from pathlib import Path

sys.path.insert(0, "DIAR")

import jobs
import stage
from ssdiar.base.publish import publish_text
from ssdiar.work import check, digest, file_digest


def main():
    parser = jobs.parser(__doc__, "text_dir", out="out-dir")
    parser.add_argument("--times", type=stage.whole_number(1), default=1, help="count each word this often")
    jobs.main(parser, plan, run, gather)


def plan(options):
    texts = {path.stem: path for path in options.text_dir.glob("*.txt")}
    inputs = check(*texts.values())
    digests = {reco: digest(options.times, file_digest(path)) for reco, path in texts.items()}
    settings = {"text_dir": str(options.text_dir.absolute()), "times": options.times}
    return jobs.Plan(inputs, settings, digests, {})


def run(work, keys, number):
    settings = work.settings
    for reco in keys:
        count = settings["times"] * len((Path(settings["text_dir"]) / f"{reco}.txt").read_text().split())
        print("counted", reco)
        with work.done(reco) as folder:
            (folder / f"{reco}.count").write_text(f"{reco} {count}\n")


def gather(work):
    with work.finish("counts") as recordings:
        lines = [(work.out_dir / f"{reco}.count").read_text() for reco in recordings]
        publish_text(work.out_dir / "counts", "".join(lines))


stage.run(main)
'''


@pytest.fixture
def run(tmp_path):
    """Return a function that runs the stage on three texts, and returns what it did; its folder has a blank."""
    root = tmp_path / "of one's own"
    (root / "texts").mkdir(parents=True)
    for name, text in (("a", "one"), ("b", "one two"), ("c", "one two three")):
        (root / f"texts/{name}.txt").write_text(text)
    for suffix, text in ((".sh", SHELL), (".py", PYTHON)):
        path = root / f"count_words{suffix}"
        path.write_text(text.replace("DIAR", str(DIAR)))
        path.chmod(0o755)

    def run(*args, rc=0):
        command = [str(root / "count_words.sh"), "--python", sys.executable, *args]
        done = subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=PATIENCE, check=False)
        assert done.returncode == rc, done.stderr
        logs = "".join(path.read_text() for path in sorted((root / "out/log").glob("*.log")))
        return done, logs.count("counted")

    run.root = root
    return run


def test_it_does_what_the_stages_do(run):
    assert run("texts", "out")[1] == 3
    assert (run.root / "out/counts").read_text() == "a 1\nb 2\nc 3\n"
    assert "nothing to do: all 3 recordings are done" in run("texts", "out")[0].stderr
    (run.root / "texts/b.txt").write_text("one two three four")
    (run.root / "out/c.count").write_text("c 99\n")
    done, counted = run("--nj", "1", "texts", "out")
    assert "1 of 3 recordings are done; 2 to do" in done.stderr and counted >= 2
    assert (run.root / "out/counts").read_text() == "a 1\nb 4\nc 3\n"
    assert "is input and output at once" in run("texts", "./texts", rc=1)[0].stderr
    assert "expected <text-dir> <out-dir>, got 1 arguments" in run("texts", rc=1)[0].stderr
    assert "--times <n> " in run("--help")[0].stdout and "count each word this often (1)" in run("--help")[0].stdout
    for options in (["--times", "0"], ["--times", "--nj", "1"], ["--times=2"], ["--overwrite", "yes"], ["--size", "1"]):
        (line,) = run(*options, "texts", "out", rc=1)[0].stderr.splitlines()
        assert line.startswith("count_words.sh: error: ") and options[0].partition("=")[0] in line
    (run.root / "own.conf").write_text("# twice\ntimes=2\n")
    run("--config", "own.conf", "texts", "out")
    assert (run.root / "out/counts").read_text() == "a 2\nb 8\nc 6\n"
    run("texts", "out", "--config", "own.conf", "--times", "1")
    assert (run.root / "out/counts").read_text() == "a 1\nb 4\nc 3\n"
    (run.root / "own.conf").write_text("times=2\nsize=3\n")
    assert "own.conf:2: unknown option --size" in run("--config", "own.conf", "texts", "out", rc=1)[0].stderr
    (run.root / "own.conf").write_text("times=$(touch x)\n")
    assert "own.conf:1: expected name=value" in run("--config", "own.conf", "texts", "out", rc=1)[0].stderr
