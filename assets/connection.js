// The connection to the app: one quiet sentence while it is lost, and nothing typed is lost when the page comes back.
// Gradio notices a broken connection, says so in a toast, and loads the page anew once the app answers again; the toast
// is hidden (states.css), and what stands in the boxes is carried over to the new page.
{
  const KEY = "triptych-draft", BOXES = ["#prompt textarea", "#written textarea"];
  const LOST = "Connection to the server was lost"; // Gradio's words; tests/e2e/test_states.py fails when they change
  const page = document.documentElement;
  let asked = ""; // the question that is being answered: it left the box, and is put back if no answer comes

  const box = place => document.querySelector(BOXES[place]);
  const keep = event => {
    if (event.target === box(0) && event.type === "keydown" && event.key === "Enter" && !event.shiftKey) asked = box(0).value;
    if (event.type === "click" && event.target.closest?.("#send")) asked = box(0)?.value ?? "";
    if (event.type === "click") asked = event.target.closest?.("button[data-prompt]")?.dataset.prompt ?? asked;
  };
  document.addEventListener("keydown", keep, true);
  document.addEventListener("click", keep, true);

  addEventListener("pagehide", () => {
    if (!page.classList.contains("offline")) return;
    const [typed, written] = [0, 1].map(place => box(place)?.value ?? "");
    const unanswered = document.querySelector("#stop") ? asked : "";
    const question = [unanswered, typed].filter(text => text.trim()).join("\n");
    try { sessionStorage.setItem(KEY, JSON.stringify([question, written])); } catch { /* a browser may keep nothing */ }
  });

  const fill = (field, text) => {
    field.value = text;
    field.dispatchEvent(new Event("input", {bubbles: true}));
  };
  const bringBack = () => {
    let drafts;
    try {
      drafts = JSON.parse(sessionStorage.getItem(KEY)) ?? [];
      sessionStorage.removeItem(KEY);
    } catch { return; }
    drafts.forEach((text, place) => {
      if (!text) return;
      const waiting = setInterval(() => { // the second box is there with a question only
        if (!box(place)) return;
        clearInterval(waiting);
        if (!box(place).value) fill(box(place), text);
      }, 200);
    });
  };

  const watchFor = setInterval(() => {
    const toasts = document.querySelector(".toast-wrap");
    if (!toasts) return;
    clearInterval(watchFor);
    const look = () => { if (toasts.textContent.includes(LOST)) page.classList.add("offline"); };
    new MutationObserver(look).observe(toasts, {childList: true, subtree: true, characterData: true});
    look();
    bringBack();
  }, 100);
}
