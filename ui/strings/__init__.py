"""What the page says to people, so that it can be translated in one place: one file a part of the page.

Only the sentences of errors and of the gate's remarks come from elsewhere, out of `service` and `alignment`. Names in
braces are filled in where a constant is used. Where a count changes the words there is a small function.
"""

from ui.strings.access import *  # noqa: F403
from ui.strings.admin import *  # noqa: F403
from ui.strings.checks import *  # noqa: F403
from ui.strings.compare import *  # noqa: F403
from ui.strings.data import *  # noqa: F403
from ui.strings.leaderboard import *  # noqa: F403
from ui.strings.runs import *  # noqa: F403
from ui.strings.shared import *  # noqa: F403
from ui.strings.teach import *  # noqa: F403
from ui.strings.training import *  # noqa: F403
from ui.strings.versions import *  # noqa: F403
