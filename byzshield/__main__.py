"""`python -m byzshield`: the command line."""

import sys

from byzshield.cli.main import entry_point

if __name__ == "__main__":
    if not sys.flags.safe_path:
        del sys.path[0]  # the current folder, which for the command `byzshield` is not the first that modules are looked for in
    entry_point()
