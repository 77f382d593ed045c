"""One key is kept; every password derives from it."""

import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from vigie.errors import SettingsError
from vigie.secrets import Secrets, load_secrets
from vigie.settings import Settings


def test_the_key_is_made_once_and_for_us_alone(tmp_path: Path) -> None:
    settings = Settings(state_dir=tmp_path / "state")
    first = load_secrets(settings)
    file = tmp_path / "state" / "secrets.json"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert load_secrets(settings) == first
    assert [entry.name for entry in file.parent.iterdir()] == ["secrets.json"]


def test_processes_that_start_together_agree_on_the_key(tmp_path: Path) -> None:
    settings = Settings(state_dir=tmp_path)
    with ThreadPoolExecutor(8) as pool:
        found = set(pool.map(lambda _: load_secrets(settings), range(32)))
    assert len(found) == 1


def test_a_given_key_is_not_written_anywhere(tmp_path: Path) -> None:
    load_secrets(Settings(state_dir=tmp_path, secret_key="k" * 40))
    assert not list(tmp_path.iterdir())


def test_each_phone_has_a_password_of_its_own_that_can_be_said_again() -> None:
    secrets = Secrets("k" * 40)
    passwords = {secrets.sip_password("alice"), secrets.sip_password("bob"), secrets.ari_password}
    assert len(passwords) == 3
    assert secrets.sip_password("alice") == Secrets("k" * 40).sip_password("alice")
    assert secrets.sip_password("alice") != Secrets("l" * 40).sip_password("alice")
    assert all(len(password) == 24 for password in passwords)


@pytest.mark.parametrize("content", ["", "{}", "[]", "not json", '{"key": null}'])
def test_a_damaged_key_file_is_named(tmp_path: Path, content: str) -> None:
    (tmp_path / "secrets.json").write_text(content)
    with pytest.raises(SettingsError, match=r"secrets\.json"):
        load_secrets(Settings(state_dir=tmp_path))
