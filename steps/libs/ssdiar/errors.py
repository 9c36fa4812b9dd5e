"""The place of :class:`InputError` before version 0.3, for programs that import it from here."""

from ssdiar.base.errors import InputError

__all__ = ["InputError"]
