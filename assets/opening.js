// A question waits until its tab shows what the browser remembers: asked earlier, it would be answered and then forgotten.
{
  const opened = {}, open = {};
  for (const tab of ["compare", "teach"]) opened[tab] = new Promise(done => { open[tab] = done; });
  window.triptychOpened = tab => open[tab]();
  window.triptychOnceOpened = tab => opened[tab];
}
