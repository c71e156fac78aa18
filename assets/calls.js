// What is told of one answer, in a dialog: the call that makes it again, or what RLHF changed about it. A button for it opens
// it; Escape, its button or a click beside it closes it, and the browser returns the focus. The address of the page is put in
// here: only a browser knows it.
window.triptychCalls = (element, props, trigger, watch) => {
  const dialog = document.createElement("dialog");
  dialog.className = "calls";
  dialog.innerHTML = '<header><h2></h2><button type="button" class="close">×</button></header><div></div>';
  dialog.setAttribute("aria-label", props.value.title);
  dialog.querySelector("h2").textContent = props.value.title;
  dialog.querySelector(".close").setAttribute("aria-label", props.value.close);
  const {opener} = props.value;
  const body = dialog.querySelector("div");
  element.replaceChildren(dialog);

  document.addEventListener("click", event => {
    const button = event.target.closest?.(opener);
    if (!button) return;
    body.textContent = props.value.waiting ?? "";
    dialog.showModal();
    trigger("select", {slot: button.dataset.call});
  });
  dialog.addEventListener("click", event => {
    if (event.target === dialog || event.target.closest(".close")) dialog.close();
  });
  watch("value", () => {
    if (props.value.html === undefined) return;
    body.innerHTML = props.value.html;
    const address = (location.origin + location.pathname).replace(/\/$/, "");
    body.querySelectorAll("code").forEach(code => { code.textContent = code.textContent.replace("ADDRESS-OF-THIS-PAGE", () => address); });
  });
};
