"""What the page says of keys, limits and invitations."""

ACCESS = "Keys, limits and invitations"
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

# Roles by invitation
INVITATIONS = "Invitations"
ROLES_OFF = "Roles are off: everybody may ask, vote and teach."
ROLES_ON = "Roles are on: whoever was not invited may only read."
ROLES_SWITCHES = {"on": "Switch roles on", "off": "Switch roles off"}
ROLES_SET = {"on": "Roles are on from now on.", "off": "Roles are off from now on; invited admins are logged out."}
INVITATION_ROLES = {"annotator": "annotator: asks, votes, teaches", "admin": "admin: may do all that you may"}
INVITATION_ROLE = "Invited as"
INVITATION_NOTE = "Who the invitation is for"
MAKE_INVITATION = "Make link"
INVITATION_MADE = "The link for {note}. Copy it now, it is not shown again:"
INVITATION_REVOKED = "Invitation {number} is revoked. Who came by it may read on, and no more."
INVITATION_COLUMNS = ("No.", "For", "Role", "Made", "Used", "")
NO_INVITATIONS = "No invitations yet."
YOU_ARE_IN = {
    "annotator": "You were let in: ask and vote as you like. This browser remembers it.",
    "admin": "You are an admin of this page for the next hours: see Training, Versions, Data and Admin. When it ends, "
    "open the link again.",
}
YOU_MAY_READ = "You may read everything here. To ask, vote or teach, ask the admin for an invitation link."
