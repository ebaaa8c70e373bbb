"""The version of edge-optim, as exports and the command line tell it."""

__version__ = "0.1.0"
