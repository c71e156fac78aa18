// The conversation above the panels. Only what differs is changed, so that what was unfolded and scrolled to stays. A click
// on who answered unfolds what the others said; a link to the comparison is made of the address at which the page is shown.
window.triptychTurns = (element, props, trigger, watch) => {
  const {nodes, patchInside, copied} = window.triptychTools;
  const unfolded = new Set(); // comparisons
  let opening = -1; // the place of the turn of which another version is on its way

  const unfold = turn => {
    const open = unfolded.has(turn.dataset.comparison);
    turn.querySelector(".who").setAttribute("aria-expanded", open);
    turn.querySelector(".others").hidden = !open;
  };
  const paint = () => {
    if (element.firstElementChild) patchInside(element, nodes(props.value));
    else element.append(nodes(props.value));
    element.querySelectorAll(".turn:has(.who)").forEach(unfold);
    if (opening >= 0) element.querySelectorAll(".turn")[opening]?.scrollIntoView({block: "nearest"});
    opening = -1;
  };

  element.addEventListener("click", event => {
    const button = event.target.closest("button"), turn = button?.closest(".turn");
    if (!button) return;
    const comparison = turn?.dataset.comparison;
    if (button.matches(".who")) {
      if (!unfolded.delete(comparison)) unfolded.add(comparison);
      unfold(turn);
      turn.querySelector(".others").scrollIntoView({block: "nearest"});
      button.scrollIntoView({block: "nearest"});
    }
    if (button.matches(".edit")) trigger("edit", {comparison});
    if (button.matches(".begin")) document.querySelector("#new-chat").click();
    if (button.matches(".leave")) trigger("clear");
    if (button.matches(".again")) trigger("retry");
    if (button.dataset.open) {
      opening = [...element.querySelectorAll(".turn")].indexOf(turn);
      trigger("select", {comparison: button.dataset.open});
    }
    if (button.matches(".link")) copied(`${location.origin}${location.pathname}?comparison=${comparison}`, button);
  });
  document.addEventListener("keydown", event => {
    if (event.key === "Escape" && !event.isComposing && event.target.closest?.("#prompt")) element.querySelector(".leave")?.click();
  });
  watch("value", paint);
  paint();
};
