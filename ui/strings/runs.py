"""What the page of one run says, and two runs side by side."""

PICK_RUN = "Open run {run}"
STANDS_ABOVE = "Its curves and its check stand above."
CLOSE_RUN = "Close"
CANCEL_RUN = "Cancel run {run}"
RESUME_RUN = "Resume run {run}"
RUN_PAGE = "Run {run} · {method} · {status}"
METHODS = {"ppo": "PPO", "raft": "RAFT", "dpo": "DPO"}
SET_BESIDE = "Set beside"
NO_OTHER = "another run …"
RUN_OPTION = "run {run}"
RUN_LEARNED_FROM = "What it learned from"
DATASET = (
    "{votes}, {demonstrations:,} demonstrations, {shipped:,} comparisons that ship with the model. Hash of "
    "people's rows: {sha256}."
)
DATASET_UNKNOWN = "Not recorded: the run was made by a version of before, or has not read its rows yet."
ROWS_SAME = "All of it stands as it was read."
ROWS_CHANGED = "It is not what was read: some of it was taken back, left out or erased since."
ROWS_GONE = "{gone:,} of {claimed:,} were taken back or left out since."
ROW_COLUMNS = ("", "Question", "Preferred", "From")
ROW_KINDS = {"vote": "vote", "demonstration": "demonstration"}
SETTINGS_USED = "Settings as they were used"
SETTING_COLUMNS = ("Setting", "Value")
LOG = "Log, its last lines"
NO_LOG = "Nothing was printed."
RUN_AGAIN = "Run again with other settings"
RUN_AGAIN_SAYS = "It learns from all votes that stand now. The gate's bounds are those of the Admin tab."
METHOD = "method"
OWN_SETTINGS = "run"
FIELD_OF = ("“{name}”", "“{name}” of {part}")  # a setting of the run itself, and one of a part of it
START_RUN = "Start this run"
FLAGS = {"true": "yes", "false": "no"}
BESIDE = "Runs {one} and {other}"
SETTINGS_DIFFER = "Settings that differ"
SETTINGS_SAME = "Their settings are the same."
LAST_MEASURED = "Last measurements"
BOTH_COLUMNS = ("", "Run {one}", "Run {other}")
NOTHING_MEASURED = "Neither has measured anything yet."
DASHED_IS = "- - run {run}"
