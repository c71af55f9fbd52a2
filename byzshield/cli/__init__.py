"""The command line: words go in, text on stdout and an exit status come out."""
