"""What all parts of the page share: names, counts, lengths of time, the header, states and errors."""

from datetime import date

# Names
SERVED_BY = "{model} · written by {servers}"
APP = "Triptych"
NOT_KNOWN_YET = "…"
COMPARE_TAB = "Compare"
TRAINING_TAB = "Training"
NAMES = {"base": "Base", "sft": "Instruction-tuned", "rlhf": "RLHF", "imported": "Imported"}
RAW_NAME = "Raw continuation"  # of the first panel where the chat model itself stands in for its base
NAME_AND_VERSION = "{name} v{version}"

# Lengths of time
DAYS = "days"
HOURS = "h"
MINUTES = "min"
SECONDS = "s"
JUST_NOW = "just now"
AGO = "{span} ago"
YESTERDAY = "yesterday, {hour}"
MOMENT = "{time} UTC"
DAY_AND_HOUR = "{day}, {hour}"

# Header
MODEL_LOADING = "The model is loading: {seconds:.0f} s"
MODEL_FAILED = "No model answers now"
LIVE_IN_TRAINING = "v{version} live · training {progress:.0%}"
LIVE_AND_VOTES = "v{version} live · {votes}"
LIVE_AND_TO_GO = "v{version} live · {votes} to next training"

# States and errors
OFFLINE = "The connection to Triptych is lost. What you typed is kept; the page goes on by itself once it is back."
NOT_WRITTEN = (
    "The database could not be written ({error}). Make room on the disk of the data folder, or tell whoever runs this "
    "page, then try again."
)
WENT_WRONG = "something went wrong here ({error}); the app's log says more"
NO_ARGUMENT = "The argument {name!r} is missing."
SERVED_AT = "Triptych is at {address}"  # in the terminal


# Counts
def counted(number: int, one: str, many: str) -> str:
    """Return a number with the word for so many."""
    return f"{number:,} {one if number == 1 else many}"


def votes(number: int) -> str:
    """Return "1 vote", "2 votes"."""
    return counted(number, "vote", "votes")


def new_votes(number: int) -> str:
    """Return "1 new vote", "2 new votes"."""
    return counted(number, "new vote", "new votes")


def more_votes(number: int) -> str:
    """Return "1 more vote", "2 more votes"."""
    return counted(number, "more vote", "more votes")


def tokens(number: int) -> str:
    """Return "1 token", "2 tokens"."""
    return counted(number, "token", "tokens")


def turns(number: int) -> str:
    """Return "1 turn", "2 turns"."""
    return counted(number, "turn", "turns")


def demonstrations_wait(number: int) -> str:
    """Return that demonstrations wait for the next training."""
    return counted(number, "new demonstration waits for it.", "new demonstrations wait for it.")


def day(when: date) -> str:
    """Return "28 November 2026"."""
    return f"{when.day} {when:%B %Y}"
