"""Where this installation's database and Asterisk are reached, whether our own or somebody else's."""

from vigie.secrets import Secrets
from vigie.settings import Settings

ARI_USER = "vigie"


def database_url(settings: Settings) -> str:
    """The URL of the database in force."""
    if settings.database_url is not None:
        return settings.database_url
    from vigie.stack.postgres import PrivateCluster

    return PrivateCluster(settings.state_dir / "postgres").url


def ari_urls(settings: Settings, secrets: Secrets) -> tuple[str, ...]:
    """``http://user:password@host:port/ari`` of each Asterisk of the site."""
    own = f"http://{ARI_USER}:{secrets.ari_password}@127.0.0.1:{settings.ari_port}/ari"
    return settings.ari_urls or (own,)
