// Back and forward go through the tabs that a visitor has opened; what every tab was set to stays as it is.
window.addEventListener("popstate", () => {
  const tab = new URLSearchParams(location.search).get("tab") || "explore";
  const address = new URL(location.href);
  address.search = relatent.kept;
  address.searchParams.set("tab", tab);
  history.replaceState(history.state, "", address);
  relatent.kept = address.search;
  relatent.tab = relatent.going = tab;
  trigger("input");
});
