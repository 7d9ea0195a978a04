"""The command line: each module reads its arguments and makes one call."""
