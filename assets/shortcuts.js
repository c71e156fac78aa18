// 1 2 3 0 X N press the vote buttons; these keys are left alone while a field has focus. Escape, or a click elsewhere,
// closes the settings.
const buttons = {"1": "best-1", "2": "best-2", "3": "best-3", "0": "tie", "x": "all-bad", "n": "next"};
const closeSettings = () => document.querySelector("#settings > button.open")?.click();
document.addEventListener("click", event => {
  if (event.isTrusted && !event.composedPath().some(node => node.id === "settings")) closeSettings();
});
document.addEventListener("keydown", event => {
  if (event.key === "Escape" && !event.isComposing) closeSettings();
  if (event.ctrlKey || event.metaKey || event.altKey || event.repeat) return;
  if (event.target.closest?.("input, textarea, select, [contenteditable=true]")) return;
  const button = document.getElementById(buttons[event.key.toLowerCase()]);
  if (!button || button.disabled || button.offsetParent === null) return;
  event.preventDefault();
  button.click();
});
