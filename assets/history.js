// The drawer with one's own conversations. "History" (H) opens it; Escape, H or a click elsewhere closes it, and the focus
// returns. Its value holds the frame at first, then what was found, or one entry that has changed.
window.triptychHistory = (element, props, trigger, watch) => {
  element.innerHTML = props.value.frame;
  const drawer = element.querySelector(".drawer"), field = drawer.querySelector("input"), why = drawer.querySelector("select");
  const list = drawer.querySelector("ol"), said = drawer.querySelector(".found");
  const opener = () => document.getElementById("history-open");
  let searched = "", wait = 0;

  const find = (after = null) => trigger("input", {search: searched = field.value, after, reason: why.value});
  const close = focus => {
    if (drawer.hidden) return;
    drawer.hidden = true;
    opener()?.setAttribute("aria-expanded", "false");
    if (focus) opener()?.focus();
  };
  const toggle = () => {
    if (!drawer.hidden) return close(true);
    drawer.hidden = false;
    opener().setAttribute("aria-expanded", "true");
    find();
    field.focus();
  };

  field.addEventListener("input", () => {
    clearTimeout(wait);
    wait = setTimeout(() => { if (field.value !== searched) find(); }, 200);
  });
  why.addEventListener("change", () => find());
  drawer.addEventListener("click", event => {
    const button = event.target.closest("button");
    if (button?.matches(".close")) close(true);
    if (button?.dataset.after) find(button.dataset.after);
    if (button?.dataset.vote) trigger("undo", {vote: Number(button.dataset.vote), entry: button.closest("li").dataset.entry});
    if (button?.dataset.teach) {
      close(false);
      window.triptychTeachOpen(button.dataset.teach);
    }
    if (button?.dataset.comparison) {
      trigger("select", {comparison: button.dataset.comparison});
      close(true);
    }
  });
  drawer.addEventListener("keydown", event => { if (event.key === "Escape") { event.stopPropagation(); close(true); } });
  document.addEventListener("keydown", event => { if (event.key === "Escape") close(true); });
  document.addEventListener("click", event => {
    if (event.target.closest?.("#history-open")) toggle();
    else if (event.isTrusted && !event.composedPath().includes(element)) close(false);
  });

  watch("value", () => {
    const {html, after, entry, words} = props.value;
    said.textContent = words ?? "";
    if (html === undefined) return;
    const fresh = Object.assign(document.createElement("template"), {innerHTML: html}).content;
    if (entry) {
      const old = [...list.children].find(one => one.dataset.entry === entry);
      const focused = old?.contains(document.activeElement);
      const next = fresh.firstElementChild;
      if (next) old?.replaceWith(next); else old?.remove();
      if (focused) (next?.querySelector("button") ?? field).focus();
    } else if (after) {
      list.querySelector(".more")?.remove();
      const first = fresh.querySelector("button");
      list.append(fresh);
      first?.focus();
    } else {
      list.replaceChildren(fresh);
      list.scrollTop = 0;
    }
  });
};
