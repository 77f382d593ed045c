"""How the log is written: one line an event, with the id of the call it is about."""

import logging
import time
from contextvars import ContextVar

from ari_app.calls.take_call import current_call
from oncall.printable import prints


def configure_logging(verbose: bool = False, call: ContextVar[str] = current_call) -> None:
    """Logs to standard error; INFO tells the calls' stories, DEBUG everything. ``call`` holds the id of the call."""
    factory = logging.LogRecord

    def with_call(*args: object, **keywords: object) -> logging.LogRecord:
        record = factory(*args, **keywords)  # type: ignore[arg-type]
        record.call = call.get()
        return record

    logging.setLogRecordFactory(with_call)
    # What no line shows need not be found out for each (Python's logging HOWTO, Optimization).
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    logging._srcfile = None
    lines = logging.StreamHandler()
    lines.setFormatter(OneLine("%(asctime)s %(levelname)-7s %(name)s [%(call)s] %(message)s"))
    logging.basicConfig(level=logging.DEBUG if verbose else logging.INFO, handlers=[lines])
    logging.getLogger("picows").setLevel(logging.WARNING)
    logging.getLogger("httpx").setLevel(logging.WARNING)
    logging.getLogger("alembic").setLevel(logging.WARNING)
    logging.getLogger("psycopg").setLevel(logging.ERROR)  # it warns of errors beside those that it raises


class OneLine(logging.Formatter):
    """Writes a record on one line, but for its traceback.

    Works the local time out once a second: a call writes some twenty lines, and they are a tenth of its cost.
    """

    _second = -1
    _said = ""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging's name
        """One line: what comes from outside cannot look like lines of our own."""
        line = super().formatMessage(record)
        return line if line.isprintable() else "".join(map(_escaped, line))

    def formatTime(self, record: logging.LogRecord, _format: str | None = None) -> str:  # noqa: N802 - logging's name
        second = int(record.created)
        if second != self._second:
            self._second, self._said = second, time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(second))
        return f"{self._said},{record.msecs:03.0f}"


def _escaped(character: str) -> str:
    return character if prints(character) else character.encode("unicode_escape").decode()
