"""The exit codes of `tallykeeper`. README.md and the help texts list them."""

from typing import Final

EXIT_REFUSED: Final = 1
EXIT_USAGE: Final = 2
EXIT_UNKNOWN: Final = 3
EXIT_DIFFERENT: Final = 4
EXIT_UNWRITTEN: Final = 5
EXIT_NOT_KEPT: Final = 6
EXIT_DEFECT: Final = 70
"""The code EX_SOFTWARE of sysexits.h."""
EXIT_INTERRUPTED: Final = 130
"""The code that a shell reports for a program that SIGINT ended: 128 + 2."""

EXIT_CODES: Final = """\b
Exit codes:
  0    done, even if the reader of the output left before the end
  1    refused, a definite answer: not found, too few copies, a value that has changed …
  2    wrong usage: nothing was sent, or a field breaks a rule
  3    no answer, or no definite answer: repeat a change with the same --request-id
  4    'verify' found differences
  5    the output cannot be written, as on a full disk; the command has done its work
  6    'status' found a promise of durability that the store does not keep
  70   a defect of this program
  130  interrupted
"""
