"""setup_env.sh and check_requirements.py: which Python is taken, what one that is refused lacks, installing."""

import importlib.util
import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import packaging
import pytest

UTILS = Path(__file__).resolve().parents[2] / "utils"


@pytest.fixture
def recipe(tmp_path):
    """A recipe with the scripts of stage 0 and requirements of its own, which this Python meets."""
    root = tmp_path / "récipé à part"
    (root / "utils").mkdir(parents=True)
    for name in ("setup_env.sh", "parse_options.sh", "check_requirements.py"):
        shutil.copy(UTILS / name, root / "utils")
    (root / "requirements.txt").write_text("# what runs\n\nnumpy>=2  # arrays\n")
    (root / "requirements-dev.txt").write_text("pytest\n")
    return root


@pytest.fixture(scope="module")
def bare(tmp_path_factory):
    """A Python that has the package `packaging` (as part of pip, elsewhere) and nothing else."""
    folder = tmp_path_factory.mktemp("bare") / "ein leeres ä"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True, timeout=300)
    site_packages = next(folder.glob("lib/python*/site-packages"))
    shutil.copytree(Path(packaging.__file__).parent, site_packages / "packaging")
    return folder


@pytest.fixture
def path_without(tmp_path, bare):
    """Return the environment of a machine whose python3 is the bare one, and whose pip finds the wheels of a folder."""
    wheels = tmp_path / "wheels"
    wheels.mkdir()
    make_wheel(wheels, "ssdiartiny", "1.5")
    return {
        "PATH": f"{bare}/bin:/usr/bin:/bin",
        "PIP_NO_INDEX": "1",
        "PIP_FIND_LINKS": wheels.as_uri(),
        "PIP_CONFIG_FILE": os.devnull,
    }


def make_wheel(folder, name, version):
    """Write the smallest wheel there is."""
    info = f"{name}-{version}.dist-info"
    with zipfile.ZipFile(folder / f"{name}-{version}-py3-none-any.whl", "w") as wheel:
        wheel.writestr(f"{name}.py", "")
        wheel.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{info}/RECORD", "")


def run(recipe, *args, rc=0, **env):
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"} | env
    command = [str(recipe / "utils/setup_env.sh"), *args]
    done = subprocess.run(
        command, cwd=recipe.parent, capture_output=True, text=True, timeout=300, check=False, env=environment
    )
    assert done.returncode == rc, done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    if rc:
        assert done.stdout == ""
    return done


def active(python=sys.executable):
    """The environment in which a Python is the active python3."""
    return {"PATH": f"{Path(python).parent}:/usr/bin:/bin"}


def test_the_active_python_is_taken_if_it_has_everything(recipe):
    done = run(recipe, **active())
    found = Path(done.stdout.removesuffix("\n"))
    assert found.parent == Path(sys.executable).parent and found.name == "python3"
    assert done.stderr == f"setup_env.sh: using {found}\n"
    assert run(recipe, "--dev", "true", **active()).stdout == done.stdout
    assert not (recipe / ".venv").exists()
    (recipe / ".venv").mkdir()
    assert run(recipe, "--overwrite", "true", **active()).stdout == done.stdout
    assert not (recipe / ".venv").exists()


def test_a_python_that_is_given_is_used_or_refused(recipe, bare):
    assert run(recipe, "--python", sys.executable).stdout == f"{sys.executable}\n"
    assert run(recipe, "--python", "python3", **active()).stdout.endswith("/python3\n")
    python = str(bare / "bin/python3")
    message = run(recipe, "--python", python, rc=1).stderr
    assert message == f"setup_env.sh: error: {python} lacks 1 packages: numpy>=2: not installed\n"
    message = run(recipe, "--python", python, "--dev", "true", rc=1).stderr
    assert message.endswith(" lacks 2 packages: numpy>=2: not installed;pytest: not installed\n")
    message = run(recipe, "--python", "no/python", rc=1).stderr
    assert message == "setup_env.sh: error: no/python: no such program (--python)\n"
    assert not (recipe / ".venv").exists()


def test_what_the_project_itself_asks_of_a_bare_python(bare):
    """The real requirements; and this Python, which runs the tests, must meet them all."""
    python = str(bare / "bin/python3")
    message = run(UTILS.parent, "--python", python, rc=1).stderr
    for name in ("torch", "speechbrain", "kaldi-native-fbank", "numpy"):
        assert f"{name}" in message
    assert run(UTILS.parent, "--python", sys.executable, "--dev", "true").stdout == f"{sys.executable}\n"


def test_what_is_no_python_is_refused(recipe):
    for program in ("/bin/true", "/bin/false", "/bin/ls"):
        message = run(recipe, "--python", program, rc=1).stderr
        assert message.splitlines()[-1] == f"setup_env.sh: error: {program} is no Python (--python)"


def test_the_environment_is_made_once_and_mended(recipe, path_without):
    (recipe / "requirements.txt").write_text("ssdiartiny>=1.2,<2\n")
    (recipe / "requirements-dev.txt").write_text("")
    done = run(recipe, **path_without)
    python = recipe / ".venv/bin/python3"
    assert done.stdout == f"{python}\n"
    assert f"setup_env.sh: installing into {recipe}/.venv" in done.stderr
    assert subprocess.run([python, "-c", "import ssdiartiny"], check=False).returncode == 0
    again = run(recipe, **path_without)
    assert (again.stdout, again.stderr) == (done.stdout, f"setup_env.sh: using {python}\n")
    # As an interrupted installation leaves it.
    for path in (recipe / ".venv/lib").rglob("ssdiartiny-*.dist-info/METADATA"):
        shutil.rmtree(path.parent)
    stamp = (recipe / ".venv/pyvenv.cfg").stat().st_mtime_ns
    assert run(recipe, **path_without).stdout == done.stdout
    assert (recipe / ".venv/pyvenv.cfg").stat().st_mtime_ns == stamp, "completed, not made anew"
    assert run(recipe, **path_without).stderr == again.stderr


def test_choices_that_train_nothing_need_the_smaller_file(recipe, path_without):
    for name, text in (
        ("systems/quick", "method: consensus"),
        ("systems/trained", "method: ssl"),
        ("sad/silero", "detector: silero"),
        ("xvector/large", "loader:  speechbrain"),
    ):
        path = recipe / "conf" / f"{name}.yaml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"# a comment\n{text}\n")
    (recipe / "requirements-best.txt").write_text("ssdiartiny>=1.2,<2\n")
    (recipe / "requirements.txt").write_text("-r requirements-best.txt\nssdiarlarge\n")
    python = recipe / ".venv/bin/python3"
    few = ("--choices", "quick+count.most=4 oracle")
    done = run(recipe, *few, **path_without)
    assert done.stdout == f"{python}\n" and "0.6 GB" in done.stderr
    assert run(recipe, *few, **path_without).stderr == f"setup_env.sh: using {python}\n"
    assert run(recipe, "--python", str(python), *few).stdout == f"{python}\n"
    own = recipe.parent / "own.yaml"
    own.write_text("method: ssl\n")
    for choice in ("trained+x=1", "silero", "large", f"{own}+x=1"):
        message = run(recipe, "--python", str(python), "--choices", f"quick {choice}", rc=1).stderr
        assert message.endswith("lacks 1 packages: ssdiarlarge: not installed\n")
    assert "could not install requirements.txt" in run(recipe, rc=1, **path_without).stderr


def test_a_cpu_build_of_torch_is_taken_where_pip_finds_one(recipe, path_without, tmp_path):
    """It is older than the newest version, which pip would take by itself."""
    if os.uname().sysname != "Linux" or os.uname().machine != "x86_64":
        pytest.skip("other platforms have CPU builds on PyPI")
    (recipe / "requirements.txt").write_text("torch>=2.7,<2.10  # any build\n")
    (recipe / "requirements-dev.txt").write_text("")
    wheels = tmp_path / "wheels"
    make_wheel(wheels, "torch", "2.9.0")
    done = run(recipe, **path_without)
    assert "PIP_EXTRA_INDEX_URL=https://download.pytorch.org/whl/cpu" in done.stderr and "3 GB more" in done.stderr
    assert installed(recipe, "torch") == "2.9.0"
    for path in (recipe / ".venv/lib").rglob("torch-*.dist-info"):
        shutil.rmtree(path)
    for version in ("2.8.0+cpu", "2.7.1+cpu", "2.6.0+cpu", "2.11.0+cpu"):
        make_wheel(wheels, "torch", version)
    done = run(recipe, **path_without)
    assert "download.pytorch.org" not in done.stderr
    assert installed(recipe, "torch") == "2.8.0+cpu"


def installed(recipe, name):
    code = f"from importlib.metadata import version; print(version({name!r}))"
    command = [recipe / ".venv/bin/python3", "-c", code]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def test_constraints_are_within_the_ranges(checker):
    """constraints.txt names a tested version of everything that the requirements files ask for."""
    lines = (UTILS.parent / "constraints.txt").read_text().splitlines()
    tested = dict(line.split("==") for line in lines if line and not line.startswith("#"))
    pinned = {re.sub("[-_.]+", "-", name).lower(): version for name, version in tested.items()}
    for file in sorted(UTILS.parent.glob("requirements*.txt")):
        asked = [line.partition("#")[0].strip() for line in file.read_text().splitlines()]
        asked = "\n".join(line.lower().replace("pyannote.", "pyannote-") for line in asked if not line.startswith("-r"))
        assert checker(asked, pinned) == [], file.name


def test_what_is_included_is_asked_for_too(checker, tmp_path):
    (tmp_path / "more.txt").write_text("b>=2\n")
    assert checker("-r more.txt\na\n", {"a": "1", "b": "1"}) == ["b>=2: 1"]


def test_an_installation_that_fails_says_which(recipe, path_without):
    (recipe / "requirements.txt").write_text("ssdiartiny==9\n")
    message = run(recipe, rc=1, **path_without).stderr
    assert "ssdiartiny==9" in message, "pip's own message"
    assert message.splitlines()[-1].startswith(
        "setup_env.sh: error: pip could not install requirements.txt (its message"
    )


def test_no_python_at_all(recipe, tmp_path):
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in ("bash", "dirname", "basename", "readlink", "sed", "wc", "paste", "env"):
        (programs / name).symlink_to(shutil.which(name))
    message = run(recipe, rc=1, PATH=str(programs)).stderr
    assert message == (
        "setup_env.sh: error: no Python from 3.10 to 3.13 found on the PATH; install one, or give --python\n"
    )


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["now"], "expected options only, got now (see setup_env.sh --help)"),
        (["--pyhton", "x"], "unknown option --pyhton (see setup_env.sh --help)"),
        (["--dev", "yes"], "bad value of --dev; expected true or false, got 'yes'"),
        (["--python"], "option --python needs a value"),
    ],
)
def test_usage_errors(recipe, args, message):
    assert run(recipe, *args, rc=1).stderr == f"setup_env.sh: error: {message}\n"


def test_help(recipe):
    assert "--python <path>" in run(recipe, "--help").stdout


@pytest.fixture
def checker(monkeypatch, tmp_path):
    """check_requirements.py as a module, in a Python that has the distributions given."""
    spec = importlib.util.spec_from_file_location("check_requirements", UTILS / "check_requirements.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)

    def check(requirements, installed):
        def version(name):
            if name not in installed:
                raise module.metadata.PackageNotFoundError(name)
            return installed[name]

        monkeypatch.setattr(module.metadata, "version", version)
        (tmp_path / "req.txt").write_text(requirements)
        return module.unmet(str(tmp_path / "req.txt"))

    check.module = module
    return check


@pytest.mark.parametrize(
    ("line", "installed", "problems"),
    [
        ("a>=1,<2", {"a": "1.5"}, []),
        ("a>=1,<2", {"a": "2.0"}, ["a<2,>=1: 2.0"]),
        ("a>=1,<2", {}, ["a<2,>=1: not installed"]),
        ("a>=1", {"a": "1.5rc1"}, []),
        ("a>=1", {"a": "2.13.0+cpu"}, []),
        ("a[extra]>=1  # why", {"a": "1"}, []),
        ("# a\n\n  \n", {}, []),
        ('a; python_version < "3"', {}, []),
        ('a; python_version > "3"', {}, ["a: not installed"]),
        ("tensorflow-cpu>=2.18", {"tensorflow": "2.19"}, []),
        ("tensorflow>=2.18", {"tensorflow-cpu": "2.17"}, ["tensorflow>=2.18: 2.17"]),
    ],
)
def test_requirements(checker, line, installed, problems):
    assert checker(f"{line}\n", installed) == problems


@pytest.mark.parametrize("version", [(3, 9, 18), (3, 14, 0)])
def test_a_python_too_old_or_too_new(checker, monkeypatch, capsys, version):
    text = ".".join(map(str, version))
    monkeypatch.setattr(sys, "version_info", version)
    monkeypatch.setattr(sys, "version", f"{text} (main)")
    assert checker.module.main() == 1
    assert capsys.readouterr().out == f"Python >=3.10,<3.14: {text}\n"


def test_a_python_without_pip(recipe, tmp_path):
    folder = tmp_path / "no pip"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True, timeout=300)
    message = run(recipe, "--python", str(folder / "bin/python3"), rc=1).stderr
    assert message.endswith("lacks 1 packages: pip: not installed\n")
