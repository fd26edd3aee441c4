// Drawing that takes longer than a moment is told, to eyes and to screen readers, in one place for all tabs.
const MOMENT_MS = 300;
let waiting = null;

function look() {
  const busy = document.querySelector(".html-container.pending") !== null;
  if (busy && waiting === null) {
    waiting = setTimeout(() => { element.innerHTML = "<p>Working …</p>"; }, MOMENT_MS);
  } else if (!busy && waiting !== null) {
    clearTimeout(waiting);
    waiting = null;
    element.innerHTML = "";
  }
}

element.setAttribute("role", "status");
new MutationObserver(look).observe(document.body, { subtree: true, attributeFilter: ["class"] });
