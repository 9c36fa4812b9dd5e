"""The exception for bad input, with the form in which the recipe reports it."""

from __future__ import annotations

from pathlib import Path


class InputError(Exception):
    """Bad input, reported so that its message is enough to mend it.

    The message reads ``file:line: what is wrong; expected x, got y``, and ``hint`` follows on a line of its own.

    Args:
        what: The problem, without a final period.
        path: The file or folder.
        line: Line number in that file, from 1.
        expected: The right value.
        got: The value found; its repr is shown unless it is a string.
        hint: The way to mend it, if the first line does not show it.
    """

    def __init__(
        self,
        what: str,
        *,
        path: str | Path | None = None,
        line: int | None = None,
        expected: str | None = None,
        got: object = None,
        hint: str | None = None,
    ) -> None:
        self.what, self.path, self.line, self.hint = what, path, line, hint
        place = "" if path is None else f"{path}: " if line is None else f"{path}:{line}: "
        difference = [f"expected {expected}"] if expected is not None else []
        if got is not None:
            difference.append(f"got {got if isinstance(got, str) else repr(got)}")
        message = f"{place}{what}" + (f"; {', '.join(difference)}" if difference else "")
        # One line on the terminal, whatever bytes the file has.
        message = " ".join(message.splitlines())
        super().__init__(message if hint is None else f"{message}\n{hint}")
