"""What the Data tab says: what is browsed, export, import, one's name, erasing."""

from ui.strings.shared import counted

DATA_TAB = "Data"

# Refusals
NO_UPLOADS = "Only the admin may send files. Log in first, with the same cookie."
NO_FILE = "a file must be sent first; gradio_client does that for handle_file(path)"
NOT_SENT = "the file must be sent to this app first; one of its own disk is not read"

# Browsing
SHELF = "Show"
SHELVES = {"votes": "votes", "demonstrations": "demonstrations", "prompts": "prompts", "people": "people"}
SEARCH_DATA = "Search"
SEARCH_DATA_HOLDER = "words of a question, an answer, a reason or a name"
FROM_SOURCE = "Source"
ANY_SOURCE = {"all": "any", "human": "people", "simulated": "simulated", "imported": "imported"}
WHAT_LIES_HERE = "What is stored, one by one"
YOUR_OWN = "You see what is yours. The admin, logged in on the Training tab, sees everybody's and takes files in."
EVERYBODYS = "You are the admin: this is everybody's."
NOTHING_STORED = "Nothing of this kind is stored yet."
NOTHING_MATCHES = "Nothing matches. Search for other words, or choose another source."
VOTE_COLUMNS = ("When", "Who", "Question", "Vote", "Why", "Source", "State")
DEMONSTRATION_COLUMNS = ("When", "Who", "Question", "Answer written", "Source")
PROMPT_COLUMN = "Prompt"
PREFERS = "{names} is best"
RANKS_FIRST = "ranked, {names} first"
EQUAL = "equally good"
BAD = "all bad"
AND = " = "
TAKEN_BACK_STATE = "taken back"
LEFT_OUT_STATE = "left out"
STANDS = "counts"
LEAVE_OUT = "Leave out"
LET_IN = "Let in"
OLDER_DATA = "Older ones"
ERASED_TEXT = "(erased)"

# People
PEOPLE_COLUMNS = ("Who", "Votes", "Time to a vote", "With others", "With oneself", "Looks", "In runs")
ONLY_FOR_ADMIN = "People are shown to the admin alone. Log in on the Training tab."
ALPHA = (
    "Krippendorff's alpha is {alpha:.2f} on {shared:,} comparisons that several people judged (1: they agree, "
    "0: chance)."
)
NO_ALPHA = "How far people agree is not known: {shared:,} comparisons were judged by several of them."
FELL_ON = "With hidden names the choices fell on {places}; {chance} would by chance."
FELL_PLACE = "{count:,} × {place}"
SECONDS_TO_VOTE = "{seconds:.1f} s"
OF_SHARED = "{same:,} of {count:,}"
SUSPICIONS = {"fast": "too fast to read", "one side": "always the same place", "against": "against all others"}
COUNTS_IN_RUNS = "yes"
OUT_OF_RUNS = "left out"
LEFT_OUT_NOW = "Left out: later runs do without it. Nothing is deleted."
LET_IN_NOW = "Let in again: later runs learn from it."

# Export
TAKE_OUT = "Take out"
TAKE_OUT_SAYS = "A file in the formats of TRL's data sets: your own, or everybody's for the admin."
WHAT_OUT = "What"
WHATS = {
    "preferences": "preferences: chosen and rejected",
    "rankings": "rankings: whole votes",
    "unpaired": "unpaired: good or bad",
    "demonstrations": "demonstrations",
    "prompts": "prompts",
}
FORMAT = "Format"
FORMATS = {"jsonl": "JSON lines", "parquet": "Parquet"}
FORM = "Form"
FORMS = {"conversational": "message lists", "plain": "bare texts"}
EXPORT = "Export"
EXPORTED = "{rows:,} rows."
EXPORTED_WITHOUT = "{rows:,} rows. {left:,} longer conversations are left out: bare texts cannot say them."
FILE = "The file"

# Import
TAKE_IN = "Take in"
TAKE_IN_SAYS = (
    "JSON lines, a JSON list or Parquet: an export of Triptych, pairs with or without a prompt, Anthropic's HH, "
    "UltraFeedback, Open WebUI's feedback. What comes in is marked as imported."
)
IMPORT = "Import a file …"
NO_FILE_CHOSEN = "Choose a file first."
IMPORTING = "{progress:.0%}: {taken:,} taken, {known:,} there already, {refused:,} refused."
IMPORTED = "Done: {taken:,} taken, {known:,} there already, {refused:,} refused."
REFUSED_ROWS = "Refused"
REFUSED_ROW = "{place:,}: {why}"
REFUSED_MORE = "and {more:,} more"

# Name and erasing
YOUR_NAME = "Your name"
NAME_SAYS = "Optional. The admin sees it beside your votes; exports do not have it."
SAVE_NAME = "Save name"
NAME_SAVED = "Saved."
ERASE = "Erase"
ERASE_SAYS = (
    "Blanks your questions, the answers to them, your demonstrations, reasons and name. In place of each text a code "
    "is kept, which tells nothing of it. Versions that learned from them stay as they are, and so do backups and files "
    "that were taken out before."
)
KEEP_VOTES = "keep my votes, without their texts"
CERTAIN = "I know that this cannot be undone"
ERASE_PERSON = "Whose (as listed under people; empty: my own)"
ERASE_NOW = "Erase"
KEPT_A_DAY = "Files that were taken out before are removed from the server a day after they were made."
NOT_CERTAIN = "Tick that you know that this cannot be undone."


def erased(comparisons: int, demonstrations: int, votes: int) -> str:
    """Return what was erased, in words."""
    return (
        f"Erased: {counted(comparisons, 'comparison', 'comparisons')}, "
        f"{counted(demonstrations, 'demonstration', 'demonstrations')}, {counted(votes, 'vote', 'votes')} taken back. "
        f"{KEPT_A_DAY}"
    )
