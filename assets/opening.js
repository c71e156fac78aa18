// A window that shows for the first time what the browser remembers says that it is the last conversation.
window.triptychIsNewWindow = () => {
  try {
    const known = sessionStorage.getItem("triptych-window");
    sessionStorage.setItem("triptych-window", "known");
    return !known;
  } catch { return false; } // a browser may keep nothing
};
// The page is whole once its last button is there; triptych.css hides until then what is pushed down.
{
  const waiting = new MutationObserver(() => {
    if (!document.getElementById("new-chat")) return;
    document.documentElement.classList.add("whole");
    waiting.disconnect();
  });
  waiting.observe(document.documentElement, {childList: true, subtree: true});
}
// A question waits until its tab shows what the browser remembers: asked earlier, it would be answered and then forgotten.
{
  const opened = {}, open = {};
  for (const tab of ["compare", "teach"]) opened[tab] = new Promise(done => { open[tab] = done; });
  window.triptychOpened = tab => open[tab]();
  window.triptychOnceOpened = tab => opened[tab];
}
