"""Imports go one way (see README, "Where things are")."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MAY_IMPORT = {
    "lasting": set(),
    "oncall": set(),
    "voice": {"oncall"},
    "db": {"lasting", "oncall"},
    "notify": {"lasting", "oncall", "db"},
    "ari_app.ari": {"lasting"},
    "ari_app": {"lasting", "oncall", "voice", "db", "notify", "ari_app.ari"},
    "scheduler": {"lasting", "oncall", "db", "notify"},
    "agi_scripts": {"lasting", "oncall", "voice", "db", "notify"},
    "vigie": {"lasting", "oncall", "voice", "db", "notify", "ari_app", "ari_app.ari", "scheduler", "agi_scripts"},
    "lab": {
        "lasting",
        "oncall",
        "voice",
        "db",
        "notify",
        "ari_app",
        "ari_app.ari",
        "scheduler",
        "agi_scripts",
        "vigie",
    },
}
OURS = {package.partition(".")[0] for package in MAY_IMPORT} | {"tests"}


def layer(module: str) -> str:
    return "ari_app.ari" if f"{module}.".startswith("ari_app.ari.") else module.partition(".")[0]


def imports(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            names.add(node.module)
    return names


FILES = sorted(path for package in OURS - {"tests"} for path in (ROOT / package).rglob("*.py"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_layer_imports_only_the_layers_below(path: Path) -> None:
    module = ".".join(path.relative_to(ROOT).with_suffix("").parts)
    here = layer(module)
    allowed = MAY_IMPORT[here] | {here}
    wrong = {name for name in imports(path) if name.partition(".")[0] in OURS and layer(name) not in allowed}
    assert not wrong, f"{module} may import only {sorted(allowed)}"
