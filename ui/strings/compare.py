"""What the Compare tab says: questions, panels, votes, settings, the history and the first minute."""

# The question, and its way to an answer
PROMPT = "Prompt"
ASK_ALL = "Ask all three …"
ASK = "Ask"
STOP = "Stop"
EXAMPLES = "Example prompts"
NEW_CHAT = "New chat"
GO_ON = "Go on …"
GO_ON_FROM = "Go on from {name} …"
SEED_IS_NO_NUMBER = "the seed must be a whole number or empty, got {value}; see settings"
LOADING = "The model is loading: {seconds:.0f} s. Your question is answered as soon as it is ready."
ANSWERING = "Answering …"
WAITED = "{seconds:.0f} s"  # for the first word
IN_LINE = "Number {place} in line."
CUT_OFF = "The page was left before the answers had ended. Ask again."
ANSWERED_ELSEWHERE = "Your last question is being answered in another window; then the history has it."
RESUMED = "Your last conversation,"
STOPPED = "Stopped. Your question is back in the box."

# Panels
ORIGINS = {
    "base": "continues text",
    "sft": "from demonstrations",
    "rlhf": "from preferences",
    "imported": "from a file",
}
UNTRAINED = "not trained yet"
RAW = "same weights, no chat template"
RAW_CHECKPOINT = "{model}, raw continuation, no chat template"
NAME_HIDDEN = "name hidden until you vote"
SILENCE = "(ended without a word)"
YOUR_CHOICE = "your choice"
THINKING = "Thinking …"
THOUGHTS = "Thoughts"
SIZE = "{tokens} · {seconds:.1f} s"  # of an answer
PLAIN_TEXT = "Plain text"
WHY_PLAIN_TEXT = "Show exactly what was written"
COPY = "Copy"
WHY_COPY = "Copy exactly what was written"
GO_ON_FROM_THIS = "Go on from this"
GOING_ON_FROM_THIS = "✓ Going on from this"
GOES_ON_FROM_THIS = "Your next question goes on from this answer."
PICTURE = "picture"

# The line of the preview
PREVIEW = "preview"  # a switch beside the line
PREVIEW_OFF = "No preview for what you ask next"
PREVIEW_BEGINS = "Preview begins after {votes}"
SERVED_ELSEWHERE = "The models are served elsewhere: {lacks}"
LACKS = {  # what that leaves undone
    "preview": "no preview",
    "seeds": "a seed may not give the same answer again",
    "raw": "raw text may begin and end otherwise than here",
    "tokens": "tokens are not counted",
    "weights": "whether with this model's weights cannot be told, so look at what the server was started with",
    "model": "a server counts tokens otherwise than this model, so it may serve another; look at what it serves",
}
PREVIEW_BEST = "Preview: best of {samples}"
PREVIEW_BY = "Preview: best of {samples} by {votes}"
PREVIEW_BY_TRIED = "Preview: best of {samples} by {votes} (right on {share:.0%} of votes it had not seen)"
PREVIEW_READS = "Preview: the votes are being read"
NO_PREVIEW = "No preview: {votes} show no one taste yet"

# Votes
WHICH_IS_BEST = "Which answer is best?"
CHOSEN_IS_BEST = "✓ {name} is best"
VOTE_STORED = "Your vote on this one is stored."
THANKS = "Thanks, stored."
THANKS_NO_ORDER = "Thanks, stored. It prefers no text to another."
THANKS_ALL_BAD = "Thanks, stored. All of these are bad; a better answer teaches more."
IN_THE_NEXT_TRAINING = "Training is under way; the next one uses this vote."
SINCE_LAST_TRAINING = "{votes} since the last training."
TO_NEXT_TRAINING = "{votes} to the next training."
TRAINING_BEGINS = "The next training begins now."
MAY_STILL_LEARN = "The training under way may still learn from it."
NO_VOTE_STANDS = "No vote of yours stands on this one. You can vote."
CUT_BY_VOTE = "stopped by your vote"
CUT_BY_LENGTH = "cut at the length limit"
UNREAD = "(stopped before its first word)"
VOTE_STOPPED = "That question was stopped, so there is nothing to vote on; ask it again."
FIRST_VOTE_STANDS = "You had voted on this one already; your first vote stands."
WHY = {  # by what the vote says: whom its reason blames
    "best": "Why? The others:",
    "all": "Why? All of them:",
    "ranking": "Why? The lower ones:",
}
WHY_LABEL = "Why you voted so, if you like"
WHY_OWN_WORDS = "in your own words"
WHY_STORED = "Noted."
REASONS = (  # as they are stored, and as people read them
    ("wrong", "Wrong"),
    ("harmful", "Harmful"),
    ("too long", "Too long"),
    ("style", "Style"),
    ("refused", "Refused for no reason"),
)
UNDO = "Undo vote"
NEXT = "Next example"
MORE = "More"
PREVIEW_LEANS = "The preview leans on it at once."

# An answer of one's own
WRITE_BETTER = "Write a better answer"
WHAT_INSTEAD = "What should they have answered?"
SAVE_DEMONSTRATION = "Save as demonstration"
LEARNED_FROM = (
    "It is stored for the prompt above and joins the instruction tuning with which the next training begins: both "
    "tuned panels learn to answer like this."
)
ALL_LOSE = (
    "Thanks, stored. All answers shown lose to yours, and the next training begins with learning to answer like this."
)
DEMONSTRATION_STORED = "Thanks, stored. The next training begins with learning to answer like this."

# What is stored, and what the models are
RAW_BY_CHAT = (
    "The raw panel is {model} itself, continuing bare text. To see the model that it was made from, start the app "
    "with --base {base}."
)
RAW_BY_CHAT_UNKNOWN = (
    "The raw panel is {model} itself, continuing bare text. To see the model that it was made from, start the app "
    "with --base and the name of that model."
)
NO_TEMPLATE = "{model} ships no chat template, so a plain one of Triptych's own is used."
MAY_BE_WRONG = (
    "Models may be wrong. What you choose is stored on the computer that runs this page and trains the third panel."
)
WHAT_IS_STORED = "What is stored?"
STORED = (
    "Your prompts and system prompts; the answers, with their seeds and settings, and how long they took; what you "
    "chose or ranked, whether names were hidden, when, how long you took and why, if you say so; which answer you "
    "went on from; and an answer that you write: under a random id that a cookie keeps in this browser, with the "
    "invitation that you came by, and a name, if you give one on the Data tab. No address; where a browser keeps no "
    "cookie, a code stands in for the id, which cannot be turned back into its address without the key of this "
    "computer's data folder. Of answers that were judged, also the numbers by which the reward model reads them; of "
    "each training, which votes it learned from. This browser keeps your settings, which answers were shown last and, "
    "while the connection is lost, what you have begun to write. A vote that you take back stays stored, marked as "
    "taken back, and no later training learns from it. On the Data tab you see and take out what is yours, and erase "
    "it: the texts and those numbers go, a code of each text that cannot be read stays, versions that have learned "
    "from them stay as they are, and so do backups and files that were taken out before. Whoever runs this page can "
    "read all of it, take it out under pseudonyms, and leave votes out of training."
)
SENT_NOWHERE = "Nothing is sent anywhere else."
SENT_TO_SERVERS = "Questions are sent to the servers that answer them, {servers}; nothing is sent anywhere else."

# The call that makes an answer again
CALL = "The call"
CALL_TITLE = "The call that makes this answer again"
CALL_OPENAI = "OpenAI's client"
CALL_SAYS = "The same model, settings and seed as this answer."
CALL_CHAT = "The same models, settings and seeds, one call a turn of this conversation."
NO_CALL = "There is no such call: the name of the model is still hidden, or what came before is not known any more."
CLOSE = "Close"

# What RLHF changed about an answer
CHANGED = "What did RLHF change?"
MEASURING = "Measuring …"
CHANGED_TITLE = "What did RLHF change about this answer?"
CHANGED_SAYS = (
    "Each token of the answer of v{version}, by how much likelier it is to that version than to the instruction-tuned "
    "model. Point at one for the numbers, or open the table below."
)
CHANGED_TOTAL = "The whole answer is {factor} to it: its log-probability is {total:+.1f} nats."
MORE_LIKELY = "likelier"
LESS_LIKELY = "less likely"
AS_LIKELY = "as likely"
NOTHING_CHANGED = "This version is the instruction-tuned model unchanged, so nothing differs."
TOKEN_CHANGE = "{change:+.2f} nats: {own:.2%} instead of {reference:.2%}"
END_OF_ANSWER = "(its end)"
LEGEND = "Legend"
LEGEND_SAMPLE = "word"
CHANGE_STEPS = {  # by steps of nats
    3: "much likelier (over 3 nats, 20 times)",
    2: "likelier (over 1 nat)",
    1: "a little likelier (over 0.25)",
    0: "about the same",
    -1: "a little less likely",
    -2: "less likely",
    -3: "much less likely",
}
MOST_CHANGED = "The tokens that changed most"
CHANGED_TOKENS = ("Token", "Change in nats", "Now", "Before")
SCORE_IS = "Its score by the reward model of {votes}: {score:+.2f} ± {deviation:.2f} (one standard deviation)."
NO_SCORE = "There is no score before three votes prefer one text to another."

# Settings
BLIND = "blind"
SETTINGS = "settings"
PANELS = ("First panel", "Second panel", "Third panel")
LIVE = "RLHF, live"
NO_PANEL = "none"
TEMPERATURE = "Temperature (0 = greedy)"
TOP_P = "Top-p (1 = off)"
LONGEST_ANSWER = "Longest answer (tokens)"
BEST_OF = "RLHF: best of so many answers, picked by the reward model"
SEED = "Seed (empty = a new one every time)"
SYSTEM = "System prompt of a new chat"
MODELS_OWN = "Back to the model's own"
SEED_USED = "Seed {seed} · use again"
SEED_SET = "Seed {seed} is in the settings: your next question uses it."

# History
HISTORY = "History"
CLOSE_HISTORY = "Close the history"
SEARCH_HISTORY = "Search questions and answers"
OLDER = "Show older ones"
FROM_TEACH = "ranked on the Teach tab"
BY_REASON = "Votes by their reason"
ALL_REASONS = "All, with or without a reason"
ANY_REASON = "With any reason"
FROM_ELSEWHERE = "not from a chat of yours"
TAKE_BACK = "Take back"
NOTHING_ASKED = "Nothing yet. What you ask stands here, also after a restart."
NOTHING_FOUND = "Nothing of yours holds these words."
ONE_OF_TURNS = "Turn {turn}: {words}"
IS_BEST = "{name} is best"
ALL_EQUAL = "Equally good"
ALL_ARE_BAD = "All bad"
VOTE_BACK = "Vote taken back."
VOTE_BACK_HERE = "Vote taken back. You can vote again."
VOTE_BACK_KNOWN = "Vote taken back. You can vote again, though you know the names by now."

# First minute; each sentence on a panel follows its name
ASK_OR_PICK = "Ask something above, or pick an example."
RECORDED = "A recorded example of {day}, not to vote on. Ask something, or pick an example above."
RECORDED_TAG = "recorded example"
THREE_MODELS = "Three models answer what you ask, side by side."
BASE_IS = "has only read text, and goes on with whatever it reads."
RAW_IS = "is the model of the next panel without its chat template: it goes on with the bare text."
SFT_IS = "has learned from written examples to answer."
CHAT_IS = "has learned to answer: it is the chat model as its makers trained it."
RLHF_IS = "began as the panel before, and has learned from clicks like yours which answers people prefer."
RLHF_UNTRAINED_IS = "is still the instruction-tuned model. From the first training on it learns from clicks like yours."
CLICK_DOES = (
    "Choose the best answer. Your click is stored and trains the third model; the line at the top says how far the "
    "next training is."
)
GOT_IT = "Got it"
WHAT_ARE_THEY = "What are the three?"

# The conversation above the panels, and links to a comparison
CONVERSATION = "The conversation"
SYSTEM_PROMPT = "System prompt"
SHOW_OTHERS = "Show what the others said"
COPY_LINK = "Copy link"
COPIED = "Copied"
WHY_LINK = "Copy an address that opens this comparison again"
SHARED = "This is from a chat of another browser. You may vote on it; what you ask begins a chat of your own."
NO_SUCH_LINK = "There is no comparison behind this link. It may be cut short, erased, or of another Triptych."
TOO_MANY_ANSWERS = "That link leads to {count} answers, more than there are panels; judge them by /v1/feedback."

# What a question goes on from, and what is asked in place of another one
PICK_FIRST = (
    "Which answer does this go on from? Press “Go on from this” below it and ask again, or begin a new chat (C)."
)
NOT_YOURS = "This browser no longer knows that this conversation is yours; begin a new chat (C)."
WENT_ON = "This conversation went on elsewhere. Here is its last turn; your question is still in the box."
EDIT = "Edit"
WHY_EDIT = "Ask something else in its place"
LEAVE_EDIT = "Leave as it was"
ASK_AGAIN = "Ask again"
WHY_AGAIN = "Ask the same again, with a new seed"
EDITING = "Change the question and ask. What stands here now stays, one click away. Escape leaves it as it was."
LEFT = "The question is left as it was."
ASK_INSTEAD = "Ask this instead …"
STOPPED_AGAIN = "Stopped. Here are the answers of before."
WHICH_VERSION = "{place} of {of}"
VERSION_BEFORE = "The version before"
VERSION_AFTER = "The version after"
BRANCH = "branch at turn {turn}"

# In front of a class
FOLDED = "Folded, because the question sounds harmful by its words. Show the answer"
