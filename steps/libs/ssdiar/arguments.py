"""What every command line of the project has in common: its options, its log, and how errors are told."""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

from ssdiar.errors import InputError


class Parser(argparse.ArgumentParser):
    """An argument parser that takes no abbreviated options and reports in one line."""

    def __init__(self, description: str | None = None, **options: Any) -> None:
        options.setdefault("formatter_class", argparse.RawDescriptionHelpFormatter)
        super().__init__(description=description, allow_abbrev=False, **options)
        # Sub-commands have the option too; were it to have a default, theirs would hide what the main parser was given.
        help_text = "0: warnings, 1: progress (default), 2: details"
        self.add_argument("--verbose", type=int, choices=(0, 1, 2), default=argparse.SUPPRESS, help=help_text)

    def add_actions(self) -> argparse._SubParsersAction:
        """Return the place for sub-commands (plan, run, gather), one of which must be given."""
        return self.add_subparsers(dest="action", required=True)

    def add_jobs(self, *inputs: str) -> argparse.ArgumentParser:
        """Add plan, run and gather, the sub-commands of a stage with jobs; return plan's parser, for its options.

        Args:
            inputs: Names of the directories that the stage reads.
        """
        actions = self.add_actions()
        plan, run, gather = (actions.add_parser(name) for name in ("plan", "run", "gather"))
        plan.add_argument("--nj", type=whole_number(1), default=2)
        plan.add_argument("--overwrite", type=boolean, default=False)
        run.add_argument("--job", type=whole_number(1), required=True)
        for name in inputs:
            plan.add_argument(name, type=Path)
        for action in (plan, run, gather):
            action.add_argument("out_dir", type=Path)
        return plan

    def parse_args(self, *args: Any, **options: Any) -> argparse.Namespace:
        """Parse the command line and set the log's level to what ``--verbose`` says."""
        parsed = super().parse_args(*args, **options)
        level = (logging.WARNING, logging.INFO, logging.DEBUG)[getattr(parsed, "verbose", 1)]
        logging.getLogger().setLevel(level)
        return parsed

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Parse, with ``--option=`` for an option that is not given, where not giving it means something of its own."""
        args = sys.argv[1:] if args is None else list(args)
        end = args.index("--") if "--" in args else len(args)
        optional = [action for action in self._actions if action.default is None and not action.required]
        unset = {f"{name}=" for action in optional for name in action.option_strings}
        return super().parse_known_args([arg for arg in args[:end] if arg not in unset] + args[end:], namespace)

    def error(self, message: str) -> NoReturn:
        """Print one line and leave with 2, as argparse does."""
        print(f"{self.prog}: error: {message} (see {self.prog} --help)", file=sys.stderr)
        sys.exit(2)


def boolean(text: str) -> bool:
    """Convert an option's ``true`` or ``false``."""
    if text not in ("true", "false"):
        raise argparse.ArgumentTypeError(f"expected true or false, got {text}")
    return text == "true"


def whole_number(least: int) -> Callable[[str], int]:
    """Return a converter of an option's whole number of at least ``least``."""

    def convert(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            value = least - 1
        if value < least:
            raise argparse.ArgumentTypeError(f"expected a whole number from {least}, got {text}")
        return value

    return convert


def number(least: float, most: float = float("inf")) -> Callable[[str], float]:
    """Return a converter of an option's number from ``least`` to ``most``."""

    def convert(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = float("nan")
        if not least <= value <= most or value == float("inf"):
            bounds = f"from {least:g}" if most == float("inf") else f"from {least:g} to {most:g}"
            raise argparse.ArgumentTypeError(f"expected a number {bounds}, got {text}")
        return value

    return convert


def _is_out_of_memory(error: Exception) -> bool:
    """Tell whether memory ran out; torch, TensorFlow and the loader of libraries each have their own way to say it."""
    text = f"{type(error).__name__} {error}".lower()
    return isinstance(error, MemoryError) or any(
        known in text for known in ("allocate memory", "out of memory", "resourceexhausted", "bad_alloc", "oom when")
    )


def run(main: Callable[[], None], program: str | None = None) -> NoReturn:
    """Run a program's ``main``; bad input and failing files become one line on stderr and exit code 1.

    Args:
        main: The program.
        program: What it calls itself; by default the name of its file.
    """
    program = program or Path(sys.argv[0]).name
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format=f"{program}: %(message)s")
    try:
        main()
    except InputError as error:
        print(f"{program}: error: {error}", file=sys.stderr)
        sys.exit(1)
    except OSError as error:
        place = "" if error.filename is None else f"{error.filename}: "
        print(f"{program}: error: {place}{error.strerror or error}", file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
    except Exception as error:
        if not _is_out_of_memory(error):
            raise
        print(
            f"{program}: error: out of memory; with fewer jobs at a time (--nj) there is more for each", file=sys.stderr
        )
        sys.exit(1)
    sys.exit(0)
