"""What the Training tab says: runs, their plots, the check, the admin's tools."""

# When the next training starts
ONLY_BY_ADMIN = "{votes} since the last training; it starts only when an admin starts it."
ENOUGH_VOTES = "Enough new votes are in: training starts by itself."
WAITS_MINUTES = "Training starts by itself at {at}, as time goes by."
WAITS_QUIET = "Training waits for the end of the quiet hours, at {at}."
WAITS_IDLE = "Training waits for a pause in the questions; it starts at {at} if nobody asks until then."
WAITS_FAILED = "Training waits until {at}, because the last {failures} of it failed."
NEXT_IS = "Run {run} is next; it starts once this one has ended, with the votes there are by then."
VOTES_MISSING = "{votes} and training starts by itself."

# The latest run
NO_TRAINING_YET = "No training yet"
RUN_IS = "Run {run} · {status}"
STATUS = {
    "waiting": "next",
    "queued": "waiting to start",
    "running": "training",
    "succeeded": "succeeded",
    "failed": "failed",
    "cancelled": "cancelled",
    "rejected": "not passed",
}
NO_VERSION = "no version"
NOT_LIVE = "not live"
STAGES_LABEL = "Stages of training"
STAGES = {  # what each stage is called
    "collect": "collect",
    "sft": "instruction tuning",
    "reward": "reward model",
    "raft": "RAFT",
    "ppo": "PPO",
    "dpo": "DPO",
    "check": "check",
    "live": "live",
}
STARTING = "starting"
STARTS_SOON = "It starts in a moment."
STARTS_ONCE_LOADED = "It starts as soon as the model is loaded."
SO_FAR = "{stage}, {progress:.0%}, {took} so far."
SO_FAR_AND_LEFT = "{stage}, {progress:.0%}, {took} so far, about {rest} left."
VERSION_MADE = "v{version}"
NOTHING_MADE = "nothing new"
RUN_WENT_LIVE = "{made} went live {ago}, after {took}."
RUN_NOT_PASSED = "{made} did not pass the check {ago}, after {took}; v{live} stays live."
RUN_NOT_LIVE = "It ended {ago}, after {took}; v{live} stays live. {reason}"
RUN_NO_VERSION = "It made no version; v{live} stays live. It ended {ago}, after {took}. {reason}"
RUN_STOPPED = "It stopped {ago}, after {took}; v{live} stays live. Chat and votes are not touched."
RUN_CANCELLED = "It was cancelled {ago}, after {took}; v{live} stays live."
PROGRESS_LABEL = "Training"

# Plots: title, and what the number means
PLOT_TUNING = ("Instruction tuning", "falls while it learns what people and labelers demonstrated")
PLOT_ACCURACY = ("Held-out accuracy", "how often the reward model agrees with votes it has not learned from")
PLOT_REWARD_LOSS = ("Reward-model loss", "falls while it learns which answer people chose")
PLOT_SCORE = ("Score", "the reward model's mean score of its answers; in RAFT's rounds, of what it tries out")
PREVIEW_BEFORE = "best of {samples} of the version before: the preview"
CAUGHT_UP = "{share:.0%} of the way to the preview"
PLOT_PAIRS = ("Pairs in order", "how often it moved towards the better of two answers that it learns from")
PLOT_DPO_LOSS = ("DPO loss", "falls while it learns which answer people chose")
PLOT_MARGIN = ("Margin", "how much further it moved towards the better answer")
PLOT_KL = ("KL", "how far it is from instruction-tuned, in nats an answer; in RAFT's rounds, what it tries out")
STEP = "step"
UPDATE = "update"
CHANCE = "chance"
KNOWS_NOTHING = "knows nothing"
INTERVAL = "{low:.0%} to {high:.0%}"
PLOT_IN_WORDS = "{title}: {first} at first, {last} at last"
SPOT = "{step_name} {step:g}: {value}"
NOT_MEASURED = "not measured"  # yet
PLOTS_TO_COME = (
    "Once a training measures something, plots stand here: how often the reward model agrees with votes that it has "
    "not learned from, whether the score of the answers rises, and how far they move away from the instruction-tuned "
    "model."
)

# How far the reward model can be trusted
AGREEMENT_UNKNOWN = "How often the reward model agrees with votes that it has not learned from will stand here."
AGREEMENT_BY_CHANCE = " That may be chance; more votes would tell."
AGREEMENT = (
    "Tried on {votes} that it had not learned from, the reward model put the better answer first {accuracy:.0%} of the "
    "time (95% interval {low:.0%} to {high:.0%}).{doubt} It was {confidence:.0%} sure of itself on average. Where "
    "it is 80% sure, it should be right 80% of the time: how sure it was and how often it was right are {apart} apart "
    "on average. Log-loss {log_loss:.2f}, where 0.69 knows nothing."
)

# The check
CHECK = "Check"
CHECK_TO_COME = "Before a new version is served it is checked against the one before; the result stands here."
CHECK_PASSED = "✓ v{version} passed the check"
CHECK_NOT_PASSED = "✕ v{version} did not pass the check"
WHAT_CHANGED = "What changed in the answers"
BEFORE_AND_AFTER = "Before and after"
CHANGE_COLUMNS = ("Prompt", "Before", "After")
FIGURES = {  # how a number of a version is written
    "accuracy": "{:.0%}",
    "refusals": "{:.0%}",
    "kl": "{:.1f}",
}
MANNERS = {
    "words": ("words in an answer", "{:.0f}"),
    "distinct_within": ("pairs of words that differ, within an answer", "{:.0%}"),
    "distinct_across": ("pairs of words that differ, over all answers", "{:.0%}"),
    "perplexity": ("perplexity under the instruction-tuned model", "{:.1f}"),
}
MANNER = "{after} (before {before})"
PREFERRED = "of all answers, preferred to those before by the reward model; unchanged ones count half"

# Findings of the check
MEASURES = {
    "accuracy": "questions answered correctly",
    "refusals": "harmful requests refused",
    "helped": "harmless requests helped",
    "abstained": "unknown names admitted",
    "ended": "ends by itself",
    "own": "the admin's own checks",
    "liked": "answers that the reward model likes better",
    "kl": "KL to SFT",
}
FINDING = "{name}: {share:.0%}, {passed:.0f} of {count} (best before {before}{change}, {least})"
FINDING_OF_WINS = (
    "{name}: {share:.0%}, {value:.0f} of {count} that changed (95% interval {interval}, at least {bound:.0%})"
)
FINDING_CHANGE = "; change {interval}"
FINDING_IN_NATS = "{name}: {value:.1f} nats{interval} (at most {bound:.0f})"
FINDING_INTERVAL = ", 95% interval {interval}"
CHANGE_INTERVAL = "{low:+.0%} to {high:+.0%}"
NATS_INTERVAL = "{low:.1f} to {high:.1f}"
AT_LEAST = "at least {bound:.0f}"
MAY_LOSE = "may lose {bound:.0%}"
MAY_LOSE_SO_MANY = "may lose {bound:.0f}"
NO_BOUND = "no bound"
FINDING_COLUMNS = ("Measure", "Now", "Best before", "95% interval", "Bound", "")
FINDINGS_SAY = (
    "All were asked the same prompts; “best before” is the version before or v1, whichever passed more. The interval "
    "is of the change; of KL and of what the reward model likes better, of the value itself. A measure fails where all "
    "of it lies beyond the bound, which chance alone seldom does. The admin's own checks are counted: so many may be "
    "lost and no more."
)
ROW_SHARE = "{share:.0%} · {passed:.0f} of {count}"
ROW_NATS = "{value:.1f} nats"
ROW_AT_MOST = "at most {bound:.0f} nats"
ROW_OF_CHANGED = "{share:.0%} · {value:.0f} of {count} that changed"
ROW_AT_LEAST = "at least {bound:.0%}"
ROW_OF_THEM_LOST = ", {lost} lost"
AGAINST = {"parent": "{before}", "first": "{before} by v1"}
PASSED_MARK = "✓ passed"
FAILED_MARK = "✗ failed"
LOST_CHECKS = "Checks that it no longer passes"
LOST_COLUMNS = ("Prompt", "Wanted", "Before", "Answered")
WANTED = {"refuses": "a refusal", "helps": "help", "abstains": "that it does not know"}
WANTED_HOLDS = "holds {texts}"
WANTED_LACKS = "does not hold {texts}"
QUOTED = "“{text}”"
NOT_KNOWN = "–"
FAILED = "{words} ✗"
NOT_SERVED = "v{version} did not pass the gate and is not served: {failed}"
NOT_NEARER = "nor does it pass nearer to the version before"
PUT_BACK = "put back to {share:.0%} of the way from the version before; the whole way had: {failed}"
STOPPED_EARLY = "training stopped early: {reason}"

# Tables of runs and versions
RECENT_RUNS = "Recent runs"
RUN_COLUMNS = ("Run", "Started", "Took", "Status", "Result")
NO_RUNS = "none so far"
POLICIES = "Policies"
POLICY_COLUMNS = ("Version", "Status", "From", "Facts", "Refusals", "KL", "Made")
LIVE_MARK = "● live"
FROM_RUN = "run {run}"
SHIPPED = "shipped with the model"
WENT_LIVE = "v{version} went live"

# The admin's tools
ADMIN = "Admin"
LOG_IN_TO = "Log in to start, resume, cancel and schedule training."
PASSWORD = "Password"
LOG_IN = "Log in"
LOG_OUT = "Log out"
RETRAIN = "Retrain now"
RESUME = "Resume"
CANCEL = "Cancel"
LOGGED_IN = "Logged in."
LOGGED_OUT = "Logged out."
QUEUED = "Run {run} is queued."
QUEUED_NEXT = "Run {run} is next; it starts once the one under way has ended."
UNDER_WAY = "Run {run} is under way already; it learns from the same votes."
QUEUED_AGAIN = "Run {run} is queued again; it goes on from its last checkpoint, or from the beginning if it has none."
CANCELLED = "Run {run} is cancelled; what was live stays live."


def points(number: int) -> str:
    """Return "1 point", "30 points": of a percentage."""
    return f"{number} {'point' if number == 1 else 'points'}"
