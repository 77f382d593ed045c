"""The settings of one installation, read once from the environment (``VIGIE_*``) and passed in everywhere."""

import os
import re
from dataclasses import dataclass
from difflib import get_close_matches
from ipaddress import IPv4Address
from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import SplitResult, urlsplit
from zoneinfo import ZoneInfo, available_timezones

import phonenumbers
from pydantic import Field, ValidationError, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from db.errors import WrongUrl
from db.url import parse_url
from vigie.errors import SettingsError

PREFIX = "VIGIE_"


@dataclass(frozen=True, slots=True)
class SocketAddress:
    """An IPv4 address and a port of this machine."""

    host: str
    port: int

    @classmethod
    def parse(cls, text: str) -> Self:
        host, colon, port = text.rpartition(":")
        if not colon or not port.isdecimal() or not 1 <= int(port) <= 65535:
            raise ValueError("must be ADDRESS:PORT, such as 127.0.0.1:5060")
        try:
            return cls(str(IPv4Address(host)), int(port))
        except ValueError:
            raise ValueError(f"{host!r} is not an IPv4 address") from None

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class PortRange:
    """UDP ports, both ends included; a call leg takes two (RTP and RTCP)."""

    first: int
    last: int

    @classmethod
    def parse(cls, text: str) -> Self:
        match = re.fullmatch(r"(\d{4,5})-(\d{4,5})", text)
        if not match:
            raise ValueError("must be FIRST-LAST, such as 10000-10999")
        first, last = int(match[1]), int(match[2])
        if not 1024 <= first < last <= 65535:
            raise ValueError("must go upwards within 1024-65535")
        return cls(first, last)

    def __str__(self) -> str:
        return f"{self.first}-{self.last}"


def _web_address(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        if parts.scheme in ("http", "https") and parts.hostname and parts.port != 0:
            return parts
    except ValueError:  # a port that is no number, a bracket that is not closed
        pass
    raise ValueError("must begin with http:// or https:// and name a host")


class Settings(BaseSettings):
    """Every setting, with a default that gives a whole system on this machine's loopback.

    How mail leaves is judged by those who send it: a mistake there must not keep calls from being answered.
    """

    model_config = SettingsConfigDict(env_prefix=PREFIX, env_ignore_empty=True, frozen=True, extra="forbid")

    state_dir: Path = Path("/var/lib/vigie")
    """Everything that outlives a run: secrets, private database, recordings, logs."""
    database_url: str | None = Field(default=None, repr=False)
    """``postgresql://…``; none for a private PostgreSQL cluster in the state directory."""
    ari_urls: Annotated[tuple[str, ...], NoDecode] = Field(default=(), repr=False)
    """``http://user:password@host:8088/ari``, comma-separated; none for an Asterisk of our own."""
    smtp_url: str = Field(default="smtp://127.0.0.1:25", repr=False)
    """``smtp://``, ``smtp+starttls://`` or ``smtps://``, with ``user:password@`` where needed."""
    mail_from: str = "Vigie <vigie@localhost>"
    public_url: str = "http://127.0.0.1:8080"
    """Where people reach the web pages; links in mails begin with it."""
    secret_key: str | None = Field(default=None, min_length=32, repr=False)
    """What all passwords and signatures derive from; none to have one made in the state directory."""
    sip_bind: Annotated[SocketAddress, NoDecode] = SocketAddress("127.0.0.1", 5060)
    sip_public_address: IPv4Address | None = None
    """Our address as the outside sees it, when we are behind NAT."""
    rtp_ports: Annotated[PortRange, NoDecode] = PortRange(10000, 10999)
    ari_port: Annotated[int, Field(ge=1, le=65535)] = 8088
    agi_port: Annotated[int, Field(ge=1, le=65535)] = 4573
    """Of the fallback that serves calls without workers, on 127.0.0.1."""
    workers: Annotated[int, Field(ge=1, le=64)] = 2
    drain_seconds: Annotated[float, Field(ge=0, le=3600)] = 30
    """How long a worker that is told to stop goes on with the calls it has; another takes over what is left."""
    language: Literal["fr", "en"] = "fr"
    region: str = "FR"
    """ISO 3166 country whose national numbers are understood without a prefix."""
    zone: str = "Europe/Paris"
    """IANA time zone in which times are shown."""

    @field_validator("state_dir")
    @classmethod
    def _absolute(cls, value: Path) -> Path:
        if not value.is_absolute():
            raise ValueError("must be an absolute path")
        return value

    @field_validator("database_url")
    @classmethod
    def _of_postgresql(cls, value: str | None) -> str | None:
        try:
            return value if value is None else parse_url(value) and value
        except WrongUrl as error:
            raise ValueError(str(error).rstrip(".")) from None

    @field_validator("ari_urls", mode="before")
    @classmethod
    def _split_urls(cls, value: object) -> object:
        return tuple(part.strip() for part in value.split(",")) if isinstance(value, str) else value

    @field_validator("ari_urls")
    @classmethod
    def _of_asterisks(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for url in value:
            parts = _web_address(url)
            if not parts.username or not parts.password:
                raise ValueError("each must have a user and a password, as http://user:password@host:8088/ari")
        return value

    @field_validator("public_url")
    @classmethod
    def _of_the_web(cls, value: str) -> str:
        _web_address(value)
        return value

    @field_validator("sip_bind", mode="before")
    @classmethod
    def _parse_address(cls, value: object) -> object:
        return SocketAddress.parse(value) if isinstance(value, str) else value

    @field_validator("rtp_ports", mode="before")
    @classmethod
    def _parse_ports(cls, value: object) -> object:
        return PortRange.parse(value) if isinstance(value, str) else value

    @field_validator("region")
    @classmethod
    def _known_region(cls, value: str) -> str:
        if value not in phonenumbers.SUPPORTED_REGIONS:
            raise ValueError("must be a two-letter country code in capitals, such as FR")
        return value

    @field_validator("zone")
    @classmethod
    def _known_zone(cls, value: str) -> str:
        if value not in available_timezones():
            raise ValueError("must be an IANA time zone, such as Europe/Paris")
        return value

    def to_environment(self) -> dict[str, str]:
        """The variables that give these settings to another process."""
        values = {name: getattr(self, name) for name in type(self).model_fields}
        return {
            PREFIX + name.upper(): ",".join(value) if isinstance(value, tuple) else str(value)
            for name, value in values.items()
            if value not in (None, ())
        }

    @property
    def zone_info(self) -> ZoneInfo:
        return ZoneInfo(self.zone)

    @property
    def has_own_database(self) -> bool:
        return self.database_url is None

    @property
    def has_own_asterisk(self) -> bool:
        return not self.ari_urls


def setting_names() -> list[str]:
    """The environment variables that are settings."""
    return sorted(PREFIX + name.upper() for name in Settings.model_fields)


def read_settings() -> Settings:
    """The settings in force. Raises SettingsError that names every wrong or unknown variable at once."""
    known = setting_names()
    given = sorted(name for name in os.environ if name.startswith(PREFIX))
    problems = [f"{name}: {_no_such(name, known)}" for name in given if name not in known]
    try:
        settings = Settings()
    except ValidationError as error:
        problems += [
            f"{PREFIX}{str(item['loc'][0]).upper()}: {item['msg'].removeprefix('Value error, ')}"
            for item in error.errors()
        ]
    if problems:
        raise SettingsError(f"{'; '.join(problems)}.", "`vigie --help` lists the settings; README explains them.")
    return settings


def _no_such(name: str, known: list[str]) -> str:
    alike = get_close_matches(name, known, n=1)
    return f"no such setting ({alike[0]}?)" if alike else "no such setting"
