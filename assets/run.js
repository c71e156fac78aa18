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
