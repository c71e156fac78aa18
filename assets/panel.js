// A panel of the Compare tab. Its value is its frame as HTML, and what it says: the text exactly as it was written, and
// the same as blocks of HTML. Only what differs from what stands there is changed, so that while an answer grows a
// selection, a place scrolled to and what was opened stay as they are.
{
  const nodes = html => Object.assign(document.createElement("template"), {innerHTML: html}).content;

  const write = (node, text) => {
    if (text === node.data) return;
    // To append leaves a selection in the text alone; to set the data would collapse it.
    if (text.startsWith(node.data)) node.appendData(text.slice(node.data.length));
    else node.data = text;
  };

  const patch = (old, fresh) => {
    for (const {name} of [...old.attributes]) {
      if (!fresh.hasAttribute(name) && name !== "open") old.removeAttribute(name);
    }
    for (const {name, value} of fresh.attributes) {
      if (old.getAttribute(name) !== value) old.setAttribute(name, value);
    }
    if (!fresh.hasAttribute("data-filled")) patchInside(old, fresh);
  };

  const patchInside = (old, fresh) => {
    const had = [...old.childNodes], has = [...fresh.childNodes];
    has.forEach((node, place) => {
      const was = had[place];
      if (!was) old.append(node);
      else if (was.nodeName !== node.nodeName) was.replaceWith(node);
      else if (was.nodeType === Node.TEXT_NODE) write(was, node.data);
      else if (was.nodeType === Node.ELEMENT_NODE) patch(was, node);
    });
    had.slice(has.length).forEach(node => node.remove());
  };

  const fillWithBlocks = (place, joined) => {
    const blocks = joined.flatMap(some => some.split("<!-- -->")), had = place.blocks ?? []; // joined by ui/panels.py
    if (!had.length) place.replaceChildren();
    blocks.forEach((html, number) => {
      if (html === had[number]) return;
      const block = place.children[number];
      if (block) return patchInside(block, nodes(html));
      const fresh = Object.assign(document.createElement("div"), {dir: "auto"});
      fresh.append(nodes(html));
      place.append(fresh);
    });
    while (place.children.length > blocks.length) place.lastElementChild.remove();
    place.blocks = blocks;
  };

  // A word that is added has the whole block around it laid out anew, so a long text stands in blocks of some lines.
  const fillWithText = (place, text) => {
    if (place.blocks) place.replaceChildren();
    place.blocks = null;
    const blocks = text.match(/[^]{2000,}?\n|[^]+$/g) ?? [];
    blocks.forEach((lines, number) => {
      const block = place.children[number];
      if (block) return write(block.firstChild, lines);
      const fresh = document.createElement("div");
      fresh.append(lines);
      place.append(fresh);
    });
    while (place.children.length > blocks.length) place.lastElementChild.remove();
  };

  const copied = async (text, button) => {
    try {
      await navigator.clipboard.writeText(text);
    } catch { // a page that came over plain HTTP from another computer has no clipboard of its own
      const field = Object.assign(document.createElement("textarea"), {value: text, readOnly: true});
      field.style.cssText = "position: fixed; opacity: 0";
      document.body.append(field);
      field.select();
      document.execCommand("copy");
      field.remove();
      button.focus({preventScroll: true});
    }
    button.dataset.done = "true";
    setTimeout(() => delete button.dataset.done, 1500);
  };

  window.triptychTools = {nodes, patchInside, copied}; // for assets/turns.js, too

  document.addEventListener("click", event => {
    const button = event.target.closest?.(".code .copy");
    if (button) copied(button.closest(".code").querySelector("code").textContent, button);
  });

  window.triptychPanel = (element, props, trigger, watch) => {
    let picked = null, plain = false, text = "", waits = false;

    const paint = () => {
      waits = false;
      const value = props.value;
      // A vote that tells the name of a base model does not set its text anew.
      if (!value.plain || !text || !value.text.startsWith(text)) plain = value.plain;
      if (!value.text.startsWith(text)) delete element.dataset.unfolded; // another question's answer
      text = value.text;
      const asText = picked ?? plain;
      if (element.firstElementChild) patchInside(element, nodes(value.frame));
      else element.append(nodes(value.frame));
      element.dataset.view = asText ? "plain" : "formatted";
      const answer = element.querySelector(".answer"), thought = element.querySelector(".thought > div");
      if (!answer) return;
      element.querySelector(".view").setAttribute("aria-pressed", asText);
      // A base model often begins with empty lines; who asks for the plain text sees them.
      if (asText) fillWithText(answer, picked ? value.text : value.text.replace(/^(\s*\n)+/, ""));
      else fillWithBlocks(answer, value.answer);
      fillWithBlocks(thought, value.thought);
    };

    element.addEventListener("click", event => {
      if (event.target.closest(".unfold")) {
        element.dataset.unfolded = "";
        element.querySelector(".text").focus({preventScroll: true});
      }
      const button = event.target.closest("footer button");
      if (button?.matches(".copy")) copied(props.value.text, button);
      if (button?.matches(".view")) {
        picked = !(picked ?? plain);
        paint();
      }
      if (button?.dataset.slot) trigger("click", {slot: button.dataset.slot});
    });
    watch("value", () => {
      if (!waits) requestAnimationFrame(paint); // the three panels at once, and no more often than is seen
      waits = true;
    });
    paint();
  };
}
