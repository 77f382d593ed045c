"""``make demo``: real calls through a whole Vigie, and the story of each.

Everything is started for the occasion, in a directory and on addresses of its own, and stopped in the end.
"""

import asyncio
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from rich.console import Console
from rich.table import Table
from rich.text import Text

from ari_app.ari import AriError
from db.errors import DatabaseError
from db.queries import Moment, call_timeline
from lab.mailbox import Letter
from lab.sound import speak
from lab.stories import CAROLS_MAIL, MOBILES, STORIES, TOGETHER, Set, Story, resemblances
from lab.trace import Trace
from lab.world import World
from vigie.cli import give_up_root
from vigie.errors import VigieError

SITE = Path(__file__).with_name("demo.yaml")
MESSAGE = "Bonjour, la pompe du sous-sol est arrêtée et l'eau monte, rappelez-moi au plus vite."
REPLY = "Bien reçu, je prends ma voiture et j'arrive dans vingt minutes."
ENOUGH = 0.8
"""How much of the message must be found in the mail's attachment."""


class Stage:
    """The console, with a clock that starts with the demo."""

    def __init__(self) -> None:
        self.console = Console(highlight=False)
        if not self.console.is_terminal:
            self.console.width = 120
        self._started = time.monotonic()

    @property
    def seconds(self) -> float:
        return time.monotonic() - self._started

    def tell(self, what: str) -> None:
        """Shows at once what happens."""
        self.console.print(Text(f"{self.seconds:6.1f} s  {what}"))

    def teller(self, story: Story) -> Callable[[str], None]:
        return lambda what: self.tell(f"({story.letter}) {what}")


async def demo(directory: Path) -> None:
    """Plays all stories and shows them; ``AssertionError`` when one went otherwise than it must."""
    stage = Stage()
    stage.console.rule("Vigie: five calls through a whole on-call telephone system")
    stage.tell("starting PostgreSQL, Asterisk, workers, scheduler; carrier, phones, mail server")
    async with World(directory, SITE.read_text(), handsets=("alice", "carol", "dan")) as world:
        for mobile in MOBILES:
            world.mobile(mobile)
        message = await speak(MESSAGE, directory / "message.wav")
        reply = await speak(REPLY, directory / "reply.wav")
        stage.tell("all is up, the phones are registered; now people call")
        played = await _play(world, stage, lambda story: Set(world, message, reply, stage.teller(story)))
        await world.nothing_left()
        for story in STORIES:
            await _show(stage, world, story, played[story.letter])
        _show_letter(stage, world.mailbox.letters_to(CAROLS_MAIL), Set(world, message, reply, stage.tell))
        stage.tell("no channel, no bridge and no open call is left; stopping everything")
    stage.console.rule(f"five stories as they must be, {stage.seconds:.0f} s")


async def _play(world: World, stage: Stage, scene: Callable[[Story], Set]) -> dict[str, Trace]:
    """Plays the stories, and checks in the journal that each came to what it must."""
    by_letter = {story.letter: story for story in STORIES}
    traces: dict[str, Trace] = {}

    async def one_after_the_other(letters: str) -> None:
        for letter in letters:
            story = by_letter[letter]
            try:
                traces[letter] = await _check(world, story, scene(story))
            except AssertionError as error:
                raise AssertionError(f"story ({letter}), {story.title}: {error}") from error
            stage.tell(f"({letter}) done: {story.title}")

    async with asyncio.TaskGroup() as group:
        for letters in TOGETHER:
            group.create_task(one_after_the_other(letters))
    return traces


async def _check(world: World, story: Story, scene: Set) -> Trace:
    trace = await world.trace(await story.play(scene))
    found = (trace.outcome, list(trace.dispositions))
    assert found == (story.outcome, list(story.tried)), f"the journal tells another story: {found}"
    return trace


async def _show(stage: Stage, world: World, story: Story, trace: Trace) -> None:
    stage.console.print()
    stage.console.print(Text(f"({story.letter}) {story.title}", style="bold"))
    call = trace.call
    stage.console.print(Text(f"    {call.caller} called {call.line_name} ({call.did}), served by worker {call.worker}"))
    stage.console.print(_timeline(await call_timeline(world.engine, call.id)))


def _timeline(moments: Sequence[Moment]) -> Table:
    table = Table(box=None, header_style="dim", padding=(0, 2, 0, 0))
    table.add_column("second", justify="right")
    for column in ("who", "what", "why"):
        table.add_column(column, overflow="fold")
    table.add_column("SIP", justify="right")
    table.add_column("Q.850", justify="right")
    for moment in moments:
        causes = (str(code) if code else "" for code in (moment.sip, moment.q850))
        what = moment.what.replace("_", " ")
        table.add_row(f"{moment.seconds:.3f}", Text(moment.who or ""), what, Text(moment.why or ""), *causes)
    return table


def _show_letter(stage: Stage, letters: Sequence[Letter], scene: Set) -> None:
    """Shows the mail of story (d), and checks that its sound is what was spoken."""
    assert len(letters) == 1, f"{len(letters)} mails instead of one"
    letter = letters[0]
    console = stage.console
    console.print()
    console.print(Text("The mail of (d), as the mail server received it", style="bold"))
    for name, value in letter.message.items():
        console.print(Text(f"    {name}: {value}", style="dim"))
    console.print(Text("\n".join(f"    {line}" for line in ("", *letter.text.strip().splitlines(), ""))))
    share, other = resemblances(letter, scene)
    console.print(
        Text(
            f"    attached: {', '.join(letter.attachment_names)}, {letter.sound.seconds:.1f} s of sound\n"
            f"    was spoken: “{scene.message.text}”\n"
            f"    the attachment's waveform is {share:.0%} that of the words spoken; another sentence: {other:.0%}"
        )
    )
    assert share >= ENOUGH, f"the attachment is not what was spoken: {share:.0%}"
    assert other < 1 - ENOUGH, f"the comparison proves nothing: another sentence resembles it by {other:.0%}"


async def _until_done_or_stopped() -> None:
    task = asyncio.current_task()
    assert task is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    with TemporaryDirectory(prefix="vigie-demo-", ignore_cleanup_errors=True) as directory:
        await demo(Path(directory))


def main() -> int:
    """0 when every story is what happened on the wire, else 1 with what differs."""
    complaints: list[str] = []
    try:
        give_up_root()
        asyncio.run(_until_done_or_stopped())
    except* (VigieError, DatabaseError, AriError, AssertionError) as group:
        complaints += [str(error) for error in _leaves(group)]
    except* (KeyboardInterrupt, asyncio.CancelledError):
        complaints.append("interrupted")
    sys.stderr.writelines(f"demo: {complaint}\n" for complaint in complaints)
    return 1 if complaints else 0


def _leaves(group: BaseExceptionGroup[BaseException]) -> Iterator[BaseException]:
    for error in group.exceptions:
        if isinstance(error, BaseExceptionGroup):
            yield from _leaves(error)
        else:
            yield error


if __name__ == "__main__":
    sys.exit(main())
