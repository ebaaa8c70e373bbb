"""``python -m optim``: the command line, as ``edge-optim``."""

from optim.cli import main

if __name__ == "__main__":
    main()
