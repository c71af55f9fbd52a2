"""`python -m byzshield`: the command line."""

from byzshield.cli.main import entry_point

if __name__ == "__main__":
    entry_point()
