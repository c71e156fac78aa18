// The Teach tab. Its value is what is to be ranked, as HTML, and what may be done with it; the ranking is made here and
// sent whole. The letters A to F rank, = joins the next one to the last, Backspace takes the last back, Enter stores; X
// opens the field for a better answer, N asks for the next one, U takes the ranking back. Enter while answers are written
// stops them, to rank what is there. While there is nothing to rank, whoever begins to write writes the next prompt: N and
// U then act only when no letter follows within a moment. Letters can also be dragged, pressed, or typed into the box. The
// last letter that is left goes last by itself.
window.triptychTeach = (element, props, trigger, watch) => {
  const {nodes, patchInside} = window.triptychTools;
  const find = id => document.getElementById(id);
  element.innerHTML = props.value.frame;
  const part = name => element.querySelector(name);
  const asked = part(".asked"), cards = part(".cards"), nothing = part(".nothing"), ranker = part(".ranker");
  const rail = part(".rail"), unranked = part(".unranked"), typed = part(".typed"), spoken = part(".spoken");
  let comparison = "", slots = [], tiers = [], joins = false, open = false, typing = false;

  const text = () => tiers.map(tier => tier.join(" = ")).join(" > ");
  const left = () => slots.filter(slot => !tiers.flat().includes(slot));
  const without = slot => tiers.map(tier => tier.filter(one => one !== slot)).filter(tier => tier.length);
  const settle = () => { // the only one that is left can only be last
    const rest = left();
    if (rest.length === 1 && tiers.length && !joins) tiers.push(rest);
  };

  const append = slot => {
    if (!slots.includes(slot)) return;
    tiers = without(slot);
    if (joins && tiers.length) tiers.at(-1).push(slot);
    else tiers.push([slot]);
    joins = false;
    settle();
    show();
  };
  const join = () => { // the next one to the last; once all are ranked, the last to the one before
    if (left().length) joins = tiers.length > 0;
    else if (tiers.length > 1) tiers.splice(-2, 2, [...tiers.at(-2), ...tiers.at(-1)]);
    show();
  };
  const back = () => {
    if (joins) joins = false;
    else if (tiers.length) {
      const full = !left().length && slots.length > 2;
      tiers = without(tiers.at(-1).at(-1));
      if (full && tiers.length) tiers = without(tiers.at(-1).at(-1)); // the last one came by itself
    }
    show();
  };
  const store = () => trigger("submit", {ranking: typing ? typed.value : text()});

  const token = slot => {
    const button = Object.assign(document.createElement("button"), {type: "button", className: "token", textContent: slot});
    button.dataset.slot = slot;
    button.disabled = !open;
    button.setAttribute("aria-label", cards.querySelector(`.pick[data-slot="${slot}"]`)?.getAttribute("aria-label") ?? slot);
    return button;
  };
  const mark = () => {
    const places = props.value.places ?? [];
    cards.querySelectorAll(".card").forEach(card => {
      const place = tiers.findIndex(tier => tier.includes(card.dataset.slot));
      const before = tiers.slice(0, Math.max(place, 0)).flat().length;
      const words = place < 0 ? "" : `${tiers[place].length > 1 ? "= " : ""}${places[before]}`;
      if (card.querySelector(".place").textContent !== words) card.querySelector(".place").textContent = words;
      card.dataset.mark = place === 0 ? "best" : "";
    });
  };
  const show = () => {
    const focused = document.activeElement?.closest?.(".token")?.dataset.slot;
    rail.replaceChildren(...tiers.map(tier => {
      const item = document.createElement("li");
      item.append(...tier.map(token));
      return item;
    }));
    unranked.replaceChildren(...left().map(token));
    if (!typing) typed.value = text() + (joins ? " = " : "");
    spoken.textContent = text();
    part(".store").disabled = !open;
    part(".back").disabled = !open || !tiers.length;
    mark();
    if (focused) element.querySelector(`.token[data-slot="${focused}"]`)?.focus();
  };

  // What is typed is read leniently here, so that "dca=b" is seen at once; what is wrong with it is said when it is sent.
  typed.addEventListener("input", () => {
    typing = true;
    const read = [];
    let equal = false;
    for (const sign of typed.value.toUpperCase()) {
      if (sign === "=") equal = read.length > 0;
      else if (slots.includes(sign) && !read.flat().includes(sign)) {
        if (equal) read.at(-1).push(sign);
        else read.push([sign]);
        equal = false;
      }
    }
    tiers = read;
    joins = false;
    if (!left().length && /^[A-Z\s=>]*[A-Z]\s*$/i.test(typed.value) && !/[=>]\s*[=>]/.test(typed.value)) {
      const letters = typed.value.toUpperCase().replace(/[^A-Z]/g, "");
      if (letters.length === slots.length) typing = false; // whole and clear: what is shown is what is sent
    }
    const kept = typed.value;
    show();
    if (document.activeElement === typed) typed.value = kept;
  });
  typed.addEventListener("blur", () => { if (!typed.value.trim()) typing = false; });
  typed.addEventListener("keydown", event => {
    if (event.key !== "Enter" || event.isComposing) return;
    event.preventDefault();
    store();
  });

  // Dragging: a letter dropped on others ties with them, between them it stands there, elsewhere it is not ranked.
  let dragged = null;
  element.addEventListener("pointerdown", event => {
    const button = event.target.closest(".token");
    if (!button || !open || event.button) return;
    dragged = {slot: button.dataset.slot, button, x: event.clientX, y: event.clientY, moved: false};
    button.setPointerCapture(event.pointerId);
  });
  const target = event => {
    const box = rail.getBoundingClientRect();
    if (event.clientY < box.top - 24 || event.clientY > box.bottom + 24 || event.clientX < box.left - 12) return null;
    const items = [...rail.children];
    for (const [place, item] of items.entries()) {
      const {left, right} = item.getBoundingClientRect();
      if (event.clientX < left) return {place, item: null};
      if (event.clientX <= right) return {place, item};
    }
    return event.clientX <= box.right + 12 ? {place: items.length, item: null} : null;
  };
  element.addEventListener("pointermove", event => {
    if (!dragged) return;
    const x = event.clientX - dragged.x, y = event.clientY - dragged.y;
    if (!dragged.moved && Math.hypot(x, y) < 5) return;
    dragged.moved = true;
    dragged.button.classList.add("dragged");
    dragged.button.style.transform = `translate(${x}px, ${y}px)`;
    const over = target(event)?.item;
    [...rail.children].forEach(item => item.classList.toggle("over", item === over && !item.contains(dragged.button)));
  });
  const drop = event => {
    if (!dragged) return;
    const {slot, moved} = dragged, at = moved && event.type === "pointerup" ? target(event) : null;
    dragged.button.classList.remove("dragged");
    dragged.button.style.transform = "";
    dragged = null;
    if (!moved) return;
    pressed = performance.now();
    if (event.type !== "pointerup") return show();
    typing = joins = false;
    const kept = tiers.map(tier => tier.filter(one => one !== slot));
    if (at?.item) kept[at.place].push(slot);
    else if (at) kept.splice(at.place, 0, [slot]);
    tiers = kept.filter(tier => tier.length);
    settle();
    show();
  };
  let pressed = -1000; // when a drag ended: the click that comes of it is none
  element.addEventListener("pointerup", drop);
  element.addEventListener("pointercancel", drop);

  element.addEventListener("click", event => {
    const button = event.target.closest("button");
    if (!button) return;
    const dropped = performance.now() - pressed < 250;
    if (button.matches(".token, .pick") && !dropped) { typing = false; append(button.dataset.slot); }
    if (button.matches(".back")) { typing = false; back(); }
    if (button.matches(".store")) store();
  });

  const better = () => {
    const open = tries => { // it comes a moment after the answers have ended, and closed
      const field = find("teach-written")?.querySelector("textarea");
      if (field?.offsetParent) return field.focus();
      find("teach-better")?.querySelector(".label-wrap:not(.open)")?.click();
      if (tries) setTimeout(() => open(tries - 1), 50);
    };
    open(40);
  };
  const MOMENT = 250; // milliseconds, in which the second letter of a word follows the first one
  let waiting = null; // a key that may yet turn out to be the first letter of a prompt
  const write = (box, text) => {
    box.focus();
    document.execCommand("insertText", false, text); // it can be undone, and the page hears of it
  };
  const seen = id => find(id)?.getClientRects().length > 0; // what is fixed to the window has no offsetParent
  const press = id => { if (seen(id) && !find(id).disabled) find(id).click(); };
  document.addEventListener("keydown", event => {
    if (!element.offsetParent || event.isComposing || document.querySelector("dialog[open]")) return;
    const box = find("teach-prompt")?.querySelector("textarea");
    if (event.ctrlKey || event.metaKey) {
      if (event.key === "Enter" && event.target.closest?.("#teach-better")) press("teach-save");
      return;
    }
    if (event.altKey || event.repeat) return;
    if (event.target === box && event.key === "Enter" && !event.shiftKey && box.value.trim()) setTimeout(leave);
    if (event.target.closest?.("input, textarea, select, [contenteditable=true], [role=listbox]")) return;
    const key = event.key, letter = key.toUpperCase();
    if (waiting) {
      const {first, act, timer} = waiting;
      clearTimeout(timer);
      waiting = null;
      if (!open && box?.offsetParent && key.length === 1 && !/\p{N}/u.test(key)) {
        event.preventDefault();
        return write(box, first + key);
      }
      act();
    }
    const act = {"=": join, "Backspace": back, "N": () => press("teach-next"), "U": () => press("teach-undo"), "X": better}[key.length > 1 ? key : letter];
    const capital = key !== key.toLowerCase() && !event.getModifierState("CapsLock");
    const rests = !open && box?.offsetParent && !seen("teach-stop"); // nothing to rank or to wait for
    const acts = !capital && (letter === "N" || (letter === "U" && seen("teach-undo")));
    if (rests && /^\p{L}$/u.test(key) && !acts) { // a prompt is begun
      event.preventDefault();
      write(box, key);
    } else if (rests && acts) {
      event.preventDefault();
      waiting = {first: key, act, timer: setTimeout(() => { waiting = null; act(); }, MOMENT)};
    } else if (key === "Enter" && !event.target.closest?.("button, a, summary, [role=tab]")) {
      event.preventDefault();
      if (open) store();
      else if (seen("teach-enough")) press("teach-enough");
      else box?.focus();
    } else if (open && key.length === 1 && slots.includes(letter)) {
      event.preventDefault();
      typing = false;
      append(letter);
    } else if (act && (open || letter === "N" || letter === "U")) {
      event.preventDefault();
      typing = false;
      act();
    }
  });
  const leave = () => { // the keys work from the answers
    cards.tabIndex = -1;
    cards.focus({preventScroll: true});
  };
  document.addEventListener("click", event => { if (event.target.closest?.("#teach-send, #teach-next")) setTimeout(leave); });

  const paint = () => {
    const value = props.value;
    if (value.html === undefined) return;
    asked.replaceChildren(nodes(value.question));
    patchInside(cards, nodes(value.html));
    cards.querySelectorAll(".drafts li").forEach(draft => { draft.scrollTop = draft.scrollHeight; }); // what came last
    cards.dataset.count = value.slots.length;
    nothing.hidden = value.slots.length > 0;
    if (value.comparison !== comparison || value.ranked) {
      comparison = value.comparison;
      tiers = value.ranked ?? [];
      joins = typing = false;
    }
    const wasOpen = open;
    slots = value.slots;
    open = value.open;
    ranker.hidden = !slots.length;
    typed.disabled = !open;
    show();
    if (wasOpen && !open && (!document.activeElement || document.activeElement === document.body)) leave();
  };
  watch("value", paint);
  paint();
  const opened = () => {
    if (window.triptychTeachWaits) trigger("select", {comparison: window.triptychTeachWaits});
    window.triptychTeachWaits = "";
  };
  document.addEventListener("triptych-teach", opened);
  opened();
};
// What the history opens here: the tab is shown first, which may have to be made for it.
window.triptychTeachOpen = comparison => {
  window.triptychTeachWaits = comparison;
  document.querySelector("#tabs [role=tab][data-tab-id=teach]")?.click();
  document.dispatchEvent(new Event("triptych-teach"));
};
