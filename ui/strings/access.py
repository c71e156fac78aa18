"""What the Admin tab says of keys and limits."""

ACCESS = "Keys and limits"
# Name, title and what it means, in the order of the form
LIMIT_FIELDS = {
    "rows": ("Answers written at once", "whoever comes later stands in line"),
    "held_mib": ("Memory for them, MiB", "keys and values, padding included"),
    "prompt_tokens": ("Prompt tokens read between two steps", "fewer hold the others up for less long"),
    "waiting": ("Calls that may stand in line", "the next one is refused"),
    "requests_a_minute": ("Questions a minute without a key", "of one person; 0 = no limit"),
}
KEY_REQUIRED = "/v1 asks for a key"
SAVE_LIMITS = "Save limits"
LIMITS_SAVED = "Saved. It holds from now on, also after a restart."
KEY_NAME = "Name of a new key"
KEY_NAME_HINT = "who will use it"
MAKE_KEY = "Make key"
KEY_MADE = "Key {key} for {name}. Copy it now: {secret} It is not shown again."
KEY_NUMBER = "Number of a key"
REVOKE_KEY = "Revoke"
KEY_REVOKED = "Key {key} of {name} is revoked."
NO_KEYS = "No keys yet. Programs that bring none count as strangers."
KEYS_LABEL = "Keys"
KEY_COLUMNS = ("No.", "Name", "Begins", "Made", "Last used")
NEVER_USED = "never"
REVOKED = "revoked"
