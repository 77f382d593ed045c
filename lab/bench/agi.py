"""The FastAGI script that Vigie is compared with: for each call, whom to ring is looked up in PostgreSQL, then dialled.

``python -m lab.bench.agi ADDRESS:PORT DATABASE_URL``. It is written as such scripts are, with pyst2 and a thread for
each call, but for the connections to the database, which are kept.
"""

import os
import sys
from queue import Empty, SimpleQueue
from socketserver import StreamRequestHandler, ThreadingTCPServer
from typing import Any

import psycopg
from asterisk.agi import AGI, AGIException

from vigie.settings import SocketAddress

WHO = """
    SELECT contact_method.address
    FROM did
    JOIN line ON line.id = did.line_id
    JOIN escalation_step ON escalation_step.policy_id = line.policy_id
    JOIN step_target ON step_target.step_id = escalation_step.id
    JOIN contact_method ON contact_method.person_id = step_target.person_id
    WHERE did.number = %s
    ORDER BY escalation_step.position, step_target.position, contact_method.position
    LIMIT 1
"""


class Script(AGI):  # type: ignore[misc]
    """pyst2's AGI on a socket. Its own beginning takes over SIGHUP, which only a process' first thread may do."""

    def __init__(self, stdin: Any, stdout: Any) -> None:
        self.stdin, self.stdout, self.stderr = stdin, stdout, _SILENCE
        self._got_sighup = False
        self.env: dict[str, str] = {}
        self._get_agi_env()


class Server(ThreadingTCPServer):
    """Answers Asterisk; it keeps as many connections to the database as were ever needed at the same time."""

    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 100

    def __init__(self, address: SocketAddress, database_url: str) -> None:
        super().__init__((address.host, address.port), Handler)
        self._database_url = database_url
        self._idle: SimpleQueue[psycopg.Connection] = SimpleQueue()

    def who(self, number: str) -> str | None:
        """The telephone to ring for a number called."""
        try:
            connection = self._idle.get_nowait()
        except Empty:
            connection = psycopg.connect(self._database_url, autocommit=True)
        row = connection.execute(WHO, [number]).fetchone()
        self._idle.put(connection)
        return str(row[0]) if row else None


class Handler(StreamRequestHandler):
    """One call."""

    server: Server

    def handle(self) -> None:
        try:
            script = Script(self.rfile, _Text(self.wfile))
            telephone = self.server.who(script.env["agi_extension"])
            if telephone is not None:
                script.appexec("Dial", f"PJSIP/{telephone}@trunk-bench")
        except (AGIException, OSError):
            return  # the caller has hung up


class _Text:
    """pyst2 writes text, a socket takes bytes."""

    def __init__(self, raw: Any) -> None:
        self._raw = raw
        self.flush = raw.flush

    def write(self, text: str) -> None:
        self._raw.write(text.encode())


_SILENCE = open(os.devnull, "w")  # noqa: SIM115, PTH123  # for what pyst2 writes of each line that it reads


if __name__ == "__main__":
    with Server(SocketAddress.parse(sys.argv[1]), sys.argv[2]) as server:
        server.serve_forever()
