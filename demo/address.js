// What a visitor chose stands in the page's address, so that a link opens the same view again.
window.relatent = {
  // What the link asked for, before any part of the page has put its own value there.
  asked: location.search,
  remember(name, value) {
    const address = new URL(location.href);
    if (value === null) address.searchParams.delete(name);
    else address.searchParams.set(name, value);
    if (address.href !== location.href) history.replaceState(history.state, "", address);
    return value;
  },
  // The first change of all is the page's own, when it lists the models: what stands there by itself is left out.
  remember_all([model, component, everything, temperature, seed]) {
    if (!model) return [];
    relatent.remember("model", model);
    relatent.remember("component", everything ? null : component);
    relatent.remember("temperature", temperature === 1 ? null : temperature);
    relatent.remember("seed", seed ? seed : null);
    return [];
  },
};
