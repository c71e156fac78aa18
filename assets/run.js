// The page of a run and the list of runs: what is clicked, which run it is set beside, what was typed in its form.
window.triptychRun = (element, props, trigger) => {
  element.addEventListener("click", event => {
    const button = event.target.closest("button[data-act]");
    if (button && button.type === "button") trigger("select", {act: button.dataset.act, id: Number(button.dataset.id)});
  });
  element.addEventListener("change", event => {
    const list = event.target.closest("select[data-beside]");
    if (!list || !list.value) return;
    const both = document.getElementById("runs-compared"), wanted = `[data-both="${list.dataset.beside}-${list.value}"]`;
    new MutationObserver((_, seen) => {
      if (!both.querySelector(wanted)) return;
      seen.disconnect();
      requestAnimationFrame(() => both.scrollIntoView({block: "start"}));
    }).observe(both, {childList: true, subtree: true});
    trigger("select", {act: "beside", id: Number(list.dataset.beside), other: Number(list.value)});
  });
  element.addEventListener("submit", event => {
    event.preventDefault();
    const form = event.target, values = {};
    for (const field of form.elements)
      if (field.dataset.was !== undefined && field.value !== field.dataset.was) values[field.name] = field.value;
    trigger("select", {act: "again", id: Number(form.dataset.id), method: form.elements.method.value, values});
  });
  let shown = "";
  new MutationObserver(() => {  // a run that is picked comes into sight
    const run = element.querySelector("[data-run]")?.dataset.run ?? "";
    if (run && run !== shown) element.scrollIntoView({block: "start"});
    shown = run;
  }).observe(element, {childList: true, subtree: true});
};
// What was unfolded stays so while it is written anew; a log shows its end until somebody scrolls up.
const unfolded = new Set();
window.triptychUnfolded = element => {
  let top = Infinity;
  const toEnd = () => { for (const log of element.querySelectorAll("pre.log")) log.scrollTop = Math.min(top, log.scrollHeight); };
  const restore = () => {
    for (const part of element.querySelectorAll("details[data-keep]"))
      if (unfolded.has(part.dataset.keep) && !part.open) part.open = true;
    toEnd();
  };
  element.addEventListener("click", event => {
    const part = event.target.closest("summary")?.parentElement;
    if (part?.dataset.keep) unfolded[part.open ? "delete" : "add"](part.dataset.keep);  // a click comes before its effect
  });
  element.addEventListener("toggle", toEnd, true);
  element.addEventListener("scroll", ({target}) => {
    if (target.matches("pre.log")) top = target.scrollTop + target.clientHeight >= target.scrollHeight - 8 ? Infinity : target.scrollTop;
  }, true);
  restore();
  // Gradio patches the old elements until they match the new HTML, which takes `open` away.
  new MutationObserver(restore).observe(element, {childList: true, subtree: true, characterData: true, attributeFilter: ["open"]});
};
