#!/usr/bin/env python3
"""Print each package of requirements files that this Python lacks or has in another version; exit code 1 if any.

Usage: check_requirements.py <requirements.txt> ...
       check_requirements.py --cpu-build <requirement>
The second form prints the newest CPU build that pip finds, as in torch==2.9.1+cpu; exit code 1 if none. (PyPI's torch
for Linux on x86_64 brings CUDA libraries.) It imports none of these packages, and runs in a bare Python.
"""

import re
import subprocess
import sys
from contextlib import suppress
from importlib import metadata
from pathlib import Path

try:
    from packaging.requirements import Requirement
except ImportError:  # a bare Python has it only inside pip
    try:
        from pip._vendor.packaging.requirements import Requirement
    except ImportError:  # Debian's python3 comes without pip
        Requirement = None

# Distributions with the same modules.
_SAME = {"tensorflow-cpu": "tensorflow", "tensorflow": "tensorflow-cpu", "onnxruntime": "onnxruntime-gpu"}


def installed_version(name: str) -> "str | None":
    """Return the installed version of a distribution, or of one with the same modules."""
    for candidate in (name, _SAME.get(name, name)):
        with suppress(metadata.PackageNotFoundError):
            return metadata.version(candidate)
    return None


def unmet(path: str) -> "list[str]":
    """Return a line per requirement of a file, and of those that it includes (``-r``), that is not met here."""
    problems = []
    for line in Path(path).read_text(encoding="utf-8").splitlines():
        text = line.partition("#")[0].strip()
        if text.startswith("-r "):
            problems += unmet(str(Path(path).parent / text.split(maxsplit=1)[1]))
        elif text:
            requirement = Requirement(text)
            version = installed_version(requirement.name)
            is_needed = requirement.marker is None or requirement.marker.evaluate()
            if is_needed and (version is None or not requirement.specifier.contains(version, prereleases=True)):
                problems.append(f"{requirement.name}{requirement.specifier}: {version or 'not installed'}")
    return problems


def cpu_builds(text: str) -> "list[str]":
    """Return the CPU builds that pip finds for a requirement, newest first."""
    requirement = Requirement(text)
    command = [sys.executable, "-m", "pip", "index", "versions", "--disable-pip-version-check", requirement.name]
    output = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=False).stdout
    builds = re.findall(r"[0-9][0-9.]*\+cpu\b", output)
    return [f"{requirement.name}=={build}" for build in builds if requirement.specifier.contains(build)]


def main() -> int:
    """Do as the command line asks, and return the exit code."""
    if sys.argv[1:2] == ["--cpu-build"]:
        builds = cpu_builds(sys.argv[2])
        print(*builds[:1])
        return 0 if builds else 1
    if not (3, 10) <= sys.version_info < (3, 14):
        problems = [f"Python >=3.10,<3.14: {sys.version.split()[0]}"]
    elif Requirement is None:
        problems = ["pip: not installed"]
    else:
        problems = [problem for path in sys.argv[1:] for problem in unmet(path)]
    print("\n".join(problems), end="\n" if problems else "")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
