// 1 2 3 0 X press the vote buttons, and after the vote 1 2 3 pick the answer to go on from and Z takes the vote back; C
// begins a new chat and Enter leads into the box for the question. These keys are left alone while a field has focus.
// Enter in the box asks and leaves it, so that the keys vote. Escape, or a click elsewhere, closes the settings.
const buttons = {"1": "best-1", "2": "best-2", "3": "best-3", "0": "tie", "x": "all-bad", "z": "undo", "c": "new-chat"};
const closeSettings = () => document.querySelector("#settings > button.open")?.click();
const works = button => button && !button.disabled && button.offsetParent !== null;
document.addEventListener("click", event => {
  if (event.isTrusted && !event.composedPath().some(node => node.id === "settings")) closeSettings();
});
document.addEventListener("keydown", event => {
  if (event.key === "Escape" && !event.isComposing) closeSettings();
  if (event.ctrlKey || event.metaKey || event.altKey || event.repeat || event.isComposing) return;
  const box = document.querySelector("#prompt textarea");
  if (event.key === "Enter" && !event.shiftKey && event.target === box && box.value.trim()) setTimeout(() => leave(box));
  if (event.target.closest?.("input, textarea, select, [contenteditable=true]")) return;
  if (event.key === "Enter") {
    if (box?.offsetParent && !event.target.closest?.("button, a, summary, [role=tab]")) {
      event.preventDefault();
      box.focus();
    }
    return;
  }
  const place = ["1", "2", "3"].indexOf(event.key);
  const vote = document.getElementById(buttons[event.key.toLowerCase()]);
  const pick = place < 0 ? null : document.querySelectorAll("#panels .panel")[place]?.querySelector('button[data-slot]:not([aria-pressed="true"])');
  const button = works(vote) ? vote : pick;
  if (!works(button)) return;
  event.preventDefault();
  button.click();
});
const leave = box => {
  const panels = document.getElementById("panels");
  if (!panels) return box.blur();
  panels.tabIndex = -1;
  panels.focus({preventScroll: true});
};
