"""An Asterisk of our own: where its files are, and one running server."""

import asyncio
import os
import re
import resource
import shutil
import socket
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from vigie.errors import NotReady, ProgramFailed, ProgramMissing
from vigie.stack.process import Child, run, tail

OLDEST = (22, 7)
"""The first version with StasisBroadcast."""
ANSWER_SECONDS = 2
PRIVATE_ROOT = Path("/opt/vigie/asterisk")
MOST_FILES = 16384
SOUNDS = {"fr": ("fr_CA_f_June", "fr"), "en": ("en_US_f_Allison", "en")}
"""The folders in which a language's sounds are found, Debian's names first."""


@dataclass(frozen=True, slots=True)
class AsteriskTree:
    """The files of an installed Asterisk. ``launcher`` is the command that starts its program."""

    version: str
    launcher: tuple[str, ...]
    modules: Path
    data: Path

    @classmethod
    def find(cls, private_root: Path = PRIVATE_ROOT) -> Self:
        """The machine's own Asterisk when it is recent enough, else the one that install.sh fetched.

        Raises ProgramMissing, naming what was found, when neither will do.
        """
        candidates = [(private_root / "usr/sbin/asterisk", private_root)]
        if on_path := shutil.which("asterisk"):
            candidates.insert(0, (Path(on_path).resolve(), Path("/")))
        unfit: list[str] = []
        for program, root in candidates:
            if not program.exists():
                continue
            tree = cls._inspect(program, root)
            if isinstance(tree, cls):
                return tree
            unfit.append(f"{program}: {tree}")
        found = "; ".join(unfit) or f"there is none on PATH and none in {private_root}"
        raise ProgramMissing(
            f"Asterisk {OLDEST[0]}.{OLDEST[1]} or newer is needed; {found}.", "Run ./install.sh as root."
        )

    @classmethod
    def _inspect(cls, program: Path, root: Path) -> Self | str:
        """The tree around a program, or why it will not do."""
        launcher = (*_loader(root), str(program))
        answer = subprocess.run([*launcher, "-V"], capture_output=True, text=True)
        version = answer.stdout.strip().removeprefix("Asterisk ")
        numbers = re.match(r"(\d+)\.(\d+)", version)
        if not numbers:
            return f"it does not run ({answer.stderr.strip()})"
        if (int(numbers[1]), int(numbers[2])) < OLDEST:
            return f"it is version {version}"
        prefix = program.parent.parent
        modules = _first(prefix, "lib*/asterisk/modules", "lib*/*/asterisk/modules")
        data = _first(prefix, "share/asterisk") or _first(root, "var/lib/asterisk")
        if not modules or not data:
            return "its modules or its data are not there"
        return cls(version, launcher, modules, data)

    def sounds(self, language: str) -> Path | None:
        """The folder of the core sounds of a language."""
        return _first(self.data / "sounds", *SOUNDS[language])


def _loader(root: Path) -> tuple[str, ...]:
    """What runs a program of another root with that root's libraries, with neither chroot nor privilege."""
    if root == Path("/"):
        return ()
    loader = _first(root, "usr/lib*/ld-linux-*.so.*", "usr/lib/ld-linux-*.so.*")
    libraries = _first(root, "usr/lib/*-linux-gnu")
    return (str(loader), "--library-path", str(libraries)) if loader and libraries else ()


def _most_files() -> int:
    """How many files and sockets our programs may have open: five for each call in conversation, one for each ARI
    session. What they get unless they ask is often 1,024."""
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    return MOST_FILES if most == resource.RLIM_INFINITY else min(most, MOST_FILES)


def _first(directory: Path, *patterns: str) -> Path | None:
    return next((path for pattern in patterns for path in sorted(directory.glob(pattern))), None)


class AsteriskServer:
    """One Asterisk with all its files under ``directory``, for nobody but us.

    ``config`` maps file names (``pjsip.conf``) to their text; asterisk.conf is written here.
    """

    def __init__(
        self,
        tree: AsteriskTree,
        directory: Path,
        config: Mapping[str, str],
        required_modules: Sequence[str] = ("chan_pjsip.so",),
        name: str = "Asterisk",
    ) -> None:
        self.tree = tree
        self.directory = directory
        self.name = name
        self._config = config
        self._required_modules = required_modules
        self._child: Child | None = None

    @property
    def log(self) -> Path:
        """What it has to say; also the log that logger.conf should name ``messages``."""
        return self.directory / "log" / "messages"

    @property
    def recordings(self) -> Path:
        return self.directory / "spool" / "recording"

    @property
    def child(self) -> Child:
        assert self._child is not None, "not started"
        return self._child

    async def start(self, patience: float = 20) -> Child:
        """Starts it and returns it once it takes calls, with every required module running.

        Raises ProgramFailed or NotReady with the end of its log.
        """
        await self.predecessor_gone(patience)
        self._lay_out()
        self.write_config()
        for stale in (self.directory / "run").iterdir():
            stale.unlink()
        self._child = await Child.start(
            self.name,
            # Who asks whether it answers, and is gone, would end it as long as it has not come to ignore that itself.
            ["env", "--ignore-signal=PIPE", *self.tree.launcher, "-f", "-n", "-C", self._asterisk_conf],
            log=self.directory / "log" / "output",
            directory=self.directory,
        )
        try:
            await self._until_ready(patience)
        except BaseException:
            await self.stop()
            raise
        return self._child

    async def predecessor_gone(self, patience: float = 20) -> None:
        """Waits for the end of a server that was left in this directory, as when its parent was just killed."""
        deadline = time.monotonic() + patience
        while (pid := self._pid_of_predecessor()) is not None:
            if time.monotonic() > deadline:
                raise NotReady(f"Another Asterisk (process {pid}) runs in {self.directory}.", f"End it: kill {pid}")
            await asyncio.sleep(0.05)

    async def stop(self) -> None:
        """Ends it and every call it carries."""
        if self._child is not None:
            await self._child.stop()

    async def command(self, text: str) -> str:
        """What Asterisk answers to a console command, such as ``core show channels``."""
        return await run([*self.tree.launcher, "-C", self._asterisk_conf, "-r", "-x", text])

    async def reload(self, module: str) -> None:
        """Has a module read its configuration again. Raises ProgramFailed, or NotReady when it does not say in time."""
        try:
            said = await self.command(f"module reload {module}")
        except TimeoutError:
            raise NotReady(f"{self.name} does not say whether it has reloaded {module}.", f"See {self.log}.") from None
        if "reloaded successfully" not in said:
            raise ProgramFailed(f"{self.name} has not reloaded {module}: {said.strip()}", f"See {self.log}.")

    async def answers(self) -> bool:
        """Whether the server greets a newcomer at its console."""
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                reader, writer = await asyncio.open_unix_connection(self._control)
                try:
                    return bool(await reader.readline())
                finally:
                    writer.close()
        except (OSError, TimeoutError):
            return False

    def is_running(self) -> bool:
        """Whether a server runs in this directory, started by us or by another process."""
        with socket.socket(socket.AF_UNIX) as control:
            return control.connect_ex(str(self._control)) == 0

    def write_config(self) -> bool:
        """Whether its configuration files had to be changed; a running server sees that when it reloads."""
        changed = False
        for name, text in {**self._config, "asterisk.conf": self._directories()}.items():
            path = self.directory / "etc" / name
            if path.exists() and path.read_text() == text:
                continue
            draft = path.with_name(f".{name}.{os.getpid()}")
            draft.touch(mode=0o600)
            draft.write_text(text)
            draft.replace(path)
            changed = True
        return changed

    @property
    def _asterisk_conf(self) -> Path:
        return self.directory / "etc" / "asterisk.conf"

    @property
    def _control(self) -> Path:
        return self.directory / "run" / "asterisk.ctl"

    def _pid_of_predecessor(self) -> int | None:
        try:
            pid = int((self.directory / "run" / "asterisk.pid").read_text())
            command = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        except (OSError, ValueError):
            return None
        return pid if os.fsencode(self._asterisk_conf) in command else None

    def _lay_out(self) -> None:
        for name in ("etc", "run", "log", "db", "keys", "data/sounds", "spool/recording"):
            (self.directory / name).mkdir(mode=0o700, parents=True, exist_ok=True)
        data = self.directory / "data"
        links = {data / entry.name: entry for entry in self.tree.data.iterdir() if entry.name != "sounds"}
        links |= {data / "sounds" / code: path for code in SOUNDS if (path := self.tree.sounds(code))}
        for link, target in links.items():
            with suppress(FileNotFoundError):
                link.unlink()
            link.symlink_to(target)

    def _directories(self) -> str:
        here = self.directory
        return f"""\
[directories]
astetcdir => {here}/etc
astmoddir => {self.tree.modules}
astvarlibdir => {here}/data
astdbdir => {here}/db
astkeydir => {here}/keys
astdatadir => {here}/data
astagidir => {here}/data/agi-bin
astspooldir => {here}/spool
astrundir => {here}/run
astlogdir => {here}/log
astsbindir => {self.tree.data}

[options]
hideconnect = yes
maxfiles = {_most_files()}
; Who is recorded is sent silence: gateways take a call without sound for dead. Its clock also carries the recording
; over pauses in which nothing comes, which would end it after 4 s.
transmit_silence = yes
"""

    async def _until_ready(self, patience: float) -> None:
        try:
            async with asyncio.timeout(patience):
                await self.child.while_running(self._wait_fully_booted())
        except TimeoutError:
            raise NotReady(
                f"{self.name} is not ready after {patience:.0f} s.\n{tail(self.log)}", f"See {self.log}."
            ) from None
        await self._check_modules()

    async def _wait_fully_booted(self) -> None:
        while True:
            if self.is_running():
                with suppress(ProgramFailed):
                    await self.command("core waitfullybooted")
                    return
            await asyncio.sleep(0.02)

    async def absent_modules(self) -> list[str]:
        """The required modules that do not run."""
        listing = await self.command("module show")
        running = {line.split()[0] for line in listing.splitlines() if " Running " in line}
        return [module for module in self._required_modules if module not in running]

    async def _check_modules(self) -> None:
        if absent := await self.absent_modules():
            raise ProgramFailed(f"{self.name} runs without {', '.join(absent)}.\n{tail(self.log)}", f"See {self.log}.")
