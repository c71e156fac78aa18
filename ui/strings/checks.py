"""What is said of the admin's own checks."""

OWN_CHECKS = "Own checks"
OWN_CHECKS_SAY = (
    "Every new version is asked these, beside the version before and version 1. What a right answer holds, or does not "
    "hold, is looked for as whole words, in any case of letters."
)
OWN_CHECK_COLUMNS = ("Prompt", "A right answer", "Answer of the live version", "")
NO_OWN_CHECKS = "There are none yet."
CHECK_PROMPT = "Prompt"
CHECK_PROMPT_INFO = 'or JSON lines to import: {"prompt": "Who are you?", "holds": ["Acme"], "lacks": ["robot"]}'
CHECK_HOLDS = "A right answer holds"
CHECK_LACKS = "A right answer does not hold"
ONE_A_LINE = "one a line"
ADD_CHECK = "Add"
CHECK_ADDED = "Added. Runs ask it from now on."
CHECK_KNOWN = "That check is there already."
CHECKS_ADDED = "{count} added."
CHECKS_REFUSED = "Not taken: {lines}"
CHECK_REMOVED = "Removed."
CHECK_GONE = "It was removed already."
CHECKS_TRIED = "The live version passes {passed} of {count}."
TRY = "Try"
TRY_ONE = "Try “{prompt}” on the live version"
TRY_ALL = "Try all on the live version"
REMOVE = "Remove"
REMOVE_ONE = "Remove “{prompt}”"
