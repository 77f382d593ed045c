"""Asterisk's configuration says what settings and site file say, and leaves no way around them."""

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from vigie.errors import StackError
from vigie.secrets import Secrets
from vigie.settings import Settings, SocketAddress
from vigie.stack.render import TrunkAccount, render, required_modules

SECRETS = Secrets("k" * 40)
CARRIER = TrunkAccount("carrier", "192.0.2.10", 5060, resolved=(SocketAddress("192.0.2.10", 5060),))
ACCOUNT = TrunkAccount("backup", "sip.example.org", 5070, "0123456789", "p;a=ss")


def configuration(
    *trunks: TrunkAccount, phones: Sequence[str] = (), settings: Settings | None = None
) -> dict[str, str]:
    return render(settings or Settings(), SECRETS, trunks, phones)


def sections(text: str, name: str) -> dict[str, dict[str, str]]:
    """The objects called ``name`` in a pjsip.conf, by type; those of a template have its type."""
    found: dict[str, dict[str, str]] = {}
    for header, body in re.findall(r"^\[([^\n]+)\n(.*?)(?=^\[|\Z)", text, re.MULTILINE | re.DOTALL):
        if header.split("]")[0] == name:
            values = dict(re.findall(r"^(\w+) = (.*)$", body, re.MULTILINE))
            found[values.get("type", "endpoint")] = values
    return found


def test_a_trunk_is_known_by_its_address_and_leads_to_the_lines() -> None:
    config = configuration(CARRIER)["pjsip.conf"]
    trunk, incoming = sections(config, "trunk-carrier"), sections(config, "trunk-carrier.in")
    assert trunk["identify"] == {"type": "identify", "endpoint": "trunk-carrier.in", "match": "192.0.2.10"}
    assert incoming["endpoint"]["context"] == "vigie-in"
    assert trunk["aor"]["contact"] == "sip:192.0.2.10:5060"
    assert "registration" not in trunk


def test_a_trunk_that_is_known_by_its_name_is_sent_all_where_that_leads() -> None:
    where = (SocketAddress("192.0.2.11", 5080), SocketAddress("192.0.2.12", 5060))
    trunk = replace(ACCOUNT, resolved=where, addresses=("198.51.100.0/24",))
    objects = sections(configuration(trunk)["pjsip.conf"], "trunk-backup")
    for kind in ("endpoint", "aor", "registration"):
        assert objects[kind]["outbound_proxy"] == r"sip:192.0.2.11:5080\;lr\;hide", kind
    assert objects["identify"]["match"] == "192.0.2.11,192.0.2.12,198.51.100.0/24"
    assert "identify" not in sections(configuration(ACCOUNT)["pjsip.conf"], "trunk-backup"), "it has no address yet"


def test_encrypted_sound_is_taken_and_never_asked_for() -> None:
    config = configuration(CARRIER)["pjsip.conf"]
    assert sections(config, "trunk-carrier.in")["endpoint"]["media_encryption"] == "sdes"
    assert "media_encryption" not in sections(config, "trunk-carrier")["endpoint"]


def test_a_trunk_is_watched_by_the_endpoint_that_nobody_calls_by() -> None:
    config = configuration(CARRIER, ACCOUNT)["pjsip.conf"]
    watched, trunk = sections(config, "trunk-backup.in"), sections(config, "trunk-backup")
    assert watched["aor"]["contact"] == trunk["aor"]["contact"]
    assert int(watched["aor"]["qualify_frequency"]) + int(watched["aor"]["qualify_timeout"]) <= 20
    assert watched["endpoint"]["outbound_auth"] == "trunk-backup"
    assert "qualify_frequency" not in trunk["aor"], "Asterisk would not call by a trunk that is silent to OPTIONS"


def test_a_trunk_with_a_user_name_registers() -> None:
    objects = sections(configuration(ACCOUNT)["pjsip.conf"], "trunk-backup")
    assert objects["registration"]["server_uri"] == "sip:sip.example.org:5070"
    assert objects["endpoint"]["outbound_auth"] == "trunk-backup"
    assert objects["auth"]["password"] == r"p\;a=ss"


def test_a_phone_must_say_its_own_password_and_dials_nothing() -> None:
    config = configuration(phones=["alice", "bob"])
    objects = sections(config["pjsip.conf"], "alice")
    assert objects["auth"]["password"] == SECRETS.sip_password("alice")
    assert objects["endpoint"]["auth"] == "alice"
    assert objects["endpoint"]["context"] == "vigie-phones"
    assert config["extensions.conf"].partition("[vigie-phones]")[2].strip() == ""


def test_the_dialplan_calls_nobody_but_the_people_of_the_routing_table() -> None:
    """Only Dial() calls out, and only with what we have put into AstDB; nobody else can write that family."""
    dialplan = configuration(CARRIER, phones=["alice"])["extensions.conf"]
    instructions = re.findall(r"^(?: same => n(?:\(\w+\))?|exten => [^,]+,\d+),(\w+)\((.*)\)", dialplan, re.MULTILINE)
    harmless = {"Set", "MSet", "StasisBroadcast", "Log", "Goto", "GotoIf", "NoOp", "Answer", "Playback", "Hangup"}
    harmless |= {"AGI", "Gosub", "Return", "Read", "Record", "Wait"}
    assert {application for application, _ in instructions} == harmless | {"Dial"}
    dialled = [arguments for application, arguments in instructions if application == "Dial"]
    assert dialled == [
        "${FILTER(A-Za-z0-9@/+_.\\x2d,${CUT(VIGIE_WHO,|,1)})},${FILTER(0-9,${CUT(VIGIE_WHO,|,2)})},gimU(vigie-confirm)"
    ]
    written = [arguments for _, arguments in instructions if re.match(r"_*VIGIE_WHO=|DB\(", arguments)]
    assert [text.partition("=")[0] for text in written] == ["VIGIE_WHO", "DB(${ARG1}/${VIGIE_CALL})"]
    assert set(re.findall(r"facts,1\((.*?)\)", dialplan)) == {"vigie-begun", "vigie-calls"}
    assert written[0] == "VIGIE_WHO=${DB(vigie-who/${VIGIE_LINE}/${VIGIE_N})}"


def test_what_the_caller_sends_is_filtered_before_it_is_used() -> None:
    dialplan = configuration(CARRIER)["extensions.conf"]
    raw = [line for line in dialplan.splitlines() if "${EXTEN}" in line or "${CALLERID(num)}" in line]
    assert len(raw) == 6
    filtered = r"\$\{FILTER\((\+0-9|!-~|A-Za-z0-9\+\._\\x2d),\$\{(EXTEN|CALLERID\(num\))\}\)\}"
    assert all(re.search(filtered, line) for line in raw)
    headers = [line for line in dialplan.splitlines() if "PJSIP_HEADER(" in line or "local_uri" in line]
    diversions = [line for line in headers if "Set(VIGIE_VIA=${FILTER(0-9:@,${PJSIP_HEADER(" in line]
    assert len(headers) == 1 + len(diversions) == 2, (
        "what stands in headers is filtered, or read into variables of which only filtered parts are used"
    )
    parsed = re.findall(r"\$\{FILTER\(\+0-9,\$\{PJSIP_PARSE_URI_FROM\((\w+),user\)\}\)\}", dialplan)
    assert parsed == ["VIGIE_TO", "VIGIE_PARTY"]
    assert "CALLERID(name)}" not in dialplan


def test_the_fallback_is_reached_on_this_machine_with_a_password_of_this_installation() -> None:
    dialplan = configuration(CARRIER, settings=Settings(agi_port=4999))["extensions.conf"]
    assert f"AGI(agi://127.0.0.1:4999,{SECRETS.agi_password})" in dialplan


def test_nobody_is_let_in_without_a_name_and_nobody_transfers() -> None:
    config = configuration(CARRIER, ACCOUNT, phones=["alice"])
    assert "identifier_anonymous" not in config["modules.conf"]
    assert "app_originate" not in config["modules.conf"]
    assert "app_system" not in config["modules.conf"]
    assert sections(config["pjsip.conf"], "vigie-party")["endpoint"]["allow_transfer"] == "no"


def test_modules_that_must_run_are_those_that_are_loaded() -> None:
    modules = required_modules(configuration())
    assert {"chan_pjsip.so", "app_stasis_broadcast.so", "res_ari_events.so"} <= set(modules)
    assert all(module.endswith(".so") for module in modules)


def test_the_public_address_is_told_only_when_there_is_one() -> None:
    assert "external_media_address" not in configuration()["pjsip.conf"]
    settings = Settings(sip_bind=SocketAddress("0.0.0.0", 5060), sip_public_address="198.51.100.7")
    assert "external_media_address = 198.51.100.7" in configuration(settings=settings)["pjsip.conf"]


@pytest.mark.parametrize("host", ["192.0.2.1\nmatch = 0.0.0.0/0", "192.0.2.1\r", "a\x00b"])
def test_a_value_cannot_write_lines_of_its_own(host: str) -> None:
    with pytest.raises(StackError, match="cannot be written"):
        configuration(TrunkAccount("carrier", host))


def test_the_same_arguments_give_the_same_text(tmp_path: Path) -> None:
    settings = Settings(state_dir=tmp_path)
    assert configuration(CARRIER, phones=["bob", "alice"], settings=settings) == configuration(
        CARRIER, phones=["alice", "bob"], settings=settings
    )
