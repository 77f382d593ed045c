"""What can go wrong in the shell of the application.

VigieError              root; always says what is wrong and how to mend it
├── SettingsError       a VIGIE_* variable is unknown or has an impossible value
├── Doubt               worth a look, but calls are served
├── FileRefused         a file named on the command line cannot be read or written
└── StackError          a program of the stack cannot run
    ├── AlreadyRunning  another stack holds the state directory
    ├── PortTaken       somebody else listens where we must
    ├── ProgramMissing  a program is not installed, or too old
    ├── DiskFull        no room left under the state directory
    ├── ProgramFailed   a program ended, or answered with an error
    └── NotReady        a program did not become ready in time
"""

from pathlib import Path


class VigieError(Exception):
    """``problem`` says what is wrong; ``remedy`` says what to do about it."""

    def __init__(self, problem: str, remedy: str = "") -> None:
        super().__init__(f"{problem}\n{remedy}" if remedy else problem)
        self.problem = problem
        self.remedy = remedy


class SettingsError(VigieError):
    pass


class Doubt(VigieError):
    """Worth a look, but calls are served."""


class FileRefused(VigieError):
    """``what`` cannot be done with ``path``: "read" or "written"."""

    def __init__(self, path: Path, what: str, error: OSError) -> None:
        remedy = ""
        if isinstance(error, PermissionError):
            remedy = "Commands of root are run by the user vigie, who may not enter root's directories."
        super().__init__(f"{path} cannot be {what}: {error.strerror}.", remedy)


class StackError(VigieError):
    pass


class AlreadyRunning(StackError):
    pass


class PortTaken(StackError):
    pass


class ProgramMissing(StackError):
    pass


class DiskFull(StackError):
    pass


class ProgramFailed(StackError):
    pass


class NotReady(StackError):
    pass
