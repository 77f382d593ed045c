"""Reading a site file whole, with every mistake in it named by its line."""

from collections.abc import Iterable
from difflib import get_close_matches
from itertools import chain
from typing import Any, Final

from pydantic import BaseModel, ValidationError

from vigie.site import schema
from vigie.site.canonical import canonical
from vigie.site.document import Document, Path
from vigie.site.errors import BadSite, Problem
from vigie.site.rules import check_rules
from vigie.site.schema import Site

KEYS: Final = sorted(
    {
        field.alias or name
        for model in vars(schema).values()
        if isinstance(model, type) and issubclass(model, BaseModel)
        for name, field in model.model_fields.items()
    }
)


def check(text: str, region: str = "FR") -> list[Problem]:
    """All mistakes of a site file, in the order of its lines; empty when it can be imported.

    National telephone numbers are those of ``region`` (ISO 3166).
    """
    try:
        read_site(text, region)
    except BadSite as error:
        return list(error.problems)
    return []


def read_site(text: str, region: str = "FR") -> Site:
    """The site that ``text`` describes, with all defaults filled in. Raises BadSite with every mistake."""
    document = Document.parse(text)
    if not document.problems and not isinstance(document.data, dict):
        document.problem((), f"must begin with one of the sections {', '.join(Site.model_fields)}")
    if isinstance(document.data, dict):
        site = _validate(document, region)
        check_rules(document, region)
        if site and not document.problems:
            return canonical(site)
    raise BadSite(sorted(set(document.problems)))


def _validate(document: Document, region: str) -> Site | None:
    try:
        return Site.model_validate(document.data, context={"region": region})
    except ValidationError as error:
        for item in error.errors(include_url=False):
            if item["type"] == "too_short" and item["input"]:
                continue  # pydantic counts good items only, and has named the bad ones
            path = _path_in(document.data, item["loc"])
            document.problem(path, _reason(item["type"], item["msg"], item["loc"], item["input"]))
        return None


def _path_in(data: Any, location: Iterable[str | int]) -> Path:
    """A location of pydantic's without what is not in the file: ``[key]`` marks and branches of a union."""
    path: Path = ()
    for part, following in zip(location, chain(tuple(location)[1:], [None]), strict=True):
        inside = part in data if isinstance(data, dict) else isinstance(data, list) and isinstance(part, int)
        if inside:
            data = data[part]
            path = (*path, part)
        elif following is None and part != "[key]" and isinstance(data, dict):
            path = (*path, part)
    return path


def _reason(kind: str, said: str, location: tuple[str | int, ...], given: Any) -> str:
    match kind:
        case "missing":
            return "is missing"
        case "extra_forbidden":
            known = KEYS if len(location) > 1 else Site.model_fields
            meant = get_close_matches(str(location[-1]), known, n=1)
            return f"is not known here{f': did you mean {meant[0]}?' if meant else ''}"
        case "model_type" | "model_attributes_type" | "dict_type":
            return "must have keys and values below it"
        case "tuple_type":
            return "must be a list"
        case "string_type":
            return "is empty" if given is None else "must be a text"
        case "string_too_short":
            return "is empty"
        case "too_short":
            return "must list at least one"
        case _:
            return said.removeprefix("Value error, ")
