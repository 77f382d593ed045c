"""A bridge: what connects legs so that they hear each other."""

from types import TracebackType
from typing import TYPE_CHECKING, Self

from .errors import NotFound, RequestFailed
from .leg import Leg

if TYPE_CHECKING:
    from .client import Ari


class Bridge:
    """A bridge of Asterisk's. As a context manager it is destroyed on leaving; its legs stay alive."""

    def __init__(self, ari: "Ari", bridge_id: str) -> None:
        self._ari = ari
        self.id = bridge_id

    async def add(self, *legs: Leg) -> None:
        """Connects legs.

        Raises:
            HungUp: one of them ended before it was in.
        """
        for leg in legs:
            await leg.quiet()
        try:
            await self._ari.request("POST", f"bridges/{self.id}/addChannel", channel=",".join(leg.id for leg in legs))
        except RequestFailed:
            for leg in legs:
                await leg.check_soon()
            raise

    async def destroy(self) -> None:
        """Destroys the bridge; nothing if it is gone."""
        try:
            await self._ari.request("DELETE", f"bridges/{self.id}")
        except NotFound:
            return

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._ari.finish(self.destroy(), f"destroying bridge {self.id}")
