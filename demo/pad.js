// The drawing pad: strokes, an uploaded file, a pasted or a dropped picture all become one data URL in `props.value`.
const canvas = element.querySelector("canvas");
const pen = canvas.getContext("2d");
const file = element.querySelector("input[type=file]");
const problem = element.querySelector(".pad-problem");
const LARGEST_SIDE = 512;

function clear() {
  pen.fillStyle = "#fff";
  pen.fillRect(0, 0, canvas.width, canvas.height);
  problem.textContent = "";
}

function hand_over(url) {
  props.value = url;
  trigger("submit");
}

function draw_within(target, picture, side) {
  const scale = Math.min(1, side / Math.max(picture.naturalWidth, picture.naturalHeight));
  target.width = Math.max(1, Math.round(picture.naturalWidth * scale));
  target.height = Math.max(1, Math.round(picture.naturalHeight * scale));
  target.getContext("2d").drawImage(picture, 0, 0, target.width, target.height);
}

// A small picture goes as it is, pixel for pixel; a photograph is scaled down first.
function take(blob) {
  const reader = new FileReader();
  reader.onerror = () => { problem.textContent = "This file cannot be read."; };
  reader.onload = () => {
    const picture = new Image();
    picture.onerror = () => { problem.textContent = "This file is not a picture that the browser can read."; };
    picture.onload = () => {
      clear();
      const scale = Math.min(canvas.width / picture.naturalWidth, canvas.height / picture.naturalHeight);
      const width = picture.naturalWidth * scale, height = picture.naturalHeight * scale;
      pen.imageSmoothingEnabled = scale < 1;
      pen.drawImage(picture, (canvas.width - width) / 2, (canvas.height - height) / 2, width, height);
      if (Math.max(picture.naturalWidth, picture.naturalHeight) <= LARGEST_SIDE && blob.type !== "image/svg+xml") {
        hand_over(reader.result);
        return;
      }
      const smaller = document.createElement("canvas");
      draw_within(smaller, picture, LARGEST_SIDE);
      hand_over(smaller.toDataURL("image/png"));
    };
    picture.src = reader.result;
  };
  reader.readAsDataURL(blob);
}

function take_first_picture(items) {
  const picture = Array.from(items || []).find((item) => item.type.startsWith("image/"));
  if (picture) take(picture);
  return picture !== undefined;
}

function take_or_tell(files) {
  if (take_first_picture(files)) return;
  problem.textContent = "This is not a picture: choose a PNG, JPEG, WebP, GIF or BMP file.";
}

function position(event) {
  const box = canvas.getBoundingClientRect();
  return [(event.clientX - box.left) * canvas.width / box.width, (event.clientY - box.top) * canvas.height / box.height];
}

function start_stroke(event) {
  if (event.button !== 0) return;
  canvas.setPointerCapture(event.pointerId);
  pen.strokeStyle = "#000";
  pen.lineWidth = 22;
  pen.lineCap = pen.lineJoin = "round";
  pen.beginPath();
  pen.moveTo(...position(event));
  extend_stroke(event);
}

function extend_stroke(event) {
  if (!canvas.hasPointerCapture(event.pointerId)) return;
  pen.lineTo(...position(event));
  pen.stroke();
}

canvas.addEventListener("pointerdown", start_stroke);
canvas.addEventListener("pointermove", extend_stroke);
canvas.addEventListener("pointerup", () => hand_over(canvas.toDataURL("image/png")));
element.querySelector("button").addEventListener("click", () => { clear(); file.value = ""; hand_over(""); });
file.addEventListener("change", () => file.files.length && take_or_tell(file.files));
element.addEventListener("dragover", (event) => event.preventDefault());
element.addEventListener("drop", (event) => { event.preventDefault(); take_or_tell(event.dataTransfer.files); });
document.addEventListener("paste", (event) => {
  if (element.offsetParent) take_first_picture(event.clipboardData.files);
});
document.addEventListener("relatent-picture", async (event) => take(await (await fetch(event.detail)).blob()));
clear();
