// The hint on the three panels: shown until it has been read once in this browser, and again when it is asked for.
// Who has voted knows what it says: it goes with the next question, not at once, so that nothing moves under the pointer.
{
  const KEY = "triptych-hint", page = document.documentElement;
  const kept = () => { try { return localStorage.getItem(KEY); } catch { return null; } }; // a browser may keep nothing
  const show = shown => page.classList.toggle("hint-read", !shown);
  const read = () => { try { localStorage.setItem(KEY, "read"); } catch { /* then it comes back with the next visit */ } };
  show(!kept());
  document.addEventListener("keydown", event => {
    if (event.key === "Enter" && !event.shiftKey && event.target.closest?.("#prompt") && kept()) show(false);
  });
  document.addEventListener("click", event => {
    const clicked = places => event.target.closest?.(places);
    if (clicked("#hint button")) {
      read();
      show(false);
      document.querySelector("#prompt textarea")?.focus();
    }
    if (clicked("#votes .best, #tie, #all-bad")) read();
    if (clicked("#send, #next, .chips [data-prompt]") && kept()) show(false);
    if (clicked("button.what")) {
      show(true);
      const hint = document.getElementById("hint");
      hint.scrollIntoView({block: "nearest"});
      hint.querySelector("button").focus({preventScroll: true});
    }
  });
}
