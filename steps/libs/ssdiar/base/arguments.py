"""The command line of every program of the project: options in Kaldi's manner, the log, and errors in one line."""

from __future__ import annotations

import argparse
import logging
import os
import re
import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

from ssdiar.base.errors import InputError

# A line of a config file: name=value, the value one word or quoted text in which a shell would expand nothing.
_CONFIG_LINE = re.compile(
    r"""\s*(?:--)?([^=\s]+)=(?:"([^"$`\\]*)"|'([^']*)'|([^\s"'$`\\]*))(?:\s+\#.*|\s*)""", re.VERBOSE | re.DOTALL
)


class Parser(argparse.ArgumentParser):
    """Parse options as Kaldi does: ``--name value``, in which ``_`` and ``-`` are alike.

    ``--config FILE`` has name=value lines; the command line overrides them. An empty value stands for the default if
    that is None. Wrong usage is one line on stderr and exit code 1.
    """

    def __init__(self, description: str | None = None, **options: Any) -> None:
        options = {"prog": program_name(), "formatter_class": _Formatter, "allow_abbrev": False, **options}
        super().__init__(description=description, add_help=False, **options)
        self.running = self.add_argument_group("Running")
        add = self.running.add_argument
        if self.prog.endswith(".sh"):
            add("--python", help="Python that has the requirements ($PYTHON, else .venv, else python3)")
        help_text = "0: warnings only, 1: progress, 2: details (1)"
        # No default, because the default of a sub-command would replace the value before it.
        add("--verbose", type=int, choices=(0, 1, 2), default=argparse.SUPPRESS, help=help_text)
        add("--config", metavar="file", help="read options from name=value lines, before the others")
        add("--help", action="help", help="show this text and exit")

    def parse_args(self, *args: Any, **more: Any) -> argparse.Namespace:
        """Parse the command line, set the level of the log, and show the command of a script."""
        parsed = super().parse_args(*args, **more)
        verbose = getattr(parsed, "verbose", 1)
        logging.getLogger().setLevel((logging.WARNING, logging.INFO, logging.DEBUG)[verbose])
        if self.prog.endswith(".sh") and verbose:
            path = Path(sys.argv[0]).with_suffix(".sh")
            shown = path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path
            print(shlex.join([str(shown), *sys.argv[1:]]), file=sys.stderr)
        return parsed

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Translate the command line for argparse, and parse."""
        words, given, config = list(sys.argv[1:] if args is None else args), {}, {}
        options: list[str] = []
        rest: list[str] = []
        while words:
            word = words.pop(0)
            if word == "--" or (self._subparsers and not word.startswith("-")):
                rest += [word, *words]
                break
            if not word.startswith("-") or word == "-":
                rest.append(word)
                continue
            if word in ("--help", "-h"):
                self.print_help()
                self.exit()
            action = self._action(word)
            if action.nargs == 0:
                options.append(action.option_strings[0])
                continue
            if not words or self._is_option(words[0]):
                self.error(f"option {word} needs a value" + (f", got the option {words[0]}" if words else ""))
            value = words.pop(0)
            if action.dest == "config":
                config |= self._read_config(Path(value))
            else:
                given[action] = value
        given = config | given
        self._check_usage([action for action in given if given[action]], [word for word in rest if word != "--"])
        options += [f"{key.option_strings[0]}={text}" for key, text in given.items() if text or key.default is not None]
        return super().parse_known_args(options + rest, namespace)

    def error(self, message: str) -> NoReturn:
        """Print one line and exit with 1."""
        message = message.removeprefix("argument ")
        print(f"{self.prog}: error: {message} (see {self.prog} --help)", file=sys.stderr)
        sys.exit(1)

    def format_help(self) -> str:
        """Return the help text: usage, description, options with their defaults."""
        self.usage = f"%(prog)s [options] {self._expected()}".strip()
        for action in self._positionals._group_actions:
            action.help = action.help or argparse.SUPPRESS  # the usage names it
        return super().format_help()

    def _is_option(self, word: str) -> bool:
        return word.startswith("-") and word.replace("_", "-") in self._option_string_actions

    def _action(self, word: str, place: str = "") -> argparse.Action:
        """Return the action of an option; errors begin with ``place``."""
        if "=" in word:
            self.error(f"options are given as --name value, got '{word}'")
        if not self._is_option(word):
            self.error(f"{place}unknown option {word}")
        return self._option_string_actions[word.replace("_", "-")]

    def _read_config(self, path: Path) -> dict[argparse.Action, str]:
        """Return the options of a config file."""
        if not path.is_file():
            self.error(f"{path}: no such config file")
        options = {}
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            if not line.strip() or line.lstrip().startswith("#"):
                continue
            place, match = f"{path}:{number}: ", _CONFIG_LINE.fullmatch(line)
            if match is None:
                self.error(f"{place}expected name=value, one word or quoted text without expansions, got '{line}'")
            action, value = self._action(f"--{match[1]}", place), match[2] or match[3] or match[4] or ""
            try:
                if value or action.default is not None:
                    self._check_value(action, self._get_value(action, value))
            except argparse.ArgumentError as error:
                self.error(f"{place}{action.option_strings[0]}: {error.message}")
            options[action] = value
        return options

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        if action.choices is not None and value not in action.choices:
            *choices, last = map(str, action.choices)
            raise argparse.ArgumentError(action, f"expected {', '.join(choices)} or {last}, got {value}")

    def _check_usage(self, options: list[argparse.Action], arguments: list[str]) -> None:
        """Exit unless all required options are there, and as many arguments as the usage names."""
        for action in self._required():
            if action not in options:
                self.error(f"expected {self._expected()}, got no {action.option_strings[0]}")
        numbers = [action.nargs for action in self._positionals._group_actions]
        needed = sum(number in (None, "+") for number in numbers)
        maximum = len(arguments) if {"+", "*"} & set(numbers) else len(numbers)
        if not self._subparsers and not needed <= len(arguments) <= maximum:
            found = f"got {arguments[0]}" if arguments and maximum == 0 else f"got {len(arguments)} arguments"
            self.error(f"expected {self._expected() or 'options only'}, {found}")

    def _required(self) -> list[argparse.Action]:
        return [action for action in self._actions if action.required and action.option_strings]

    def _expected(self) -> str:
        words = [f"{action.option_strings[0]} {_value(action)}" for action in self._required()]
        return " ".join([*words, *(_value(action) for action in self._positionals._group_actions)])


class _Formatter(argparse.RawDescriptionHelpFormatter):
    """Help with a line per option: ``--name <value>``, its effect, and the default last, in parentheses."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, max_help_position=34, width=120)

    def add_usage(self, usage: Any, actions: Any, groups: Any, prefix: str | None = None) -> None:
        super().add_usage(usage, actions, groups, "Usage: ")

    def _format_action_invocation(self, action: argparse.Action) -> str:
        name = action.option_strings[:1]
        return " ".join(name if action.nargs == 0 else [*name, _value(action)])

    def _get_help_string(self, action: argparse.Action) -> str:
        text, default = action.help or "", action.default
        if default in (None, "", argparse.SUPPRESS) or action.nargs == 0 or text.endswith(")"):
            return text
        return f"{text} ({str(default).lower() if isinstance(default, bool) else default})".strip()


def _value(action: argparse.Action) -> str:
    """Return the place holder of an argument, or of an option's value."""
    name = action.metavar or getattr(action.type, "shown_as", None) or action.dest.replace("_", "-")
    if action.choices is not None and action.metavar is None:
        name = "|".join(map(str, action.choices))
    name = name if name.startswith("<") else f"<{name}>"
    return {"?": f"[{name}]", "+": f"{name} ...", "*": f"[{name} ...]"}.get(str(action.nargs), name)


def _converter(shown_as: str, expected: str, convert: Callable[[str], Any]) -> Callable[[str], Any]:
    """Return a converter of an option's value, from one that raises ValueError for a bad value."""

    def converted(text: str) -> Any:
        try:
            return convert(text)
        except ValueError:
            raise argparse.ArgumentTypeError(f"expected {expected}, got {text}") from None

    converted.shown_as = shown_as
    return converted


#: Converter of an option's ``true`` or ``false``.
boolean = _converter("true|false", "true or false", lambda text: ("false", "true").index(text) == 1)


def whole_number(minimum: int) -> Callable[[str], int]:
    """Return a converter of an option's whole number from ``minimum``."""

    def convert(text: str) -> int:
        if not re.fullmatch(r"-?[0-9]{1,18}", text) or int(text) < minimum:
            raise ValueError
        return int(text)

    return _converter("n", f"a whole number from {minimum}", convert)


def number(minimum: float, maximum: float = float("inf")) -> Callable[[str], float]:
    """Return a converter of an option's number from ``minimum`` to ``maximum``."""

    def convert(text: str) -> float:
        if not minimum <= float(text) <= maximum or float(text) == float("inf"):
            raise ValueError
        return float(text)

    bounds = f"from {minimum:g}" if maximum == float("inf") else f"from {minimum:g} to {maximum:g}"
    return _converter("number", f"a number {bounds}", convert)


def program_name() -> str:
    """Return the name by which users call the program: the .sh beside the .py if there is one."""
    path = Path(sys.argv[0])
    script = path.with_suffix(".sh") if path.suffix == ".py" else path
    return script.name if script.is_file() else path.name


def explain(error: BaseException) -> str | None:
    """Return the line that reports an error of the user or the machine; None for an error of the program."""
    if isinstance(error, InputError):
        return str(error)
    if isinstance(error, ModuleNotFoundError) and error.name and not error.name.startswith("ssdiar"):
        hint = "run utils/setup_env.sh, which makes an environment that has everything, or name one by --python"
        return f"{sys.executable} has no package {error.name.partition('.')[0]}; {hint}"
    # torch, TensorFlow and the loader of libraries each report a lack of memory in a way of their own.
    text = f"{type(error).__name__} {error}".lower()
    known = ("allocate memory", "out of memory", "resourceexhausted", "bad_alloc", "oom when", "memoryerror")
    if any(part in text for part in known):
        return "out of memory; fewer jobs at a time (--nj) leave more for each"
    if isinstance(error, OSError):
        return ("" if error.filename is None else f"{os.fsdecode(error.filename)}: ") + (error.strerror or str(error))
    return None


def run(main: Callable[[], None], program: str | None = None) -> NoReturn:
    """Run a program's ``main``; errors that :func:`explain` knows are one line on stderr and exit code 1.

    ``program`` is its name, if that is not the name of its file.
    """
    program = program or program_name()
    for level, shown in {logging.DEBUG: "", logging.INFO: "", logging.WARNING: "WARNING: "}.items():
        logging.addLevelName(level, shown)
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format=f"{program}: %(levelname)s%(message)s")
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
    except Exception as error:
        if (line := explain(error)) is None:
            raise
        print(f"{program}: error: {line}", file=sys.stderr)
        sys.exit(1)
    sys.exit(0)
