// What a visitor chose stands in the page's address, so that a link opens the same view again.
window.relatent = {
  // What the link asked for, before any part of the page has put its own value there.
  asked: location.search,
  // A value of null is the usual one, which is left out.
  remember(name, value) {
    const address = new URL(location.href);
    if (value === null) address.searchParams.delete(name);
    else address.searchParams.set(name, value);
    if (address.href !== location.href) history.replaceState(history.state, "", address);
    return value;
  },
};
