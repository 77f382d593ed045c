"""A site as the text of a site file, which reads back as the same site."""

from typing import Any

import yaml

from vigie.site.schema import Site


def export_site(site: Site) -> str:
    """The site file of ``site``, without what is as it would be by default."""
    return yaml.dump(as_document(site), Dumper=yaml.CSafeDumper, allow_unicode=True, sort_keys=False, width=110)


def as_document(site: Site) -> dict[str, Any]:
    """``site`` as plain data, in the form of a site file."""
    document: dict[str, Any] = site.model_dump(mode="json", by_alias=True, exclude_defaults=True)
    return {"zone": site.zone, **document}
