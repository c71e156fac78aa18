// 1 2 3 0 X press the vote buttons, and after the vote 1 2 3 pick the answer to go on from and U takes the vote back; N asks
// the next example, C begins a new chat, E edits the question, R asks it again, H opens the history and Enter leads into the
// box for the question. These keys are left alone while a field has focus. Enter in the box asks and leaves it, so that the
// keys vote. Whoever begins to write without going into the box writes there: a vote is done at once, another key only when
// no letter follows within a moment. Escape, or a click elsewhere, closes what is open: the settings, and on a narrow screen
// what stands behind "More".
{
  const buttons = {"1": "best-1", "2": "best-2", "3": "best-3", "0": "tie", "x": "all-bad", "u": "undo", "n": "next", "c": "new-chat", "h": "history-open", "e": "edit-now", "r": "ask-again"};
  const find = selector => document.querySelector(selector);
  // What stands behind "More" works by its key all the same.
  const works = button => button && !button.disabled && (button.closest("#rest") ? find("#votes") : button).offsetParent !== null;
  const VOTES = "#votes .best, #tie, #all-bad";
  const MOMENT = 250; // milliseconds, in which the second letter of a word follows the first one
  let waiting = null; // a key that may yet turn out to be the first letter of a question
  // The box, where what is written without having gone there belongs to it.
  const open = () => {
    const box = find("#prompt textarea");
    return box?.offsetParent && find("#history .drawer")?.hidden !== false ? box : null;
  };
  const write = (box, text) => {
    box.focus();
    document.execCommand("insertText", false, text); // it can be undone, and the page hears of it
  };
  const lost = () => !document.activeElement || document.activeElement === document.body || document.activeElement.disabled;

  const closeSettings = focus => {
    const button = find("#settings > button.open");
    if (!button) return;
    const inside = find("#settings").contains(document.activeElement);
    button.click();
    if (focus && inside) button.focus();
  };
  const more = open => {
    const votes = find("#votes"), button = find("#more");
    if (!votes || !button || votes.classList.contains("open") === open) return;
    votes.classList.toggle("open", open);
    button.setAttribute("aria-expanded", open);
    if (!open && find("#rest").contains(document.activeElement)) button.focus();
  };
  // The panels take the focus that has no other place: its outline would say nothing, and the keys work from there.
  const leave = () => {
    const panels = find("#panels");
    if (!panels) return document.activeElement?.blur();
    panels.tabIndex = -1;
    panels.focus({preventScroll: true});
  };

  // What a vote did stands in the notice: the focus goes there when the button that was pressed works no more.
  let pressed = false;
  window.triptychSaid = () => {
    if (!pressed || !lost()) return;
    pressed = false;
    find("#notice .notice")?.focus({preventScroll: true});
  };

  let asked = -1;
  window.triptychNext = () => {
    const chips = [...document.querySelectorAll("#examples [data-prompt]")];
    if (!chips.length) return;
    const now = find("#turns .asked.now")?.textContent.trim();
    asked = (asked + 1) % chips.length;
    if (chips[asked].dataset.prompt.trim() === now) asked = (asked + 1) % chips.length;
    chips[asked].click();
  };

  // What people write runs its own way, from the left or from the right.
  document.addEventListener("focusin", event => {
    if (event.target.matches?.("textarea, input[type=text]")) event.target.dir = "auto";
    if (!event.composedPath().some(node => node.id === "settings")) closeSettings(false); // it would stand over the votes
  });

  document.addEventListener("click", event => {
    const {target} = event, path = event.composedPath();
    if (event.isTrusted && !path.some(node => node.id === "settings")) closeSettings(false);
    if (target.closest?.("#more")) more(!find("#votes").classList.contains("open"));
    else if (target.closest?.("#rest button") || (event.isTrusted && !path.some(node => node.id === "rest"))) more(false);
    pressed = Boolean(target.closest?.("#votes button"));
    if (target.closest?.("#send, #examples [data-prompt]")) setTimeout(leave); // they are hidden or folded from now on
  });
  document.addEventListener("keydown", event => {
    if (event.isComposing) return;
    if (event.key === "Escape") {
      closeSettings(true);
      more(false);
    }
    if (document.querySelector("dialog[open]")) return;
    if (event.ctrlKey || event.metaKey || event.altKey || event.repeat) return;
    const box = find("#prompt textarea");
    if (event.key === "Enter" && !event.shiftKey && event.target === box && box.value.trim()) setTimeout(leave);
    if (event.target.closest?.("input:not([type=checkbox]), textarea, select, [contenteditable=true]")) return;
    if (waiting) {
      const {key, press, timer} = waiting;
      clearTimeout(timer);
      waiting = null;
      if (open() && event.key.length === 1 && !/\p{N}/u.test(event.key)) {
        event.preventDefault();
        return write(open(), key + event.key);
      }
      press();
    }
    if (event.key === "Enter") {
      if (box?.offsetParent && !event.target.closest?.("button, a, summary, [role=tab]")) {
        event.preventDefault();
        box.focus();
      }
      return;
    }
    if (event.key.length > 1) return;
    const place = ["1", "2", "3"].indexOf(event.key), name = buttons[event.key.toLowerCase()];
    const capital = event.key !== event.key.toLowerCase() && !event.getModifierState("CapsLock"); // a question begins with one
    const vote = name && document.getElementById(name);
    const pick = place < 0 ? null : document.querySelectorAll("#panels .panel")[place]?.querySelector('button[data-slot]:not([aria-pressed="true"])');
    const button = works(vote) ? vote : pick, press = () => { if (works(button)) button.click(); };
    if (open() && (capital || !name) && /[\p{L}\p{N}]/u.test(event.key)) {
      event.preventDefault();
      write(open(), event.key);
    } else if (name && open() && !button?.matches(VOTES)) {
      event.preventDefault();
      waiting = {key: event.key, press, timer: setTimeout(() => { waiting = null; press(); }, MOMENT)};
    } else if (works(button)) {
      event.preventDefault();
      press();
    }
  });
}
