"""How the log is written: one line an event, with the id of the call it is about."""

import logging
from contextvars import ContextVar

from ari_app.calls.take_call import current_call


def configure_logging(verbose: bool = False, call: ContextVar[str] = current_call) -> None:
    """Logs to standard error; INFO tells the calls' stories, DEBUG everything. ``call`` holds the id of the call."""
    factory = logging.LogRecord

    def with_call(*args: object, **keywords: object) -> logging.LogRecord:
        record = factory(*args, **keywords)  # type: ignore[arg-type]
        record.call = call.get()
        return record

    logging.setLogRecordFactory(with_call)
    # What no line shows need not be found out for each.
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    logging.basicConfig(
        level=logging.DEBUG if verbose else logging.INFO,
        format="%(asctime)s %(levelname)-7s %(name)s [%(call)s] %(message)s",
    )
    logging.getLogger("picows").setLevel(logging.WARNING)
    logging.getLogger("httpx").setLevel(logging.WARNING)
    logging.getLogger("alembic").setLevel(logging.WARNING)
    logging.getLogger("psycopg").setLevel(logging.ERROR)  # it warns of errors beside those that it raises
