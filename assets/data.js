// The list of the Data tab: its buttons say what they do by data-act and to what by data-id.
window.triptychData = (element, props, trigger) => {
  element.addEventListener("click", event => {
    const button = event.target.closest("button[data-act]");
    if (button) trigger("select", {act: button.dataset.act, id: button.dataset.id});
  });
};
// On a phone the sections below the list are folded until their heading is pressed.
document.addEventListener("click", event => {
  const button = event.target.closest?.(".unfold-part"), section = button?.closest(".section");
  if (!section) return;
  const unfolded = section.toggleAttribute("data-unfolded");
  button.setAttribute("aria-expanded", unfolded);
});
