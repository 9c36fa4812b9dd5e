"""``python -m ssdiar`` is the command ``ssdiar``."""

from ssdiar.cli import main

main()
