"""Settings are read strictly: what is wrong is named, all of it at once."""

from pathlib import Path

import pytest

from vigie.errors import SettingsError
from vigie.settings import PortRange, Settings, SocketAddress, read_settings


@pytest.fixture(autouse=True)
def _no_settings_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in Settings.model_fields:
        monkeypatch.delenv(f"VIGIE_{name.upper()}", raising=False)


def test_nothing_set_gives_a_whole_system_on_loopback() -> None:
    settings = read_settings()
    assert settings.has_own_database
    assert settings.has_own_asterisk
    assert settings.sip_bind == SocketAddress("127.0.0.1", 5060)


def test_values_are_read_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VIGIE_SIP_BIND", "0.0.0.0:5070")
    monkeypatch.setenv("VIGIE_RTP_PORTS", "20000-20099")
    monkeypatch.setenv("VIGIE_ARI_URLS", "http://a:b@pbx1:8088/ari, http://a:b@pbx2:8088/ari")
    settings = read_settings()
    assert settings.sip_bind == SocketAddress("0.0.0.0", 5070)
    assert settings.rtp_ports == PortRange(20000, 20099)
    assert settings.ari_urls == ("http://a:b@pbx1:8088/ari", "http://a:b@pbx2:8088/ari")
    assert not settings.has_own_asterisk


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SIP_BIND", "5060"),
        ("SIP_BIND", "localhost:5060"),
        ("SIP_BIND", "127.0.0.1:0"),
        ("SIP_BIND", "127.0.0.1:65536"),
        ("SIP_PUBLIC_ADDRESS", "vigie.example.org"),
        ("RTP_PORTS", "10000"),
        ("RTP_PORTS", "20000-10000"),
        ("RTP_PORTS", "80-1000"),
        ("ARI_PORT", "none"),
        ("ARI_PORT", "0"),
        ("WORKERS", "0"),
        ("DRAIN_SECONDS", "-1"),
        ("LANGUAGE", "de"),
        ("REGION", "France"),
        ("ZONE", "Europe/Paname"),
        ("STATE_DIR", "var/lib/vigie"),
        ("SECRET_KEY", "too short"),
        ("DATABASE_URL", "mysql://localhost/vigie"),
        ("DATABASE_URL", "not a url"),
        ("DATABASE_URL", "postgresql://localhost"),
        ("ARI_URLS", "pbx:8088"),
        ("ARI_URLS", "http://pbx:8088/ari"),
        ("ARI_URLS", "http://a:b@pbx:port/ari"),
        ("ARI_URLS", "http://a:b@pbx:8088/ari, ftp://a:b@pbx/ari"),
        ("PUBLIC_URL", "vigie.example.org"),
    ],
)
def test_an_impossible_value_is_refused_by_name(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(f"VIGIE_{name}", value)
    with pytest.raises(SettingsError) as refusal:
        read_settings()
    assert f"VIGIE_{name}: " in refusal.value.problem


def test_an_unknown_setting_is_refused_together_with_the_wrong_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VIGIE_WORKER", "3")
    monkeypatch.setenv("VIGIE_REGION", "fr")
    with pytest.raises(SettingsError) as refusal:
        read_settings()
    assert "VIGIE_WORKER: no such setting" in refusal.value.problem
    assert "VIGIE_REGION: " in refusal.value.problem
    assert refusal.value.problem.startswith("VIGIE_WORKER: no such setting (VIGIE_WORKERS?)")
    assert "VIGIE_AGI_PORT" not in str(refusal.value), "the list of all is for those who ask"


def test_secrets_stay_out_of_the_printed_settings() -> None:
    settings = Settings(
        database_url="postgresql://u:hush@db/vigie",
        smtp_url="smtps://u:hush@mail",
        ari_urls=("http://u:hush@pbx/ari",),
        secret_key="hush" * 10,
    )
    assert "hush" not in repr(settings)


def test_another_process_gets_the_same_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    given = Settings(
        state_dir=tmp_path,
        sip_bind=SocketAddress("127.0.0.9", 5070),
        ari_urls=("http://a:b@c/ari", "http://a:b@d/ari"),
        rtp_ports=PortRange(20000, 20099),
        workers=4,
    )
    for name, value in given.to_environment().items():
        monkeypatch.setenv(name, value)
    assert read_settings() == given
