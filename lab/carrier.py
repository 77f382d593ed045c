"""The Asterisk on the other side: the carrier of the trunk, and the softphones, each at an address of its own.

It decides nothing. Every call that reaches it waits in the Stasis application ``lab``; every call that it makes
is asked for over ARI.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from vigie.settings import SocketAddress

APPLICATION = "lab"
CARRIER = "carrier"
"""The endpoint through which public numbers are called and reached."""
SECURE = "secure"
"""The same carrier, when it insists on encrypted sound (RFC 4568)."""
REQUIRED_MODULES = ("chan_pjsip.so", "res_pjsip_outbound_registration.so", "app_audiosocket.so", "app_stasis.so")


@dataclass(frozen=True, slots=True)
class Handset:
    """A softphone: its SIP user name, its password and the address from which it registers."""

    user: str
    password: str
    address: SocketAddress


@dataclass(frozen=True, slots=True)
class Outside:
    """Everything that the other side's configuration depends on."""

    pbx: SocketAddress
    carrier: SocketAddress
    ari: SocketAddress
    ari_password: str
    ears: SocketAddress
    handsets: Sequence[Handset]


def configuration(outside: Outside) -> dict[str, str]:
    """Return the configuration files of the other side's Asterisk, by name."""
    return {
        "modules.conf": _modules(),
        "logger.conf": "[general]\ndateformat=%F %T.%3q\n[logfiles]\nmessages => notice,warning,error\n",
        "rtp.conf": "[general]\nrtpstart=20000\nrtpend=29999\nicesupport=no\nstrictrtp=no\n",
        "http.conf": _section(
            "general", enabled="yes", bindaddr=outside.ari.host, bindport=outside.ari.port, enablestatic="no"
        ),
        "ari.conf": _section("general", enabled="yes")
        + _section(APPLICATION, type="user", password=outside.ari_password, password_format="plain"),  # noqa: S106
        "extensions.conf": _extensions(outside.ears),
        "pjsip.conf": _pjsip(outside),
    }


def _extensions(ears: SocketAddress) -> str:
    return f"""\
[from-pbx]
exten => _[+0-9a-z].,1,Stasis({APPLICATION})
 same => n,Hangup()

[ear]
exten => _X!,1,AudioSocket(${{EXTEN}},{ears})
exten => _[a-f]!,1,AudioSocket(${{EXTEN}},{ears})
"""


def _pjsip(outside: Outside) -> str:
    pbx = outside.pbx
    parts = [
        _section("system", type="system", timer_t1=100, timer_b=6400),
        _section("global", type="global", user_agent="Vigie lab", endpoint_identifier_order="line,ip"),
        _transport(CARRIER, outside.carrier),
        _endpoint(CARRIER, outside.carrier, aors=CARRIER, trust_id_outbound="yes", send_pai="no"),
        _endpoint(SECURE, outside.carrier, transport=CARRIER, aors=CARRIER, media_encryption="sdes"),
        _section(CARRIER, type="aor", contact=f"sip:{pbx}"),
        _section(CARRIER, type="identify", endpoint=CARRIER, match=pbx.host),
    ]
    for handset in outside.handsets:
        parts += _handset(handset, pbx)
    return "".join(parts)


def _handset(handset: Handset, pbx: SocketAddress) -> list[str]:
    user = handset.user
    return [
        _transport(user, handset.address),
        _endpoint(user, handset.address, aors=user, outbound_auth=user, from_user=user, from_domain=pbx.host),
        _section(user, type="aor", contact=f"sip:{pbx}"),
        _section(user, type="auth", auth_type="digest", username=user, password=handset.password),
        _section(
            f"{user}-registration",
            type="registration",
            transport=f"{user}-udp",
            outbound_auth=user,
            server_uri=f"sip:{pbx}",
            client_uri=f"sip:{user}@{pbx}",
            contact_user=user,
            line="yes",
            endpoint=user,
            expiration=600,
            max_random_initial_delay=0,
            retry_interval=2,
            fatal_retry_interval=0,
            max_retries=10,
        ),
    ]


def _transport(name: str, address: SocketAddress) -> str:
    return _section(f"{name}-udp", type="transport", protocol="udp", bind=address)


def _endpoint(name: str, address: SocketAddress, transport: str = "", **options: object) -> str:
    return _section(
        name,
        type="endpoint",
        transport=f"{transport or name}-udp",
        context="from-pbx",
        disallow="all",
        allow="alaw",
        direct_media="no",
        media_address=address.host,
        bind_rtp_to_media_address="yes",
        trust_id_inbound="yes",
        **options,
    )


def _section(section: str, **options: object) -> str:
    return "\n".join([f"[{section}]", *(f"{name}={value}" for name, value in options.items())]) + "\n\n"


def _modules() -> str:
    return "[modules]\nautoload=no\n" + "".join(f"load={module}.so\n" for module in MODULES.split())


MODULES = """
res_sorcery_config res_sorcery_memory res_sorcery_astdb res_pjproject res_timing_timerfd
res_http_websocket res_websocket_client
res_pjsip res_pjsip_pubsub res_pjsip_session res_pjsip_sdp_rtp res_pjsip_caller_id res_pjsip_rfc3326
res_pjsip_endpoint_identifier_ip res_pjsip_outbound_authenticator_digest res_pjsip_authenticator_digest
res_pjsip_outbound_registration res_rtp_asterisk res_srtp chan_pjsip
codec_alaw codec_resample format_wav format_pcm
bridge_simple bridge_softmix bridge_holding
res_stasis res_stasis_answer res_stasis_playback res_stasis_recording res_stasis_snoop
res_ari_model res_ari res_ari_events res_ari_applications res_ari_asterisk res_ari_channels res_ari_bridges
res_ari_endpoints res_ari_playbacks res_ari_recordings
pbx_config app_stasis res_audiosocket app_audiosocket
"""
