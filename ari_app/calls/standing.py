"""Where a call stands, as far as its channels do not show it: kept with Asterisk, for whoever must carry the call on.

A channel's own variables would do, but Asterisk sets none while it plays something to the channel, and serves nobody
meanwhile. So this is a global variable named after the call, and there is one only when a call stands elsewhere than at
its beginning.
"""

import logging
from uuid import UUID

import msgspec

from ari_app.ari import Ari
from oncall.standing import Standing, standing_of, variable_of

log = logging.getLogger(__name__)


class Notebook:
    """Keeps one call's standing with its Asterisk."""

    def __init__(self, ari: Ari, call: UUID) -> None:
        self._ari = ari
        self._variable = variable_of(call.hex)
        self._written = False

    async def read(self) -> Standing:
        """The standing last written down; a call's beginning when there is none, or none that can be understood."""
        text = await self._ari.variable(self._variable)
        self._written = bool(text)
        try:
            return standing_of(text)
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
