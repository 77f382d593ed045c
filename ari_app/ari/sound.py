"""What comes from a party's telephone, as Asterisk counts it."""

from msgspec import Struct


class Received(Struct, frozen=True, gc=False):
    """What has come so far from a party: packets of sound (RTP, RFC 3550; comfort noise and keys among them), and what
    its own reports (RTCP) said last, which no two reports say alike. Two that are equal say that nothing has come.

    Named as in ARI's ``rtp_statistics``, which counts no reports; what Asterisk itself measures is left out.
    """

    rxcount: int = 0
    txploss: int = 0
    rxjitter: float = 0
    rxmes: float = 0
    rtt: float = 0
    normdevrtt: float = 0
    stdevrtt: float = 0
    remote_maxjitter: float = 0
    remote_normdevjitter: float = 0
    remote_stdevjitter: float = 0
    remote_normdevrxploss: float = 0
    remote_stdevrxploss: float = 0
    maxrtt: float = 0
    keys: int = 0
    """How many keys were pressed: some telephones tell them by SIP INFO."""

    @property
    def reports(self) -> bool:
        """Whether reports come: they tell how long a packet is under way (RFC 3550, 6.4.1)."""
        return self.maxrtt > 0
