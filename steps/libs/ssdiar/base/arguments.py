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
        if is_script := self.prog.endswith(".sh"):
            add("--python", help="Python that has the requirements ($PYTHON, else .venv, else python3)")
        help_text = "0: warnings only, 1: progress, 2: details (1)"
        # No default, because the default of a sub-command would replace the value before it.
        add("--verbose", type=int, choices=(0, 1, 2), default=argparse.SUPPRESS, help=help_text)
        add("--config", metavar="file", help="read options from name=value lines, before the others")
        add("--help", action="help", help="show this text and exit")
        self._is_script = is_script

    def add_actions(self) -> argparse._SubParsersAction:
        """Return the place for sub-commands, one of which must be given."""
        return self.add_subparsers(dest="action", required=True)

    def parse_args(self, *args: Any, **more: Any) -> argparse.Namespace:
        """Parse the command line, set the level of the log, and show the command of a script."""
        parsed = super().parse_args(*args, **more)
        verbose = getattr(parsed, "verbose", 1)
        logging.getLogger().setLevel((logging.WARNING, logging.INFO, logging.DEBUG)[verbose])
        if self._is_script and verbose:
            path = Path(sys.argv[0]).with_suffix(".sh")
            shown = path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path
            print(shlex.join([str(shown), *sys.argv[1:]]), file=sys.stderr)
        return parsed

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Translate the command line for argparse, and parse."""
        words, given, config, rest = list(sys.argv[1:] if args is None else args), {}, {}, []
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
            name = self._known(word)
            if self._option_string_actions[name].nargs == 0:
                given[name] = None
                continue
            if not words or self._is_option(words[0]):
                self.error(f"option {word} needs a value" + (f", got the option {words[0]}" if words else ""))
            given[name] = words.pop(0)
            if name == "--config":
                config |= self._read_config(Path(given.pop(name)))
        given = config | given
        for action in self._required():
            if not given.get(action.option_strings[0]):
                self.error(f"expected {self._expected()}, got no {action.option_strings[0]}")
        unset = {name for name in given if given[name] == "" and self._option_string_actions[name].default is None}
        options = [name if value is None else f"{name}={value}" for name, value in given.items() if name not in unset]
        self._check_count([word for word in rest if word != "--"])
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

    def _known(self, word: str) -> str:
        """Return the name of an option, with ``-`` for ``_``."""
        if "=" in word:
            self.error(f"options are given as --name value, got '{word}'")
        if not self._is_option(word):
            self.error(f"unknown option {word}")
        return _dashed(word)

    def _is_option(self, word: str) -> bool:
        return word.startswith("--") and _dashed(word) in self._option_string_actions

    def _read_config(self, path: Path) -> dict[str, str]:
        """Return the options of a config file."""
        if not path.is_file():
            self.error(f"{path}: no such config file")
        options = {}
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            place = f"{path}:{number}: "
            if not line.strip() or line.lstrip().startswith("#"):
                continue
            match = _CONFIG_LINE.fullmatch(line)
            if match is None:
                self.error(f"{place}expected name=value, one word or quoted text without expansions, got '{line}'")
            if not self._is_option(f"--{match[1]}"):
                self.error(f"{place}unknown option --{match[1]}")
            name, value = _dashed(f"--{match[1]}"), match[2] or match[3] or match[4] or ""
            try:
                action = self._option_string_actions[name]
                if value or action.default is not None:
                    self._check_value(action, self._get_value(action, value))
            except argparse.ArgumentError as error:
                self.error(f"{place}{name}: {error.message}")
            options[name] = value
        return options

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        if action.choices is not None and value not in action.choices:
            choices = list(map(str, action.choices))
            text = f"expected {', '.join(choices[:-1])} or {choices[-1]}, got {value}"
            raise argparse.ArgumentError(action, text)

    def _check_count(self, got: list[str]) -> None:
        """Exit unless there are as many arguments as the usage names."""
        numbers = [action.nargs for action in self._positionals._group_actions]
        needed = sum(number in (None, "+") for number in numbers)
        maximum = len(got) if {"+", "*"} & set(numbers) else len(numbers)
        if not self._subparsers and not needed <= len(got) <= maximum:
            found = f"got {got[0]}" if got and maximum == 0 else f"got {len(got)} arguments"
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
        if not action.option_strings:
            return _value(action)
        return action.option_strings[0] + ("" if action.nargs == 0 else f" {_value(action)}")

    def _get_help_string(self, action: argparse.Action) -> str:
        text, default = action.help or "", action.default
        if default in (None, "", (), argparse.SUPPRESS) or action.nargs == 0 or text.endswith(")"):
            return text
        shown = str(default).lower() if isinstance(default, bool) else default
        return f"{text} ({' '.join(map(str, shown)) if isinstance(shown, (list, tuple)) else shown})".strip()


def _dashed(word: str) -> str:
    return word.replace("_", "-")


def _value(action: argparse.Action) -> str:
    """Return the place holder of an argument, or of an option's value."""
    name = action.metavar or getattr(action.type, "shown_as", None) or action.dest.replace("_", "-")
    if action.choices is not None and action.metavar is None:
        name = "|".join(map(str, action.choices))
    name = name if name.startswith("<") else f"<{name}>"
    return {"?": f"[{name}]", "+": f"{name} ...", "*": f"[{name} ...]"}.get(str(action.nargs), name)


def boolean(text: str) -> bool:
    """Convert an option's ``true`` or ``false``."""
    if text not in ("true", "false"):
        raise argparse.ArgumentTypeError(f"expected true or false, got {text}")
    return text == "true"


boolean.shown_as = "true|false"


def whole_number(minimum: int) -> Callable[[str], int]:
    """Return a converter of an option's whole number from ``minimum``."""

    def convert(text: str) -> int:
        if not re.fullmatch(r"-?[0-9]{1,18}", text) or int(text) < minimum:
            raise argparse.ArgumentTypeError(f"expected a whole number from {minimum}, got {text}")
        return int(text)

    convert.shown_as = "n"
    return convert


def number(minimum: float, maximum: float = float("inf")) -> Callable[[str], float]:
    """Return a converter of an option's number from ``minimum`` to ``maximum``."""

    def convert(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = float("nan")
        if not minimum <= value <= maximum or value == float("inf"):
            bounds = f"from {minimum:g}" if maximum == float("inf") else f"from {minimum:g} to {maximum:g}"
            raise argparse.ArgumentTypeError(f"expected a number {bounds}, got {text}")
        return value

    convert.shown_as = "number"
    return convert


def program_name() -> str:
    """Return the name by which users call the program: the .sh beside the .py if there is one."""
    path = Path(sys.argv[0])
    script = path.with_suffix(".sh") if path.suffix == ".py" else path
    return script.name if script.is_file() else path.name


def explain(error: BaseException) -> str | None:
    """Return the line that an error of the user's or of the machine's is reported by; None for an error of ours."""
    if isinstance(error, InputError):
        return str(error)
    if isinstance(error, ModuleNotFoundError) and error.name and not error.name.startswith("ssdiar"):
        return (
            f"{sys.executable} has no package {error.name.partition('.')[0]}; run utils/setup_env.sh, which makes an "
            "environment that has everything, or name one by --python"
        )
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

    Args:
        main: The program.
        program: Its name, if it is not that of its file.
    """
    program = program or program_name()
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format=f"{program}: %(message)s")
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
