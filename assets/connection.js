// The connection to the app: one quiet sentence while it is lost. Gradio notices a broken connection, says so in a toast,
// and loads the page anew once the app answers again; the toast is hidden (states.css).
// Nothing typed is lost when a page is loaded anew: what stands in the boxes is carried over. A question that was being
// answered is back in its box; what was typed behind it follows once that is asked again. What came back is selected when
// the box is gone into, so that a new question takes its place and does not join it.
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
    const [typed, written] = [0, 1].map(place => box(place)?.value ?? "");
    const questions = [document.querySelector("#stop") ? asked : "", typed].filter(text => text.trim());
    try { sessionStorage.setItem(KEY, JSON.stringify({questions, written})); } catch { /* a browser may keep nothing */ }
  });

  const fill = (field, text) => {
    field.value = text;
    field.dispatchEvent(new Event("input", {bubbles: true}));
  };
  const once = (holds, act) => {
    const waiting = setInterval(() => {
      if (!holds()) return;
      clearInterval(waiting);
      act();
    }, 200);
  };
  let back = ""; // what came back and was not gone into yet
  const came = () => { if (document.activeElement !== box(0)) back = box(0).value; };
  const bringBack = () => {
    let drafts;
    try {
      drafts = JSON.parse(sessionStorage.getItem(KEY)) ?? {};
      sessionStorage.removeItem(KEY);
    } catch { return; }
    const [question, next] = drafts.questions ?? [], {written} = drafts;
    once(() => box(0), () => { // a browser may have brought a text back by itself
      if (question && (!box(0).value || box(0).value === next)) fill(box(0), question);
      came();
    });
    if (next) once(() => asked && !box(0)?.value, () => fill(box(0), next));
    if (written) once(() => box(1), () => { if (!box(1).value) fill(box(1), written); }); // it is there with a question only
  };
  document.addEventListener("pointerdown", event => { if (event.target === box(0)) back = ""; }, true);
  document.addEventListener("focusin", event => {
    if (event.target !== box(0)) return;
    if (back && box(0).value === back) box(0).select();
    back = "";
  });

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
