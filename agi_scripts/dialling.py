"""What is dialled to reach somebody. Only this makes what the fallback gives to Dial()."""

import re
from collections.abc import Callable, Sequence
from typing import Final

from oncall.manner import Identity, Manner, Reach
from oncall.plan import CallerIdShown, ContactKind, ContactMethod
from oncall.routing import RoutingTable

_SAFE: Final = re.compile(r"[A-Za-z0-9+._-]+")


def dial_strings(
    method: ContactMethod, trunks: Sequence[str], manner: Callable[[str], Manner], region: str
) -> tuple[str, ...]:
    """What to dial for a contact method, the next one when the one before fails: through each trunk in order, the
    number written as that trunk wants it.

    None for an address that would say more to Asterisk than a user or number; the site file allows no such address.
    """
    if method.kind is ContactKind.SIP:
        # Named twice: the user of a contact registered with ;maddr=TRUNK would be a number of the phone's choice there.
        return (f"PJSIP/{method.address}@{method.address}",) if _SAFE.fullmatch(method.address) else ()
    if not _SAFE.fullmatch(method.address):
        return ()
    return tuple(
        f"PJSIP/{manner(trunk).dialled(method.address, region)}@trunk-{trunk}"
        for trunk in trunks
        if _SAFE.fullmatch(trunk) and manner(trunk).leads_to(method.address)
    )


def trunk_of(dial: str) -> str | None:
    """The trunk by which a dial string goes; None for a phone of ours."""
    return trunk if (trunk := dial.rpartition("@trunk-")[2]) != dial else None


def shown_by(table: RoutingTable, method: ContactMethod, dial: str, caller: str | None = None) -> CallerIdShown:
    """Whose number is shown when this is dialled: the fallback shows a caller's by those trunks alone that take it as
    it is, since it tries no number twice and adds no header."""
    trunk = trunk_of(dial)
    if trunk is None:
        return method.shows
    manner = table.manner(trunk)
    plain = manner.identity is Identity.CALLER and (caller is None or manner.may_show(caller))
    return method.shows if plain else CallerIdShown.LINE


def shows_extensions(table: RoutingTable, dial: str) -> bool:
    """Whether an extension that calls may be shown when this is dialled."""
    trunk = trunk_of(dial)
    return trunk is None or table.manner(trunk).reaches is not Reach.OUTSIDE
