"""The command line: arguments in, a call of the Python API, text out.

`main` turns errors into exit codes, `arguments` words into options, `help` options into text. Each
group of commands has a file: `train`, `measure`, `look`, `listing`. A command is a few lines over
the Python API, which loads torch on first use: what needs no torch answers at once.
"""
