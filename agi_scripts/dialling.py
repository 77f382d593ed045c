"""What is dialled to reach somebody. Only this makes what the fallback gives to Dial()."""

import re
from collections.abc import Sequence
from typing import Final

from oncall.plan import ContactKind, ContactMethod

_SAFE: Final = re.compile(r"[A-Za-z0-9+._-]+")


def dial_strings(method: ContactMethod, trunks: Sequence[str]) -> tuple[str, ...]:
    """What to dial for a contact method, the next one when the one before fails: through each trunk in order.

    None for an address that would say more to Asterisk than a user or number; the site file allows no such address.
    """
    if method.kind is ContactKind.SIP:
        # Named twice: the user of a contact registered with ;maddr=TRUNK would be a number of the phone's choice there.
        return (f"PJSIP/{method.address}@{method.address}",) if _SAFE.fullmatch(method.address) else ()
    if not _SAFE.fullmatch(method.address):
        return ()
    return tuple(f"PJSIP/{method.address}@trunk-{trunk}" for trunk in trunks if _SAFE.fullmatch(trunk))
