"""A site file is checked whole: each kind of mistake is named, with its line."""

from dataclasses import dataclass
from importlib.resources import files

import pytest

from vigie.site.check import check, read_site
from vigie.site.errors import BadSite

EXAMPLE = files("vigie.site").joinpath("example.yaml").read_text()


@dataclass(frozen=True)
class Mistake:
    """The example with ``old`` replaced by ``new`` has one problem: ``reason``, on the line that has ``where``."""

    old: str
    new: str
    where: str
    reason: str


MISTAKES = {
    # YAML
    "not YAML": Mistake("name: Bob Durand", 'name: "Bob" Durand', '"Bob"', "not YAML"),
    "tabs": Mistake("    name: Bob", "\tname: Bob", "name: Bob", "not YAML"),
    "a key written twice": Mistake("name: Bob Durand", "name: Bob\n    name: Bob Durand", "name: Bob Durand", "twice"),
    "an alias": Mistake("handover: 08:00", "handover: *handover", "handover: *", "anchors and aliases"),
    "a control character": Mistake("Bob Durand", "Bob \x07", "Bob", "U+0007"),
    "a NUL": Mistake(
        "name: Bob Durand", 'name: "Bob\\0Durand"', 'name: "Bob', "the character U+0000 may not stand here"
    ),
    "half an emoji": Mistake("name: Bob Durand", 'name: "Bob \\ud83d"', 'name: "Bob', "invalid Unicode character"),
    "a name on two lines": Mistake("name: Bob Durand", 'name: "Bob\\nDurand"', 'name: "Bob', "must be one line"),
    "a name that turns what follows": Mistake("name: Bob Durand", 'name: "Bob \\u202e"', 'name: "Bob', "U+202E"),
    "a name of blanks": Mistake("name: Bob Durand", 'name: "  \\n"', 'name: "', "is empty"),
    "an address with what nobody sees": Mistake(
        "email: alice@example.org", 'email: "\\u200balice@example.org"', 'email: "', "U+200B"
    ),
    # Keys and types
    "an unknown section": Mistake("policies:\n", "policys:\n", "policys", "did you mean policies?"),
    "a misspelt key": Mistake("ring_seconds:", "ring_secs:", "ring_secs", "did you mean ring_seconds?"),
    "a key left out": Mistake("    name: Bob Durand\n", "", "bob:", "is missing"),
    "an empty value": Mistake("name: Bob Durand", "name:", "    name:\n", "is empty"),
    "a text for a list": Mistake("people: [alice, bob]", "people: alice", "people: alice", "must be a list"),
    "a list for a text": Mistake("name: Bob Durand", "name: [Bob]", "[Bob]", "must be a text"),
    "a text for a section": Mistake("\nlines:\n", "\nlines: none\n_:\n", "lines: none", "keys and values below it"),
    "a word for a number of seconds": Mistake(
        "ring_seconds: 25", "ring_seconds: long", "ring_seconds: long", "valid integer"
    ),
    "neither yes nor no": Mistake("confirm: false", "confirm: perhaps", "perhaps", "valid boolean"),
    # Forms
    "a bad short name": Mistake("  carrier:", "  Our Carrier:", "Our Carrier", "short name"),
    "a number too short": Mistake("06 39 98 00 01", "06 39 98", "06 39 98 #", "too short"),
    "an extension and no PBX": Mistake("06 39 98 00 01", "7118", "7118", "is an extension, and no trunk is a PBX"),
    "an emergency number": Mistake("06 39 98 00 01", "112", "phone: 112", "emergency number"),
    "an extension shown outside": Mistake(
        'numbers: ["+33 1 99 00 12 34"]', "numbers: [7100]", "numbers: [7100]", "which one is shown"
    ),
    "an SMS to an extension": Mistake("phone: 06 39 98 00 01", "sms: 7118", "sms: 7118", "too short"),
    "a prefix before a plus": Mistake(
        "    host: 127.0.0.2\n", '    host: 127.0.0.2\n    prefix: "0"\n', "  carrier:", "another number_form"
    ),
    "no number at all": Mistake("06 39 98 00 01", "her mobile", "her mobile", "not a telephone number"),
    "a country that is not": Mistake("+33 1 99 00 12 34", "+999 1 99 00 12 34", "+999", "telephone number"),
    "a bad e-mail address": Mistake("email: alice@example.org", "email: alice", "email: alice", "e-mail address"),
    "a bad SIP user": Mistake("sip: alice", "sip: alice martin", "sip: alice martin", "SIP user name"),
    "a SIP user like a trunk": Mistake("sip: alice", "sip: trunk-carrier", "sip: trunk", "the trunks'"),
    "an unknown language": Mistake("language: fr ", "language: de ", "language: de", "'fr' or 'en'"),
    "an unknown zone": Mistake("zone: Europe/Paris ", "zone: Europe/Lyon ", "Europe/Lyon", "not a time zone"),
    "a bad time of day": Mistake("handover: 08:00", "handover: 8h", "handover: 8h", "not a time of day"),
    "a bad date": Mistake("starts: 2026-01-05", "starts: 2026-02-30", "02-30", "not a date"),
    "a bad length of turn": Mistake("every: 1 week", "every: fortnight", "fortnight", "not a length"),
    "bad weekdays": Mistake(
        "every: 1 week",
        "windows: [{days: lun-ven, from: 18:00, until: 08:00}]\n        every: 1 week",
        "lun-ven",
        "not weekdays",
    ),
    "a bad host": Mistake("host: 127.0.0.2", "host: sip:carrier", "sip:carrier", "host name"),
    # Bounds
    "ringing for too long": Mistake("ring_seconds: 25", "ring_seconds: 500", "500", "less than or equal to 120"),
    "no round": Mistake("rounds: 1", "rounds: 0", "rounds: 0", "greater than or equal to 1"),
    "an endless hunt": Mistake("max_hunt_seconds: 180", "max_hunt_seconds: 9999", "9999", "equal to 1800"),
    "a port that is not": Mistake("port: 5060", "port: 99999", "99999", "65535"),
    "a message shorter than its least": Mistake(
        "      max_seconds: 180", "      max_seconds: 1", "max_seconds: 1\n", "equal to 10"
    ),
    "nobody in a rotation": Mistake("people: [alice, bob]", "people: []", "people: []", "at least one"),
    "a line without numbers": Mistake('["+33 1 99 00 12 34"]', "[]", "numbers: []", "at least one"),
    # One of several
    "two addresses in one": Mistake("- sip: carol", "- {sip: carol, sms: 0639980003}", "sip: carol", "exactly one"),
    "a target of two kinds": Mistake(
        "- on_call: support", "- {on_call: support, person: bob}", "support, person: bob", "exactly one"
    ),
    "an unknown target": Mistake("- supervisors", "- everybody", "- everybody", "not whom to ring"),
    "a user name without password": Mistake("port: 5060", "username: vigie", "carrier:", "go together"),
    # Names
    "an unknown person in a rotation": Mistake("[alice, bob]", "[alice, rob]", "rob", "no person is called 'rob'"),
    "an unknown person in an override": Mistake("- person: bob", "- person: rob", "rob", "no person is called"),
    "an unknown supervisor": Mistake("supervisors: [carol]", "supervisors: [karl]", "karl", "no person is called"),
    "an unknown recipient": Mistake("to: [carol,", "to: [karl,", "karl", "no person is called 'karl'"),
    "an unknown schedule": Mistake("on_call: support", "on_call: sales", "sales", "no schedule is called 'sales'"),
    "an unknown policy": Mistake("policy: standard", "policy: gold", "gold", "no policy is called 'gold'"),
    # Uniqueness
    "one number for two lines": Mistake(
        "lines:\n",
        "lines:\n  sales:\n    name: Sales\n    numbers: [0199001234]\n    policy: standard\n",
        "+33 1 99",
        "already leads to sales",
    ),
    "one SIP user for two people": Mistake(
        "- sip: bob\n", "- sip: alice\n", "- sip: alice\n", "already belongs to alice"
    ),
    "one host for two trunks": Mistake(
        "trunks:", "trunks:\n  other: {host: 127.0.0.2}\n#", "host: 127.0.0.2\n", "already is the host of other"
    ),
    "a supervisor listed twice": Mistake("[carol]", "[carol, carol]", "[carol, carol]", "listed twice"),
    "a telephone listed twice": Mistake(
        "- email: alice", "- phone: '+33639980001'\n      - email: alice", "'+33639980001'", "listed twice"
    ),
    # Sense
    "a phone that leads back to the line": Mistake(
        "phone: 06 39 98 00 02", "phone: 01 99 00 12 34", "01 99 00 12 34", "come back to us"
    ),
    "somebody on call without a phone": Mistake("[alice, bob]", "[alice, bob, dave]\n", "dave]", "cannot be rung"),
    "a recipient without e-mail": Mistake("to: [carol,", "to: [bob,", "to: [bob,", "cannot be mailed"),
    "an override that ends before it starts": Mistake(
        "until: 2026-11-29 08:00", "until: 2026-11-27 08:00", "until: 2026-11-27", "later than from"
    ),
    "an absence without length": Mistake("until: 2027-01-04", "until: 2026-12-21", "until: 2026", "later than from"),
    "a bad date and time": Mistake("from: 2026-11-28 08:00", "from: saturday", "saturday", "not a date and time"),
    "a time that the clocks skip": Mistake(
        "from: 2026-11-28 08:00", "from: 2026-03-29 02:30", "02:30", "the clocks skip it"
    ),
    "overrides that overlap": Mistake(
        "    overrides: ",
        "    overrides:\n      - {person: alice, from: 2026-11-28 20:00, until: 2026-11-30 08:00}\n#",
        "2026-11-28 20:00",
        "overlaps",
    ),
}

DAVE = "  dave: {name: Dave, contact_methods: [{email: dave@example.org}]}\n"


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_named_with_its_line(name: str) -> None:
    mistake = MISTAKES[name]
    assert mistake.old in EXAMPLE
    text = EXAMPLE.replace(mistake.old, mistake.new, 1)
    if "dave" in mistake.new:
        text = text.replace("\ntrunks:", f"{DAVE}\ntrunks:")
    problems = [str(problem) for problem in check(text)]
    at = text[: text.index(mistake.where)].count("\n") + 1
    assert any(problem.startswith(f"line {at}: ") and mistake.reason in problem for problem in problems), problems


@pytest.mark.parametrize("text", ["", "# nothing\n", "- alice\n", "hello\n"])
def test_a_file_that_is_no_site_is_refused(text: str) -> None:
    (problem,) = check(text)
    assert "must begin with one of the sections" in problem.reason


def test_all_mistakes_are_named_at_once_in_the_order_of_their_lines() -> None:
    text = EXAMPLE
    for name in ("a misspelt key", "an unknown supervisor", "a bad date", "ringing for too long", "no round"):
        text = text.replace(MISTAKES[name].old, MISTAKES[name].new, 1)
    with pytest.raises(BadSite) as caught:
        read_site(text)
    assert [problem.path.rpartition(".")[2] for problem in caught.value.problems] == [
        "ring_secs",
        "starts",
        "rounds",
        "0",
    ]


def test_the_example_has_no_mistake() -> None:
    assert check(EXAMPLE) == []


def test_text_is_taken_as_it_is_written() -> None:
    """YAML 1.1 would make other things of 18:00, of a number and of Norway."""
    site = read_site(EXAMPLE.replace("handover: 08:00", "handover: 18:00").replace("name: Bob Durand", "name: no"))
    assert site.schedules["support"].rotations[0].handover.hour == 18
    assert site.people["bob"].name == "no"
    assert site.lines["support"].numbers == ("+33199001234",)


def test_the_line_break_at_the_end_of_a_block_is_not_meant_and_words_are_told_on_one_line() -> None:
    text = EXAMPLE.replace("name: Bob Durand", "name: |\n      Bob\u00a0Durand\n")
    site = read_site(text.replace("reason: congés", "reason: |\n          en\n          congés\n"))
    assert site.people["bob"].name == "Bob Durand"
    assert site.people["alice"].absences[0].reason == "en congés"
