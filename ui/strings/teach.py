"""What the Teach tab says: what is to be ranked, how, what came of it, and the pool of prompts."""

TEACH_TAB = "Teach"
TEACH_PROMPT = "Prompt to be ranked"
TEACH_INVITES = "Ask something to rank …"
PROPOSE = "Propose one"
PROPOSE_NEXT = "Next one"
ANSWERS_TO_RANK = "Answers"
TEACH_EXPLAINS = (
    "Rank answers of the live version and its predecessor, names hidden. A ranking of four compares six pairs. Now and "
    "then one comes back, to see how far people agree."
)
TEACH_BEGIN = "Nothing to rank yet. Type a prompt and press Enter, or press N to have one proposed."
TO_BE_RANKED = "To be ranked"
ANSWER_OF_SLOT = "Answer {slot}"
RANK_NEXT = "Rank {slot} next"
PLACES = ("1st", "2nd", "3rd", "4th", "5th", "6th")
RANKING = "Ranking, best first"
RANKING_SHORT = "Best first"
RANKING_HOW = "Press the letters best first, = for a tie and Enter to store. Or drag, or type."
CUT_TO_RANK = "stopped before its end"
RANK_WHAT_IS_THERE = "Rank what is there"
LONGEST_TO_RANK = "Tokens at most"
TOKENS_TO_RANK = "tokens at most must be from 1 to {longest:,}, got {value:,}"
RANKING_EXAMPLE = "D > C > A = B"
STORE_RANKING = "Store"
REMOVE_LAST = "Remove the last one"
NOT_RANKED = "not ranked yet"
WRITING_TO_CHOOSE = "Writing {drafts} answers to {prompts}; the {shown} that teach most will be shown."
CHOOSING = "All are written. Choosing the {shown} that teach most …"
DRAFTS = "Drafts, of which some will be shown"
DRAFTS_DONE = "{done} of {drafts} done · {seconds:.0f} s"
ALL_THE_SAME = "All of these say the same; “Next one” asks something else."
RANK_THEM = "Which is best, which next? Press the letters in that order."
PREPARING = "Writing …"

# After a ranking
RANKED = "Thanks, stored: {pairs}."
RANKED_NO_ORDER = "Thanks, stored. It prefers no text to another."
NONE_STORED = "Stored: none of these is good. A better one teaches more."
NONE_AND_BETTER = "Thanks, stored. All of these lose to your answer, which is a demonstration too."
RANKED_BEFORE = "You have judged these already; what you said first stands."
RANKING_STORED = "Your ranking of these is stored."
ALL_BAD_STORED = "You called all of these bad, which is stored."
RANKING_BACK = "Taken back. You can rank them again."
BETTER_BACK = "Taken back, with the answer that you wrote. You can rank them again."
UNDO_RANKING = "Undo"
NO_BETTER = "write your answer first, or press “All bad, nothing better”"

# None of these
NONE_OF_THESE = "None of these: write a better one"
BETTER_ANSWER = "What should they have answered? All of these lose to it, and the next training learns to answer so."
SAVE_BETTER = "Store my answer"
ALL_BAD_ALONE = "All bad, nothing better"

# The pool of prompts
POOL = "Prompts to teach by"
POOL_SAYS = "What the app proposes comes from here. It began with the model's examples and prompts."
POOL_FOR_ADMIN = "Log in as admin on the Training tab to see and change what is proposed."
POOL_ADD = "Add prompts: one a line, or JSON lines with “prompt” and, if you like, “topic”"
POOL_ADD_BUTTON = "Add"
POOL_REMOVE = "Remove"
POOL_REMOVE_ONE = "Remove “{prompt}”"
POOL_SEARCH = "Search the prompts"
POOL_SHOWS = "{shown} of {count}"
POOL_SOURCES = {"model": "with the model", "admin": "added"}
POOL_CHANGED = "{added} added, {removed} removed."
POOL_REFUSED = "{count} not taken: {lines}"
POOL_AND_MORE = "and {count} more"


def pairs(number: int) -> str:
    """Return "1 pair", "5 pairs"."""
    return f"{number:,} {'pair' if number == 1 else 'pairs'}"


def prompts(number: int) -> str:
    """Return "1 prompt", "2 prompts"."""
    return f"{number:,} {'prompt' if number == 1 else 'prompts'}"
