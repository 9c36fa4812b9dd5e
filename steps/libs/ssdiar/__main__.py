"""``python -m ssdiar``: the command ``ssdiar``."""

from ssdiar.cli import main

main()
