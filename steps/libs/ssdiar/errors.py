"""The one exception that means "the input is bad", in the one form in which the recipe reports it."""

from __future__ import annotations

from pathlib import Path


class InputError(Exception):
    """Something the user gave is wrong; the message alone must be enough to mend it.

    It reads ``file:line: what is wrong; expected x, got y``, followed by ``hint`` on a line of its own when there is
    something to do that the first line does not already say.

    Args:
        what: What is wrong, without a final period.
        path: The file (or folder) that it was found in.
        line: Line number in that file, from 1.
        expected: What would have been right.
        got: What was found instead; shown as Python shows it when it is not a string.
        hint: What to do about it.
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
        # One line on the terminal whatever bytes the bad file held.
        message = " ".join(message.splitlines())
        super().__init__(message if hint is None else f"{message}\n{hint}")
