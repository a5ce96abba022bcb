"""The command `fastinit`: program.py runs it, and each command is the file of its name.

To add a command, write a file beside them with the same four names (SUMMARY, EXAMPLE, add_options,
run) and list it in program.GROUPS.
"""

from .program import main

__all__ = ["main"]
