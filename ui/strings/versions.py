"""What the Versions tab says: the family of versions, and what an admin does with one."""

VERSIONS_TAB = "Versions"
VERSIONS = "Versions"
VERSIONS_SAY = (
    "Each training makes a version from the one that was live. Whatever is live answers in the third panel; any other "
    "can answer beside it."
)
FAMILY_COLUMNS = (
    "Version",
    "Status",
    "From",
    "Votes learned",
    "Votes since",
    "Facts",
    "Refusals",
    "KL",
    "Size",
    "Made",
)
VERSION_STATUS = {"candidate": "passed, not live", "retired": "not live", "rejected": "did not pass"}
PARENT_AND_RUN = "v{parent}, run {run}"
MEGABYTES = "{size:.1f} MB"
KILOBYTES = "{size:.0f} KB"  # of what has less than a tenth of a megabyte
SIDE_BY_SIDE = "Side by side"
ONE_VERSION = "This version"
OTHER_VERSION = "Beside this one"
COMPARE_THESE = "Compare these two"
COMPARING = "v{first} and v{second} answer what you ask next. Settings, Model's own way shows all three again."
TWICE = "These are the same version; choose two."
ADMIN_VERSIONS = "Which one answers"
LOG_IN_FOR_VERSIONS = "An admin, logged in on the Training tab, can let another version answer, or roll back."
PROMOTE = "Let it answer"
RETIRE = "Take it out of service"
WHY_VERSION = "Why, in a sentence"
WHY_VERSION_INFO = "needed where it did not pass the check; it is recorded"
ANSWERS_NOW = "v{live} answers from the next question on."
VERSION_FORMS = {"peft": "PEFT folder", "merged": "whole checkpoint, merged", "gguf": "GGUF file"}
VERSION_FORM = "As"
TAKE_VERSION = "Take this version away"
TAKEN_AWAY = "v{version} is ready below, {size:.1f} MB, with a card that says where it comes from."
KEEP_VERSIONS = "Keep the files of the newest"
PRUNE = "Remove those of older ones"
PRUNED = "The files of {versions} are gone, which makes {size:.1f} MB of room. What was measured of them stays."
NOTHING_PRUNED = (
    "There is nothing to remove: what is live, its parents, version 1 and the newest ones keep their files."
)
FILES_GONE = "files removed"
DAMAGED = "damaged"
DAMAGED_SAYS = (
    "v{version} could not be served when the app started: {why}. v{live} answers instead; once its folder is whole "
    "again, let v{version} answer again below."
)
LIVE_INSTEAD = "v{version} live, v{damaged} is damaged"
TAKEN_OUT = "v{version} is out of service; v{live} answers."

# What training did
INSIGHT = "What training did"
NO_INSIGHT = (
    "The end of the first training measures how far its version went, how diverse its answers are, and how they do on "
    "prompts that nobody voted on."
)
PLOT_REWARD_AGAINST_KL = (
    "Score against KL",
    "how much higher than instruction-tuned it scores, by its own run's reward model, and how far it went for that",
)
PLOT_PROMISED = ("Promised", "how probably it is preferred to instruction-tuned, by the reward model it was trained on")
PLOT_PEOPLE = (
    "What people say",
    "the same by votes on its answers, none of which it has learned from: far below what was promised, it learned to "
    "please the reward model alone",
)
PLOT_WITHIN = ("Diversity", "different word sequences among answers to one prompt, of as many as chance would give")
KL_AXIS = "KL"
VERSION_AXIS = "version"
EVEN_ODDS = "no better"
ONE_OF_VERSIONS = "v{version}"
NAMED_SPOT = "{name}, {words}"
BREADTH = "Diversity, and prompts unlike those voted on"
BREADTH_SAYS = (
    "Each figure on prompts like those voted on, then on prompts unlike them. Preferred: to instruction-tuned, by its "
    "own run's reward model. Facts: of the checks, right. RLHF often writes more alike, and does well on other prompts "
    "too (Kirk et al. 2024)."
)
BREADTH_COLUMNS = ("Model", "Within a prompt", "Across prompts", "Preferred", "Facts")
LIKE_AND_UNLIKE = "{like} · {unlike}"
LIKED = "Voted texts that the reward model likes most and least"
LIKED_MOST = "Most"
LIKED_LEAST = "Least"
