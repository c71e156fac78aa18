// 1 2 3 0 X N press the vote buttons; these keys are left alone while a field has focus. Escape closes the settings.
const buttons = {"1": "best-1", "2": "best-2", "3": "best-3", "0": "tie", "x": "all-bad", "n": "next"};
document.addEventListener("keydown", event => {
  if (event.key === "Escape" && !event.isComposing) document.querySelector("#settings > button.open")?.click();
  if (event.ctrlKey || event.metaKey || event.altKey || event.repeat) return;
  if (event.target.closest?.("input, textarea, select, [contenteditable=true]")) return;
  const button = document.getElementById(buttons[event.key.toLowerCase()]);
  if (!button || button.disabled || button.offsetParent === null) return;
  event.preventDefault();
  button.click();
});
