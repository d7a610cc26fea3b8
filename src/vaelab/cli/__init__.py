"""The command line: arguments in, a call of the Python API, text out."""
