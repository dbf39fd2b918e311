"""`python -m courtyard`: the command line."""

from courtyard.cli import main

main()
