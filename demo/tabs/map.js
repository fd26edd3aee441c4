// A click chooses the point under it, or the place where there is none; arrow keys move the chosen place.
const STEP = 10;
const STEPS = { ArrowLeft: [-STEP, 0], ArrowRight: [STEP, 0], ArrowUp: [0, -STEP], ArrowDown: [0, STEP] };

function choose(place) {
  relatent.place = place;
  trigger("input");
}

function name_place(x, y) {
  return `${x.toFixed(1)},${y.toFixed(1)}`;
}

element.addEventListener("click", (event) => {
  const svg = event.target.closest("svg");
  if (!svg) return;
  const item = event.target.closest("[data-item]");
  const place = new DOMPoint(event.clientX, event.clientY).matrixTransform(svg.getScreenCTM().inverse());
  choose(item ? item.dataset.item : name_place(place.x, place.y));
});

// The drawing is replaced with every choice; what surrounds it keeps the keyboard's focus.
element.tabIndex = 0;
element.setAttribute("role", "application");
element.setAttribute("aria-label", "Map: arrow keys move the chosen place");
element.addEventListener("keydown", (event) => {
  const step = STEPS[event.key], chosen = element.querySelector(".chosen");
  if (!step || !chosen) return;
  event.preventDefault();
  choose(name_place(Number(chosen.getAttribute("cx")) + step[0], Number(chosen.getAttribute("cy")) + step[1]));
});
