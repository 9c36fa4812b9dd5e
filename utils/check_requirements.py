#!/usr/bin/env python3
"""Tell whether the Python that runs this has what requirements files ask for.

Usage: check_requirements.py <requirements.txt> ...

Prints one line per package that is missing or of another version, and leaves with 1 if there is one. Imports nothing
of what it checks.
"""

import sys
from importlib import metadata
from pathlib import Path

try:
    from packaging.requirements import Requirement
except ImportError:  # a bare Python has it inside pip only
    try:
        from pip._vendor.packaging.requirements import Requirement
    except ImportError:  # Debian's python3 comes without pip
        Requirement = None

# Distributions that hold the same modules.
_SAME = {"tensorflow-cpu": ["tensorflow"], "tensorflow": ["tensorflow-cpu"], "onnxruntime": ["onnxruntime-gpu"]}


def installed_version(name: str) -> "str | None":
    """Return the installed version of a distribution or of one that stands for it, None if there is none."""
    for candidate in [name, *_SAME.get(name, [])]:
        try:
            return metadata.version(candidate)
        except metadata.PackageNotFoundError:
            continue
    return None


def unmet(path: str) -> "list[str]":
    """Return a line per requirement that is not met here, of a file and those that it includes (``-r``)."""
    problems = []
    for line in Path(path).read_text(encoding="utf-8").splitlines():
        text = line.partition("#")[0].strip()
        if not text:
            continue
        if text.startswith("-r "):
            problems += unmet(str(Path(path).parent / text.split(maxsplit=1)[1]))
            continue
        requirement = Requirement(text)
        if requirement.marker is not None and not requirement.marker.evaluate():
            continue
        version = installed_version(requirement.name)
        if version is None or not requirement.specifier.contains(version, prereleases=True):
            problems.append(f"{requirement.name}{requirement.specifier}: {version or 'not installed'}")
    return problems


def main() -> int:
    """Check the files of the command line."""
    if sys.version_info < (3, 10) or sys.version_info >= (3, 13):
        print(f"Python >=3.10,<3.13: {sys.version.split()[0]}")
        return 1
    if Requirement is None:
        print("pip: not installed")
        return 1
    problems = [problem for path in sys.argv[1:] for problem in unmet(path)]
    print("\n".join(problems), end="\n" if problems else "")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
