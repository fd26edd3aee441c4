// What a visitor chose stands in the page's address, so that a link opens the same view again.
window.relatent = {
  // What the link asked for, before any part of the page has put its own value there.
  asked: location.search,
  // The address as the page has it, which going back must not undo.
  kept: location.search,
  // Whether a visitor has just clicked on a tab: then the browser's back button leads to the one before.
  clicked: false,
  // The tab that the browser's buttons lead to, until it is open: one on the way there must not name itself meanwhile.
  going: null,
  // A value of null is the usual one, which is left out.
  remember(name, value) {
    if (name === "tab") {
      // A busy browser tells late, and again, of a tab that was left meanwhile.
      value = document.querySelector('[role="tab"][aria-selected="true"]')?.dataset.tabId ?? value;
      if (!this.clicked && this.going !== null && this.going !== value) return value;
      this.going = null;
    }
    const address = new URL(location.href);
    if (value === null) address.searchParams.delete(name);
    else address.searchParams.set(name, value);
    const visit = name === "tab" && this.clicked;
    if (name === "tab") this.clicked = false;
    if (address.href !== location.href) history[visit ? "pushState" : "replaceState"](history.state, "", address);
    this.kept = address.search;
    return value;
  },
};

document.addEventListener("click", (event) => {
  if (event.isTrusted && event.target.closest('[role="tab"], .overflow-dropdown button')) relatent.clicked = true;
}, true);
