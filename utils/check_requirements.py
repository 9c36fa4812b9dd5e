#!/usr/bin/env python3
"""Print each package of requirements files that this Python lacks or has in another version; exit code 1 if any.

Usage: check_requirements.py <requirements.txt> ...
It imports none of these packages, and runs in a bare Python.
"""

import sys
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
_SAME = {"tensorflow-cpu": ["tensorflow"], "tensorflow": ["tensorflow-cpu"], "onnxruntime": ["onnxruntime-gpu"]}


def installed_version(name: str) -> "str | None":
    """Return the installed version of a distribution, or of one with the same modules."""
    for candidate in [name, *_SAME.get(name, [])]:
        try:
            return metadata.version(candidate)
        except metadata.PackageNotFoundError:
            continue
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


def main() -> int:
    """Check the files of the command line."""
    if not (3, 10) <= sys.version_info < (3, 13):
        problems = [f"Python >=3.10,<3.13: {sys.version.split()[0]}"]
    elif Requirement is None:
        problems = ["pip: not installed"]
    else:
        problems = [problem for path in sys.argv[1:] for problem in unmet(path)]
    print("\n".join(problems), end="\n" if problems else "")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
