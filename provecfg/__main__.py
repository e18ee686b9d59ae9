"""`python -m provecfg`."""

from provecfg.cli import main

main()
