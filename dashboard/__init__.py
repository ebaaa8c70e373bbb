"""The dashboard: pages that read a workspace and draw it. Computing is left to ``optim``."""
