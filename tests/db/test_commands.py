"""The commands that read and write the database, as an administrator types them."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from datetime import UTC, date, datetime, time
from importlib.resources import files
from pathlib import Path
from typing import Any

import psycopg
import pytest
from sqlalchemy import make_url
from sqlalchemy.ext.asyncio import AsyncEngine
from typer.testing import CliRunner, Result

from db.engine import make_engine
from db.errors import AccessDenied, BadRow, NotMigrated, TooNew, Unreachable
from db.migrations import upgrade
from db.records import Record
from db.voicemails import store_voicemail
from oncall.outcomes import EventKind, Outcome
from tests.support.database import administer, url_of
from tests.support.history import StoryTeller, write
from tests.support.post import given_outbox_rows
from vigie.checks import Finding, Verdict, examine
from vigie.cli import command_line
from vigie.errors import SettingsError, VigieError
from vigie.settings import Settings
from vigie.stack.postgres import PrivateCluster

EXAMPLE = files("vigie.site").joinpath("example.yaml").read_text()

Vigie = Callable[..., Result]


@asynccontextmanager
async def connected(url: str) -> AsyncIterator[AsyncEngine]:
    engine = make_engine(url)
    yield engine
    await engine.dispose()


def happened(url: str, records: Iterable[Record]) -> None:
    async def store() -> None:
        async with connected(url) as engine:
            await write(engine, records)

    asyncio.run(store())


@pytest.fixture
def vigie(database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Vigie:
    """``vigie("calls", "--json")`` gives what the command printed."""
    monkeypatch.setenv("VIGIE_DATABASE_URL", database_url)
    monkeypatch.setenv("VIGIE_STATE_DIR", str(tmp_path / "state"))

    def run(command: str, *arguments: str | Path) -> Result:
        return CliRunner().invoke(command_line([command]), [command, *map(str, arguments)])

    return run


@pytest.fixture
def site_file(tmp_path: Path) -> Path:
    file = tmp_path / "site.yaml"
    file.write_text(EXAMPLE)
    return file


def printed(result: Result) -> str:
    assert result.exit_code == 0, result.output
    return result.output


def words(result: Result) -> str:
    """What was printed, whatever the columns of its tables."""
    return " ".join(printed(result).split())


def test_a_good_site_file_tells_the_longest_wait(vigie: Vigie, site_file: Path) -> None:
    # Alice 20 + 25 s and Bob 20 + 20 s of ringing; 15 s to press 1 where asked; Carol is cut at 40 s.
    assert printed(vigie("site", "check", site_file)).splitlines()[-1] == (
        "Line support: the caller is led to voicemail after 1:50 min at worst."
    )


def test_a_bad_site_file_changes_nothing(vigie: Vigie, site_file: Path) -> None:
    site_file.write_text(EXAMPLE.replace("supervisors: [carol]", "supervisors: [karl]"))
    result = vigie("site", "import", site_file)
    line = EXAMPLE[: EXAMPLE.index("supervisors: [carol]")].count("\n") + 1
    assert result.exit_code == 1
    assert f"{site_file}:{line}: lines.support.supervisors.0: no person is called 'karl'" in result.output
    assert "people" not in printed(vigie("site", "export"))


def test_a_file_that_is_no_text_is_refused(vigie: Vigie, site_file: Path) -> None:
    site_file.write_bytes(b"people:\n  ren\xe9:\n")
    assert ":2: this is not UTF-8 text" in vigie("site", "check", site_file).output


def test_a_site_is_imported_once_and_exported_as_it_was(vigie: Vigie, site_file: Path, tmp_path: Path) -> None:
    assert "created line support" in printed(vigie("site", "import", site_file))
    exported = tmp_path / "exported.yaml"
    printed(vigie("site", "export", exported))
    assert "Nothing to change." in printed(vigie("site", "import", exported))
    assert json.loads(printed(vigie("site", "import", site_file, "--json")))["changes"] == []


def test_who_rings_is_told_with_the_reason(vigie: Vigie, site_file: Path) -> None:
    printed(vigie("site", "import", site_file))
    told = words(vigie("who", "support", "--at", "2026-11-23T03:12"))
    assert "Support, 2026-11-23 03:12:00 (Europe/Paris)" in told
    assert "Bob Durand" in told
    assert "d'astreinte selon « Astreinte support », rotation « semaine »" in told
    assert "sip carol (20 s)" in told
    plan = json.loads(printed(vigie("who", "support", "--at", "2026-11-23T09:00", "--json")))["plan"]
    assert plan["steps"][0]["candidates"][0]["person"]["name"] == "Alice Martin"


def test_an_unknown_line_is_named_with_those_there_are(vigie: Vigie, site_file: Path) -> None:
    printed(vigie("site", "import", site_file))
    error = vigie("who", "sales").exception
    assert isinstance(error, VigieError)
    assert "The lines are: support" in str(error)


def test_calls_are_listed_with_their_outcome(vigie: Vigie, database_url: str) -> None:
    happened(database_url, [*StoryTeller().whole(), *StoryTeller(caller=None).whole(Outcome.ABANDONED)[:-1]])
    told = words(vigie("calls"))
    assert "+33612345678 answered Alice 0:08" in told
    assert "withheld in progress" in told
    assert {call["outcome"] for call in json.loads(printed(vigie("calls", "--json")))} == {"answered", None}


def test_a_call_tells_its_story(vigie: Vigie, database_url: str) -> None:
    story = StoryTeller()
    refused = story.event(EventKind.LEG_ENDED, who="Alice", reason="busy")
    happened(database_url, [story.opened(), refused, story.closed(Outcome.ABANDONED)])
    told = words(vigie("calls", "--id", str(story.id)[:8]))
    assert "+33612345678 to Support, 2026-11-23 04:12:00: abandoned" in told
    assert "1.000 Alice leg ended busy 200 16" in told
    timeline = json.loads(printed(vigie("calls", "--id", str(story.id), "--json")))["timeline"]
    assert timeline == [{"seconds": 1.0, "who": "Alice", "what": "leg_ended", "why": "busy", "q850": 16, "sip": 200}]


def test_before_the_first_call_there_is_none(vigie: Vigie) -> None:
    assert printed(vigie("calls")) == printed(vigie("voicemails")) == printed(vigie("outbox")) == "None yet.\n"


def test_an_unknown_call_is_refused(vigie: Vigie) -> None:
    assert "No call has an id that begins with 4711" in str(vigie("calls", "--id", "4711").exception)


def test_messages_are_listed_and_saved(vigie: Vigie, database_url: str, tmp_path: Path) -> None:
    story = StoryTeller(caller="../+33 6")
    happened(database_url, [story.opened(), story.closed(Outcome.VOICEMAIL)])

    async def store() -> None:
        async with connected(database_url) as engine:
            await store_voicemail(engine, story.id, b"RIFF", 65_000, silent=True)

    asyncio.run(store())
    told = printed(vigie("voicemails", "--save", tmp_path / "saved"))
    assert "1:05" in told
    assert "silent" in told
    (file,) = (tmp_path / "saved").iterdir()
    assert file.name == f"2026-11-23_04-12-01_+336_{str(story.id)[:8]}.wav"
    assert file.read_bytes() == b"RIFF"
    (message,) = json.loads(printed(vigie("voicemails", "--json")))
    assert message["seconds"] == 65.0


def given_mails(url: str, **values: Any) -> list[str]:
    async def store() -> list[str]:
        async with connected(url) as engine:
            return [str(key) for key in await given_outbox_rows(engine, 2, **values)]

    return asyncio.run(store())


def mails(vigie: Vigie, *options: str) -> dict[str, Any]:
    return {mail["id"]: mail for mail in json.loads(printed(vigie("outbox", "--json", *options)))}


def test_mails_are_listed_with_what_became_of_them(vigie: Vigie, database_url: str) -> None:
    call = str(StoryTeller().id)
    refused = given_mails(
        database_url, state="failed", last_error="550 no such user", template="voicemail", payload={"call_id": call}
    )
    waiting = given_mails(database_url)
    assert mails(vigie).keys() == {*refused, *waiting}
    assert mails(vigie, "--failed").keys() == {*refused}
    told = words(vigie("outbox", "--failed"))
    assert f"carol@example.org voicemail {call[:8]} failed 0 550 no such user" in told


def test_mails_that_were_refused_are_sent_again_one_or_all(vigie: Vigie, database_url: str) -> None:
    one, other = given_mails(database_url, state="failed", attempts=12)
    assert "1 mail will be sent again" in printed(vigie("outbox", "--retry", one[:12]))
    assert (mails(vigie)[one]["state"], mails(vigie)[one]["attempts"]) == ("pending", 0)
    assert mails(vigie)[other]["state"] == "failed"
    assert json.loads(printed(vigie("outbox", "--retry-failed", "--json"))) == {"due_again": 1}
    assert mails(vigie, "--failed") == {}


def test_a_mail_that_was_sent_is_not_sent_again(vigie: Vigie, database_url: str) -> None:
    sent, _ = given_mails(database_url, state="sent", sent_at=datetime.now(UTC))
    assert f"Mail {sent} to carol@example.org is sent" in str(vigie("outbox", "--retry", sent).exception)
    assert "No mail has an id that begins with zzz" in str(vigie("outbox", "--retry", "ZZZ").exception)


def test_a_server_of_our_own_is_started_for_the_time_of_a_command(
    vigie: Vigie, site_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("VIGIE_DATABASE_URL")
    assert "created line support" in printed(vigie("site", "import", site_file))
    assert not PrivateCluster(tmp_path / "state" / "postgres").is_running()
    assert "Bob Durand" in printed(vigie("who", "support", "--at", "2026-11-23T03:12"))


URLS: dict[str, tuple[Callable[[PrivateCluster], str], type[Exception], str]] = {
    "no URL at all": (lambda _: "my database", SettingsError, "must look like postgresql://"),
    "another database": (lambda _: "mysql://root@localhost/vigie", SettingsError, "begins with mysql://"),
    "no name": (lambda _: "postgresql://vigie@localhost", SettingsError, "names no database"),
    "nobody there": (lambda _: "postgresql://vigie@127.0.0.1:1/vigie", Unreachable, "refused"),
    "no such host": (lambda _: "postgresql://vigie@nowhere.invalid/vigie", Unreachable, "nowhere.invalid"),
    "no such database": (lambda cluster: url_of(cluster, "nothing"), AccessDenied, "does not exist"),
    "no such user": (lambda cluster: cluster.url.replace("://vigie@", "://eve@"), AccessDenied, "eve"),
    "no tables": (lambda cluster: url_of(cluster, "template1"), NotMigrated, "vigie db upgrade"),
}


@pytest.mark.parametrize("what", URLS)
def test_a_wrong_database_url_is_told_in_a_sentence(
    what: str, vigie: Vigie, cluster: PrivateCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    url, kind, said = URLS[what]
    monkeypatch.setenv("VIGIE_DATABASE_URL", url(cluster))
    error = vigie("calls").exception
    assert isinstance(error, kind)
    assert said in str(error)


def test_a_database_of_a_later_version_is_left_alone(vigie: Vigie, database_url: str) -> None:
    with psycopg.connect(database_url) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    assert isinstance(vigie("calls").exception, TooNew)


def test_a_user_who_may_not_make_tables_is_told(cluster: PrivateCluster, empty_database_url: str) -> None:
    administer(cluster, "DROP ROLE IF EXISTS guest")
    administer(cluster, "CREATE ROLE guest")
    administer(
        cluster, f"ALTER ROLE CURRENT_USER IN DATABASE {make_url(empty_database_url).database} SET role = 'guest'"
    )
    with pytest.raises(AccessDenied, match="permission denied"):
        upgrade(empty_database_url)


INFINITE = """
ALTER TABLE absence DROP CONSTRAINT absence_years_check;
INSERT INTO absence (person_id, starts_at, ends_at) SELECT id, now(), 'infinity' FROM person WHERE slug = 'bob'
"""
BAD_ROWS = {
    "infinity": (INFINITE, "timestamp too large"),
    "a zone": ("UPDATE schedule SET zone = 'Europe/Paname'", "Europe/Paname"),
    "a name": (
        "ALTER TABLE person DROP CONSTRAINT person_name_form_check; UPDATE person SET name = '' WHERE slug = 'bob'",
        "at least 1 character",
    ),
}


@pytest.mark.parametrize("what", BAD_ROWS)
def test_a_row_that_makes_no_sense_is_told_in_a_sentence(
    vigie: Vigie, database_url: str, site_file: Path, what: str
) -> None:
    printed(vigie("site", "import", site_file))
    row, said = BAD_ROWS[what]
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute(row.encode())
    printed(vigie("who", "support"))
    for arguments in (["site", "export"], ["site", "import", site_file]):
        result = vigie(*arguments)
        assert isinstance(result.exception, BadRow)
        assert said in str(result.exception)


def test_the_doctor_names_a_row_that_makes_no_sense(
    vigie: Vigie, database_url: str, site_file: Path, tmp_path: Path
) -> None:
    settings = Settings(
        state_dir=tmp_path,
        database_url=database_url,
        ari_urls=("http://a:b@127.0.0.1:1/ari",),
        smtp_url="smtp://[::1]:1",
    )

    def found() -> Finding:
        return next(finding for finding in asyncio.run(examine(settings)) if finding.subject == "rota")

    printed(vigie("site", "import", site_file))
    assert found().verdict is Verdict.GOOD
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("UPDATE schedule SET zone = 'Europe/Paname' WHERE slug = 'support'")
    assert found().verdict is Verdict.BAD
    assert found().detail.startswith("Schedule support: the rotation {")
    assert "'Europe/Paname' is not an IANA time zone" in found().detail


def test_the_migration_mends_rows_that_make_no_sense(empty_database_url: str, caplog: pytest.LogCaptureFixture) -> None:
    upgrade(empty_database_url, "0002")
    with psycopg.connect(empty_database_url, autocommit=True) as connection:
        connection.execute(NONSENSE.encode())
        caplog.clear()
        upgrade(empty_database_url)
        assert [record.message.partition(" ")[0] for record in caplog.records if record.levelname == "WARNING"] == [
            *("absence", "absence", "absence"),
            *("override", "override"),
            *("rotation", "rotation", "rotation"),
            *("rotation", "rotation", "rotation"),
        ]
        for query, expected in MENDED.items():
            assert connection.execute(query.encode()).fetchall() == expected


def test_the_migration_makes_names_one_line_and_says_so(
    empty_database_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    upgrade(empty_database_url, "0005")
    with psycopg.connect(empty_database_url, autocommit=True) as connection:
        for slug, name in (
            ("a", "Alice Martin"),
            ("b", "Bob\n"),
            ("c", " \u202eC\u2028 D\t"),
            ("d", "\n"),
            ("e", "é" * 200),
        ):
            connection.execute("INSERT INTO person (slug, name, language) VALUES (%s, %s, 'fr')", (slug, name))
        caplog.clear()
        upgrade(empty_database_url)
        names = connection.execute("SELECT name FROM person ORDER BY slug").fetchall()
    assert [name for (name,) in names] == ["Alice Martin", "Bob", "C D", "person 4", "é" * 100]
    said = [record.message for record in caplog.records if record.levelname == "WARNING"]
    assert said[0].startswith("person 2 is now named 'Bob'")
    assert len(said) == 4


NONSENSE = """
INSERT INTO person (slug, name, language) VALUES ('alice', 'Alice', 'fr');
INSERT INTO schedule (slug, name, zone) VALUES ('one', 'One', 'Europe/Paris');
INSERT INTO absence (person_id, starts_at, ends_at) VALUES
    (1, '2026-01-01 00:00+00', 'infinity'), (1, '2026-01-01 00:00+00', '12000-01-01'),
    (1, '4000-01-01 BC', '3000-01-01 BC');
INSERT INTO override (schedule_id, person_id, starts_at, ends_at) VALUES
    (1, 1, '2026-01-01 00:00+00', 'infinity'), (1, 1, '-infinity', '1800-01-01');
INSERT INTO rotation (schedule_id, layer, name, starts, handover, length, unit) VALUES
    (1, 0, 'late', '2026-01-05', '24:00', 1, 'weeks'), (1, 1, 'never', 'infinity', '08:00', 1, 'weeks'),
    (1, 2, 'old', '0044-03-15 BC', '08:00', 1, 'weeks');
INSERT INTO rotation_window (rotation_id, position, weekdays, starts, ends) VALUES
    (1, 1, '{{0,1},{2,3}}', '08:00', '18:00'), (1, 2, '{0}', '08:00', '24:00'), (1, 3, '{0,6}', '24:00', '06:00');
"""
LAST = datetime(2200, 1, 2, tzinfo=UTC)
MENDED = {
    "SELECT starts_at, ends_at FROM absence": [(datetime(2026, 1, 1, tzinfo=UTC), LAST)],
    "SELECT starts_at, ends_at FROM override": [(datetime(2026, 1, 1, tzinfo=UTC), LAST)],
    "SELECT starts, handover FROM rotation ORDER BY id": [
        (date(2026, 1, 6), time()),
        (date(2200, 1, 2), time(8)),
        (date(1969, 12, 31), time(8)),
    ],
    "SELECT weekdays, starts, ends FROM rotation_window ORDER BY id": [
        ([0, 1, 2, 3], time(8), time(18)),
        ([0], time(8), time()),
        ([1, 0], time(), time(6)),
    ],
}
