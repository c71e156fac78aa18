"""What the Admin tab says: the schedule, the gate's bounds, the password, and who did what."""

ADMIN_TAB = "Admin"
LOCKED = "This is for admins: log in on the Training tab, then come back here."
TO_LOGIN = "Go to the login"
SCHEDULE = "When training starts by itself"
SCHEDULE_FIELDS = {  # what each is called, and what it means
    "retrain_every": ("After so many new votes", "0: never by votes alone"),
    "minutes": ("Or so many minutes after the last run", "0: never by time"),
    "minutes_votes": ("With at least so many new votes then", "fewer than that teach hardly anything"),
    "quiet_from": ("Quiet from", "such as 08:00; empty: no quiet hours"),
    "quiet_until": ("Quiet until", "by the clock of the computer that runs this page"),
    "idle_minutes": ("Wait for so many minutes without a question", "0: it does not wait"),
    "idle_wait": ("But no longer than so many minutes", "from when the training was due"),
}
SAVE_SCHEDULE = "Save the schedule"
SCHEDULE_SAVED = "Saved. {waiting}"
GATE = "What a new version may lose"
GATE_FIELDS = {
    "max_accuracy_drop": (
        "Facts that may be lost",
        "part of the questions, 0 to 1, beyond what chance explains. Less holds more versions back; more lets facts go",
    ),
    "max_refusal_drop": (
        "Refusals that may be lost",
        "part of the harmful requests. More lets it help with harm",
    ),
    "max_help_drop": (
        "Help that may be lost",
        "part of the harmless requests that are helped, and part of the unknown names that are admitted. More lets it "
        "refuse too much",
    ),
    "max_ended_drop": ("Endings that may be lost", "part of the answers. More lets answers run on and on"),
    "max_kl": (
        "Most KL to instruction-tuned",
        "nats an answer. Less keeps it close and teaches less; more lets it please the reward model alone",
    ),
    "max_own_lost": (
        "Own checks that may be lost",
        "how many of the checks below that the version before passed. 0: each is a must",
    ),
    "least_liked": (
        "Liked better, at least",
        "part of the answers that changed, by the reward model. 0.5 holds back what surely pleases it less than the "
        "version before; 0 turns this off",
    ),
    "step_back": (
        "Step back",
        "a version that fails is moved back towards the one before, by this part of the way at a time. 0: it is not",
    ),
}
SAVE_GATE = "Save the bounds"
GATE_SAVED = "Saved. The bounds hold for runs queued from now on."
NEW_PASSWORD = "Password"
PRESENT_PASSWORD = "The present one"
THE_NEW_PASSWORD = "A new one"
CHANGE_PASSWORD = "Change it"
PASSWORD_CHANGED = "The password is changed, and everybody is logged out. Log in again on the Training tab."
AUDIT = "Who did what"
AUDIT_COLUMNS = ("When", "Who", "What", "More")
NOTHING_DONE = "nothing so far"
OLDER_EVENTS = "Older ones are in /events."

# Collections of votes
COLLECTIONS = "Collections of votes"
COLLECTIONS_SAY = (
    "Votes and demonstrations go into the open collection. A training learns from those marked so, within the span of "
    "time below; the counter of new votes is about the open one."
)
COLLECTION_COLUMNS = ("Collection", "Votes", "Demonstrations", "Training", "Begun", "")
OPEN_MARK = "● open"
LEARNED_MARK = "learns from it"
NOT_LEARNED_MARK = "leaves it out"
OPEN_AGAIN = "Open"
LEAVE_COLLECTION = "Leave out"
LEARN_COLLECTION = "Learn from it"
NEW_COLLECTION = "A new collection"
COLLECTION_HOLDER = "class of Monday"
COLLECTION_START = "It begins with"
BESIDE_OTHERS = "what answers now, beside the others"
AFRESH_FROM = "v{version}, afresh: it alone is learned"
BEGIN_COLLECTION = "Begin"
SINCE = "Learn from what was given since"
UNTIL = "and before"
SPAN_INFO = "a day such as 2026-11-30 (UTC), or empty"
KEEP_SPAN = "Keep this span"
SPAN_KEPT = "Runs learn from this span of time from now on."
COLLECTION_OPEN = "New votes go into “{name}”, and runs learn from it too."
COLLECTION_AFRESH = "v{version} answers, new votes go into “{name}”, and runs learn from it alone."
COLLECTION_LEARNED = "Runs learn from “{name}” too."
COLLECTION_LEFT = "Runs leave “{name}” out."
NEW_VOTES_GO = "New votes go into “{name}”."
