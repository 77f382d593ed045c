"""Why somebody is, or is not, rung: a few words for the journal, French or English."""

from oncall.plan import Person
from oncall.rotation import Shift


def on_call(shift: Shift, schedule: str, language: str) -> str:
    if shift.layer is not None:
        if language == "fr":
            return f"d'astreinte selon « {schedule} », rotation « {shift.name} »"
        return f"on call in “{schedule}”, rotation “{shift.name}”"
    why = f" ({shift.name})" if shift.name else ""
    if language == "fr":
        return f"remplacement dans « {schedule} »{why}"
    return f"override in “{schedule}”{why}"


def named(language: str) -> str:
    return "désigné par le scénario" if language == "fr" else "named by the policy"


def supervisor(language: str) -> str:
    return "superviseur de la ligne" if language == "fr" else "supervisor of the line"


def no_phone(person: Person, language: str) -> str:
    return f"{person.name} (aucun téléphone)" if language == "fr" else f"{person.name} (no phone)"


def no_supervisor(language: str) -> str:
    return "aucun superviseur" if language == "fr" else "no supervisor"


def on_the_line(language: str) -> str:
    return "déjà en ligne" if language == "fr" else "on the line already"
