"""The program `fastinit`.  program.py runs it, and each command is in the file with its name.

To add a command, add a file here that defines the same four names (SUMMARY, EXAMPLE, add_options,
run), and list it in program.GROUPS.
"""

from .program import main

__all__ = ["main"]
