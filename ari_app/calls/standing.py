"""Where a call stands, as far as its channels do not show it: kept with Asterisk, for whoever must carry the call on.

A channel's own variables would do, but Asterisk sets none while it plays something to the channel, and serves nobody
meanwhile. So this is a global variable named after the call, and there is one only when a call stands elsewhere than at
its beginning.
"""

import logging
from collections.abc import Iterable
from dataclasses import dataclass, field
from uuid import UUID

import msgspec

from ari_app.ari import Ari

log = logging.getLogger(__name__)


@dataclass(slots=True)
class Standing:
    """``generation`` counts the workers that had the call before; ``step`` is a position in the plan (0: not begun);
    ``tried`` are the contact methods of that step that need not be rung again; ``message`` says that the caller has
    been asked for one."""

    generation: int = 0
    round: int = 1
    step: int = 0
    tried: set[int] = field(default_factory=set)
    message: bool = False

    def has_passed(self, round_: int, step: int) -> bool:
        """Whether the hunt was over with that step already."""
        return (round_, step) < (self.round, self.step)

    def enter(self, round_: int, step: int) -> bool:
        """Takes note that the hunt is at that step now; False when it was so already."""
        if (round_, step) == (self.round, self.step):
            return False
        self.round, self.step = round_, step
        self.tried.clear()
        return True

    def try_no_more(self, methods: Iterable[int]) -> None:
        self.tried.update(methods)


class Notebook:
    """Keeps one call's standing with its Asterisk."""

    def __init__(self, ari: Ari, call: UUID) -> None:
        self._ari = ari
        self._variable = f"VIGIE_CALL_{call.hex}"
        self._written = False

    async def read(self) -> Standing:
        """The standing last written down; a call's beginning when there is none, or none that can be understood."""
        text = await self._ari.variable(self._variable)
        self._written = bool(text)
        try:
            return msgspec.json.decode(text, type=Standing) if text else Standing()
        except msgspec.MsgspecError as error:
            log.warning("where the call stood cannot be understood, it begins anew: %s", error)
            return Standing()

    def write(self, standing: Standing) -> None:
        """Writes it down, beside the call."""
        self._written = True
        text = msgspec.json.encode(standing).decode()
        self._ari.later(self._ari.set_variable(self._variable, text), f"setting {self._variable}")

    def tear_out(self, *, always: bool = False) -> None:
        """The call is over. ``always``: what another may have written is torn out too."""
        if self._written or always:
            self._ari.later(self._ari.set_variable(self._variable, None), f"removing {self._variable}")
