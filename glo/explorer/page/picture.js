// The panel "Your picture": a drawing or a picture of the user, to which a code is fitted.

import { channels, content, height, width } from "./content.js";
import { candidates, fit } from "./fit.js";
import { decode } from "./model.js";
import { psnr, show } from "./pixels.js";
import { prepare } from "./resize.js";
import { announce, current, take } from "./state.js";

const SIDE = 280; // pixels of the drawing, along the longer side
const MOST_BYTES = 32 << 20;
const MOST_PIXELS = 50_000_000;
const TYPES = ["image/png", "image/jpeg", "image/gif", "image/webp", "image/bmp", "image/avif"];

const drawing = document.getElementById("drawing");
const pen = drawing.getContext("2d", { willReadFrequently: true });
const target = document.getElementById("target");
const fitted = document.getElementById("fitted");
const bar = document.getElementById("fit-progress");
const result = document.getElementById("fit-result");
const button = document.getElementById("fit");
const anyCondition = document.getElementById("any-condition");
const panel = document.getElementById("picture");
const chosen = document.getElementById("file");

let image = null; // what is fitted, Float32Array in [-1, 1]
let fitting = false;

export function start() {
  const scale = SIDE / Math.max(height, width);
  [drawing.width, drawing.height] = [Math.round(width * scale), Math.round(height * scale)];
  document.getElementById("pen-colour").hidden = channels === 1;
  anyCondition.parentElement.hidden = !content.condition;
  clear();
  drawing.addEventListener("pointerdown", (event) => {
    drawing.setPointerCapture(event.pointerId);
    stroke(event, true);
  });
  drawing.addEventListener("pointermove", (event) => event.buttons && stroke(event, false));
  drawing.addEventListener("pointerup", () => choose(pen.getImageData(0, 0, drawing.width, drawing.height)));
  document.getElementById("clear").addEventListener("click", clear);
  button.addEventListener("click", () => (fitting ? (fitting = false) : run()));
  chosen.addEventListener("change", () => chosen.files.length && open(chosen.files[0]));
  for (const name of ["dragenter", "dragover"]) {
    panel.addEventListener(name, (event) => {
      event.preventDefault();
      panel.classList.add("dropping");
    });
  }
  panel.addEventListener("dragleave", () => panel.classList.remove("dropping"));
  panel.addEventListener("drop", (event) => {
    event.preventDefault();
    panel.classList.remove("dropping");
    if (event.dataTransfer.files.length) open(event.dataTransfer.files[0]);
  });
  addEventListener("paste", (event) => {
    const file = Array.from(event.clipboardData.files).find(({ type }) => TYPES.includes(type));
    if (file) open(file);
  });
}

function clear() {
  pen.fillStyle = "black";
  pen.fillRect(0, 0, drawing.width, drawing.height);
  image = null;
  button.disabled = true;
  for (const canvas of [target, fitted]) {
    [canvas.width, canvas.height] = [width, height];
  }
}

// Draw to the position of the pointer, which is measured on the canvas as it is displayed.
function stroke(event, begins) {
  const box = drawing.getBoundingClientRect();
  const [x, y] = [
    ((event.clientX - box.left) / box.width) * drawing.width,
    ((event.clientY - box.top) / box.height) * drawing.height,
  ];
  pen.strokeStyle = channels === 1 ? "white" : document.getElementById("colour").value;
  pen.lineWidth = Number(document.getElementById("pen-width").value);
  pen.lineCap = pen.lineJoin = "round";
  if (begins) {
    pen.beginPath();
    pen.moveTo(x, y);
  }
  pen.lineTo(x, y);
  pen.stroke();
}

// Make a picture, ImageData of any size, the one that is fitted.
function choose(picture) {
  image = prepare(picture, height, width, channels);
  show(target, image);
  button.disabled = false;
  result.textContent = "";
}

// Read a picture from a file: only as a picture, and only up to the limits above.
export async function open(file) {
  try {
    if (!TYPES.includes(file.type)) throw new Error("it is not a PNG, JPEG, GIF, WebP, BMP or AVIF file");
    if (file.size > MOST_BYTES) throw new Error(`it has more than ${MOST_BYTES >> 20} MB`);
    const element = new Image();
    element.src = URL.createObjectURL(file);
    try {
      await new Promise((resolve, reject) => {
        element.addEventListener("load", resolve);
        element.addEventListener("error", () => reject(new Error("it holds no picture")));
      });
      const [w, h] = [element.naturalWidth, element.naturalHeight];
      if (w * h > MOST_PIXELS || w < 2 || h < 2) throw new Error(`it has ${w} x ${h} pixels`);
      const context = new OffscreenCanvas(w, h).getContext("2d");
      context.drawImage(element, 0, 0);
      clear();
      choose(context.getImageData(0, 0, w, h));
      announce(`${file.name} is ready to be fitted.`);
    } finally {
      URL.revokeObjectURL(element.src);
    }
  } catch (error) {
    result.textContent = `Cannot use ${file.name}: ${error.message}.`;
  }
}

async function run() {
  fitting = true;
  button.textContent = "Stop";
  bar.hidden = false;
  try {
    let last = 0;
    const best = await fit(image, anyCondition.checked ? candidates : [current.condition], (share, best) => {
      bar.value = share;
      if (share - last > 0.1) {
        last = share;
        preview(best);
      }
      return fitting;
    });
    await preview(best);
    take(best.code, "your picture, fitted", best.condition);
    announce(`Fitted: ${result.textContent}`);
  } finally {
    fitting = false;
    bar.hidden = true;
    button.textContent = "Fit";
  }
}

async function preview({ code, condition }) {
  const [decoded] = await decode([code], condition);
  show(fitted, decoded);
  const names = content.condition?.names.filter((_, i) => condition[i]) ?? [];
  result.textContent = [`PSNR ${psnr(decoded, image).toFixed(1)} dB`, ...names].join(", ");
}
