"""How numbers, dates, durations and outcomes are written in French and in English."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

import phonenumbers

from oncall.numbers import is_extension
from oncall.outcomes import Disposition
from oncall.plan import ContactKind
from oncall.printable import one_line

HIDDEN_CALLERS = frozenset({"", "anonymous", "private", "restricted", "unavailable", "unknown", "withheld"})
"""What trunks put in place of a number that the caller withholds."""

LONGEST_RAW_NUMBER = 32


def dialable(caller: str | None, region: str) -> str | None:
    """The caller's number in E.164 form, None where there is no number that could be called back."""
    if is_extension(caller or ""):
        return None
    try:
        number = phonenumbers.parse(caller or "", region)
    except phonenumbers.NumberParseException:
        return None
    if not phonenumbers.is_possible_number(number):
        return None
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


def _readable(caller: str, region: str) -> str:
    e164 = dialable(caller, region)
    if e164 is None:
        return one_line(caller)[:LONGEST_RAW_NUMBER]
    number = phonenumbers.parse(e164)
    home = number.country_code == phonenumbers.country_code_for_region(region)
    form = phonenumbers.PhoneNumberFormat.NATIONAL if home else phonenumbers.PhoneNumberFormat.INTERNATIONAL
    return phonenumbers.format_number(number, form)


@dataclass(frozen=True, slots=True)
class Wording:
    """One language's words. Dates must already be in the zone in which they are to be read."""

    language: str
    hidden_caller: str
    hidden_file_part: str
    weekdays: tuple[str, ...]
    months: tuple[str, ...]
    first_of_month: str
    short_form: str
    long_form: str
    kinds: Mapping[ContactKind, str]
    dispositions: Mapping[Disposition, str]
    under_way: str

    def caller(self, caller: str | None, region: str) -> str:
        """The number as people of that region write it, foreign ones in international form."""
        if caller is None or caller.strip().lower() in HIDDEN_CALLERS:
            return self.hidden_caller
        return _readable(caller, region) or self.hidden_caller

    def short_date(self, at: datetime) -> str:
        return self._dated(self.short_form, at)

    def long_date(self, at: datetime) -> str:
        return self._dated(self.long_form, at)

    def duration(self, milliseconds: int) -> str:
        """Whole seconds, never none: « 8 s », « 1 min 05 s »."""
        minutes, seconds = divmod(max(1, round(milliseconds / 1000)), 60)
        return f"{minutes} min {seconds:02} s" if minutes else f"{seconds} s"

    def ending(self, disposition: Disposition | None) -> str:
        return self.under_way if disposition is None else self.dispositions[disposition]

    def file_part(self, caller: str | None, region: str) -> str:
        """The caller in a file name: E.164 where possible, letters and digits only in any case."""
        if caller is None or caller.strip().lower() in HIDDEN_CALLERS:
            return self.hidden_file_part
        kept = re.sub(r"[^0-9A-Za-z+]", "", dialable(caller, region) or caller)[:LONGEST_RAW_NUMBER]
        return kept or self.hidden_file_part

    def _dated(self, form: str, at: datetime) -> str:
        day = self.first_of_month if at.day == 1 else str(at.day)
        return form.format(at=at, weekday=self.weekdays[at.weekday()], day=day, month=self.months[at.month - 1])


FRENCH = Wording(
    language="fr",
    hidden_caller="numéro masqué",
    hidden_file_part="masque",
    weekdays=("lundi", "mardi", "mercredi", "jeudi", "vendredi", "samedi", "dimanche"),
    months=(
        *("janvier", "février", "mars", "avril", "mai", "juin"),
        *("juillet", "août", "septembre", "octobre", "novembre", "décembre"),
    ),
    first_of_month="1er",
    short_form="{at:%d/%m/%Y %H:%M}",
    long_form="{weekday} {day} {month} {at:%Y} à {at:%H:%M}",
    kinds={
        ContactKind.SIP: "softphone",
        ContactKind.PHONE: "téléphone",
        ContactKind.EMAIL: "e-mail",
        ContactKind.SMS: "SMS",
    },
    dispositions={
        Disposition.ACCEPTED: "a pris l’appel",
        Disposition.REFUSED: "a refusé l’appel",
        Disposition.NOT_CONFIRMED: "a décroché sans appuyer sur 1 (répondeur ?)",
        Disposition.NO_ANSWER: "n’a pas répondu",
        Disposition.BUSY: "occupé",
        Disposition.UNREACHABLE: "injoignable (éteint ou hors réseau)",
        Disposition.DEAD_NUMBER: "numéro non attribué ou faux",
        Disposition.ENGAGED: "déjà en ligne avec un autre appelant",
        Disposition.WITHDRAWN: "sonnerie arrêtée avant la fin",
        Disposition.CALLER_GONE: "l’appelant a raccroché pendant la sonnerie",
        Disposition.DIVERTED_TO_US: "renvoyé vers notre propre numéro",
        Disposition.FAILED: "incident technique",
        Disposition.CUT: "interrompu par une panne",
        Disposition.SOUND_LOST: "a décroché, puis le son a été perdu",
    },
    under_way="en cours",
)

ENGLISH = Wording(
    language="en",
    hidden_caller="number withheld",
    hidden_file_part="withheld",
    weekdays=("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"),
    months=(
        *("January", "February", "March", "April", "May", "June"),
        *("July", "August", "September", "October", "November", "December"),
    ),
    first_of_month="1",
    short_form="{day} {month:.3} {at:%Y} {at:%H:%M}",
    long_form="{weekday} {day} {month} {at:%Y} at {at:%H:%M}",
    kinds={
        ContactKind.SIP: "softphone",
        ContactKind.PHONE: "telephone",
        ContactKind.EMAIL: "e-mail",
        ContactKind.SMS: "SMS",
    },
    dispositions={
        Disposition.ACCEPTED: "took the call",
        Disposition.REFUSED: "refused the call",
        Disposition.NOT_CONFIRMED: "answered without pressing 1 (voicemail?)",
        Disposition.NO_ANSWER: "did not answer",
        Disposition.BUSY: "busy",
        Disposition.UNREACHABLE: "unreachable (off or out of coverage)",
        Disposition.DEAD_NUMBER: "number not in service or wrong",
        Disposition.ENGAGED: "already talking to another caller",
        Disposition.WITHDRAWN: "stopped ringing before the end",
        Disposition.CALLER_GONE: "the caller hung up while it rang",
        Disposition.DIVERTED_TO_US: "diverted to our own number",
        Disposition.FAILED: "technical fault",
        Disposition.CUT: "interrupted by a breakdown",
        Disposition.SOUND_LOST: "answered, then the sound was lost",
    },
    under_way="under way",
)

WORDINGS: Mapping[str, Wording] = {wording.language: wording for wording in (FRENCH, ENGLISH)}


def wording_for(language: str) -> Wording:
    """The words of that language, French where we do not speak it."""
    return WORDINGS.get(language, FRENCH)
