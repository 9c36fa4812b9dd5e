#!/usr/bin/env python3
"""Print the newest CPU build of a package that a requirements file allows and pip finds, as in torch==2.9.1+cpu.

Usage: cpu_build.py <requirements.txt> <package>
PyPI's torch for Linux on x86_64 brings CUDA libraries; PyTorch's own index has builds without, with versions in +cpu.
Prints nothing if the file does not ask for the package, or if it is installed; exit code 1 if pip finds no such build.
"""

import re
import subprocess
import sys
from pathlib import Path

from check_requirements import installed_version
from pip._vendor.packaging.requirements import Requirement
from pip._vendor.packaging.version import Version

file, package = sys.argv[1:]
line = re.search(rf"^{re.escape(package)}\b[^#\n]*", Path(file).read_text(encoding="utf-8"), re.MULTILINE)
allowed = Requirement(line[0].strip()).specifier if line else None
version = installed_version(package)
if allowed is None or (version is not None and allowed.contains(version, prereleases=True)):
    sys.exit(0)
command = [sys.executable, "-m", "pip", "index", "versions", "--disable-pip-version-check", package]
output = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=False).stdout
builds = [Version(text) for text in re.findall(r"[0-9][0-9.]*\+cpu\b", output) if allowed.contains(text)]
if not builds:
    sys.exit(1)
print(f"{package}=={max(builds)}")
