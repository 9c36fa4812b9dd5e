"""Publishing by rename: whole files only, whatever happens half-way."""

import os
import signal
import subprocess
import sys
import threading

import pytest

from ssdiar.base.publish import publish, publish_text


def test_writes_and_leaves_the_unchanged_alone(tmp_path):
    path = tmp_path / "été x.txt"
    assert publish_text(path, "größe\n")
    assert path.read_bytes() == "größe\n".encode()
    os.utime(path, (1, 1))
    assert not publish_text(path, "größe\n")
    assert path.stat().st_mtime == 1
    assert publish_text(path, "other\n")
    assert path.stat().st_mtime > 1
    assert os.listdir(tmp_path) == [path.name]


def test_permissions_are_what_the_umask_says(tmp_path):
    old = os.umask(0o027)
    try:
        publish_text(tmp_path / "x", "x")
    finally:
        os.umask(old)
    assert (tmp_path / "x").stat().st_mode & 0o777 == 0o640
    assert os.umask(old) == old, "the umask is as it was"


def test_a_failure_leaves_what_was_there(tmp_path):
    path = tmp_path / "x"
    path.write_text("old")
    with pytest.raises(RuntimeError, match="half-way"), publish(path) as temporary:
        temporary.write_text("ne")
        raise RuntimeError("half-way")
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["x"]


def test_a_folder_that_is_not_there(tmp_path):
    with pytest.raises(FileNotFoundError):
        publish_text(tmp_path / "none" / "x", "x")


def test_killed_half_way_leaves_what_was_there(tmp_path):
    path = tmp_path / "x"
    path.write_text("old")
    code = (
        "import os, sys; from ssdiar.base.publish import publish\n"
        "with publish(sys.argv[1]) as path: path.write_text('ne'); os.kill(os.getpid(), 9)"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", code, str(path)], env=environment, timeout=300, check=False)
    assert done.returncode == -signal.SIGKILL
    assert path.read_text() == "old"
    assert all(name == "x" or (name.startswith(".x.") and name.endswith(".tmp")) for name in os.listdir(tmp_path))
    assert publish_text(path, "new")
    assert path.read_text() == "new"


def test_a_reader_sees_the_whole_old_or_the_whole_new_file(tmp_path):
    path = tmp_path / "x"
    texts = [letter * 200_000 for letter in "ab"]
    publish_text(path, texts[0])
    seen, stop = set(), threading.Event()

    def watch():
        while not stop.is_set():
            seen.add(path.read_text())

    reader = threading.Thread(target=watch)
    reader.start()
    for turn in range(1, 31):
        publish_text(path, texts[turn % 2])
    stop.set()
    reader.join()
    assert seen <= set(texts)
