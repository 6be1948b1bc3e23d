// The panel "Map": codes of training images in two dimensions.

import { blend, nearestPoints } from "./blend.js";
import { content } from "./content.js";
import { decode, latest, project } from "./model.js";
import { show } from "./pixels.js";
import { codes, columns, describe, drawThumbnail, positions, side } from "./points.js";
import { announce, conditions, take, takeRow } from "./state.js";
import { limited, onView, setView, view, whole } from "./view.js";

const LEAST = 18; // pixels of a thumbnail on the screen; the map magnifies it when it is zoomed in
const MOST = Math.max(side, 56);
const HIT = 14; // pixels around a point within which it is under the pointer
const LEGEND = 20; // values of a column that get their own colour

const canvas = document.getElementById("map-canvas");
const context = canvas.getContext("2d");
const column = document.getElementById("map-colour");
const under = document.getElementById("map-decoded");
const nearestImage = document.getElementById("map-nearest");
const caption = document.getElementById("map-caption");
const legend = document.getElementById("map-legend");

let marked = -1; // row of the point under the pointer or the keyboard
let colours = codes.map(() => null);

export function start() {
  const method = { pca: "two principal components", tsne: "t-SNE" }[content.points.method];
  document.getElementById("map-title").textContent = `Map of the codes: ${method}`;
  columns.forEach(({ name }, i) => column.add(new Option(name, i)));
  column.value = columns.length ? "0" : "";
  column.addEventListener("change", colour);
  new ResizeObserver(draw).observe(canvas);
  onView(draw);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
  canvas.addEventListener("pointermove", moved);
  canvas.addEventListener("pointerdown", pressed);
  canvas.addEventListener("pointerup", released);
  canvas.addEventListener("pointercancel", () => pointers.clear());
  canvas.addEventListener("wheel", (event) => {
    event.preventDefault();
    zoom(Math.exp(-event.deltaY / 400), ...at(event));
  }, { passive: false });
  canvas.addEventListener("keydown", key);
  document.getElementById("map-in").addEventListener("click", () => zoom(1.5));
  document.getElementById("map-out").addEventListener("click", () => zoom(1 / 1.5));
  document.getElementById("map-whole").addEventListener("click", () => setView(whole));
  colour();
  const { row } = nearestPoints(0, 0, 1)[0];
  mark(row);
  decodeUnder(codes[row], conditions?.[row]);
}

function scale() {
  return (0.46 * Math.min(canvas.clientWidth, canvas.clientHeight)) * view.zoom;
}

function toScreen([x, y]) {
  return [canvas.clientWidth / 2 + (x - view.x) * scale(), canvas.clientHeight / 2 - (y - view.y) * scale()];
}

function toMap(x, y) {
  return [view.x + (x - canvas.clientWidth / 2) / scale(), view.y - (y - canvas.clientHeight / 2) / scale()];
}

function at(event) {
  const box = canvas.getBoundingClientRect();
  return [event.clientX - box.left, event.clientY - box.top];
}

// Thumbnails where there is room, so that none covers another, and points for all other images.
function draw() {
  const ratio = devicePixelRatio;
  const [w, h] = [canvas.clientWidth, canvas.clientHeight];
  if (canvas.width !== Math.round(w * ratio) || canvas.height !== Math.round(h * ratio)) {
    [canvas.width, canvas.height] = [Math.round(w * ratio), Math.round(h * ratio)];
  }
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.clearRect(0, 0, w, h);
  const size = Math.min(Math.max(LEAST, LEAST * Math.sqrt(view.zoom)), MOST);
  context.imageSmoothingEnabled = size < side;
  const style = getComputedStyle(canvas);
  const cell = size + 6; // the place of a thumbnail with its frame
  const places = new Map(); // of thumbnails, by cell
  const thumbnails = [];
  positions.forEach((position, row) => {
    const [x, y] = toScreen(position);
    if (x < -size || y < -size || x > w + size || y > h + size) return;
    const [i, j] = [Math.floor(x / cell), Math.floor(y / cell)];
    const free = [-1, 0, 1].every((a) => [-1, 0, 1].every((b) => {
      const place = places.get(`${i + a} ${j + b}`);
      return !place || Math.abs(place[0] - x) >= cell || Math.abs(place[1] - y) >= cell;
    }));
    if (free) {
      places.set(`${i} ${j}`, [x, y]);
      thumbnails.push([row, x, y]);
    } else {
      context.fillStyle = colours[row] ?? style.color;
      context.fillRect(x - 1.5, y - 1.5, 3, 3);
    }
  });
  for (const [row, x, y] of thumbnails) framed(row, x, y, size, colours[row] ?? style.color, 2);
  if (marked >= 0) framed(marked, ...toScreen(positions[marked]), Math.max(size, 28), style.accentColor, 4);
}

function framed(row, x, y, size, colour, border) {
  context.fillStyle = colour;
  context.fillRect(x - size / 2 - border, y - size / 2 - border, size + 2 * border, size + 2 * border);
  drawThumbnail(context, row, x - size / 2, y - size / 2, size);
}

function colour() {
  const chosen = columns[column.value];
  legend.replaceChildren();
  const hue = (i, n) => (n === 2 ? ["#3b82c4", "#d9822b"][i] : `hsl(${(360 * i) / n} 65% 50%)`);
  if (chosen) {
    const n = Math.min(chosen.values.length, LEGEND);
    colours = Array.from(chosen.index, (i) => (i < LEGEND ? hue(i, n) : null));
    chosen.values.slice(0, LEGEND).forEach((value, i) => {
      const entry = document.createElement("span");
      const mark = document.createElement("i");
      mark.style.background = hue(i, n);
      entry.append(mark, value);
      legend.append(entry);
    });
  } else {
    colours = codes.map(() => null);
  }
  draw();
}

// Zoom by a factor; the place at (x, y) on the screen stays there.
function zoom(factor, x = canvas.clientWidth / 2, y = canvas.clientHeight / 2) {
  const [left, top] = toMap(x, y);
  const kept = view.zoom / limited(view.zoom * factor);
  setView({ x: left + (view.x - left) * kept, y: top + (view.y - top) * kept, zoom: view.zoom / kept });
}

const pointers = new Map(); // pressed ones, by id, with their positions
let travelled = 0; // pixels since the first was pressed

function pressed(event) {
  canvas.setPointerCapture(event.pointerId);
  if (!pointers.size) travelled = 0;
  pointers.set(event.pointerId, at(event));
}

function moved(event) {
  const [x, y] = at(event);
  const before = pointers.get(event.pointerId);
  if (!before) return look(x, y);
  pointers.set(event.pointerId, [x, y]);
  travelled += Math.hypot(x - before[0], y - before[1]);
  const other = Array.from(pointers).find(([id]) => id !== event.pointerId)?.[1];
  if (other) {
    const distance = (point) => Math.hypot(point[0] - other[0], point[1] - other[1]);
    zoom(distance([x, y]) / Math.max(distance(before), 1), (x + other[0]) / 2, (y + other[1]) / 2);
  } else if (travelled > 4) {
    setView({ x: view.x - (x - before[0]) / scale(), y: view.y + (y - before[1]) / scale() });
  }
}

function released(event) {
  const clicked = pointers.size === 1 && travelled <= 4;
  pointers.delete(event.pointerId);
  if (!clicked) return;
  const [x, y] = at(event);
  const row = hit(x, y);
  if (row >= 0) takeRow(row);
  else take(blend(...toMap(x, y)), "a point of the map", conditions?.[marked]);
}

// The row of the point within reach of a position on the screen, or -1.
function hit(x, y) {
  const { row, distance } = nearestPoints(...toMap(x, y), 1)[0];
  return distance * scale() <= HIT ? row : -1;
}

// Decode the code of a point of the map, and show the nearest training image.
function look(x, y) {
  const position = toMap(x, y);
  mark(nearestPoints(...position, 1)[0].row);
  decodeUnder(blend(...position), conditions?.[marked]);
}

function mark(row) {
  marked = row;
  const context = nearestImage.getContext("2d");
  nearestImage.width = nearestImage.height = side;
  drawThumbnail(context, row, 0, 0, side);
  caption.textContent = describe(row);
  draw();
}

const decodeUnder = latest(async (code, condition) => {
  const [image] = await decode([project(code)], condition);
  show(under, image);
});

const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] };

function key(event) {
  const direction = ARROWS[event.key];
  if (direction) step(direction);
  else if (event.key === "Enter" || event.key === " ") takeRow(marked);
  else if (event.key === "+" || event.key === "=") zoom(1.5);
  else if (event.key === "-") zoom(1 / 1.5);
  else if (event.key === "0") setView(whole);
  else return;
  event.preventDefault();
}

// Go to the nearest point in a direction, which must not be farther aside than ahead.
function step([dx, dy]) {
  const [x, y] = positions[marked];
  let [best, least] = [-1, Infinity];
  positions.forEach((position, row) => {
    const [ahead, aside] = [
      (position[0] - x) * dx + (position[1] - y) * dy,
      Math.abs((position[0] - x) * dy) + Math.abs((position[1] - y) * dx),
    ];
    const cost = ahead + 2 * aside;
    if (row !== marked && ahead > 0 && aside <= ahead && cost < least) [best, least] = [row, cost];
  });
  if (best < 0) return;
  const [screenX, screenY] = toScreen(positions[best]);
  if (screenX < 0 || screenY < 0 || screenX > canvas.clientWidth || screenY > canvas.clientHeight) {
    setView({ x: positions[best][0], y: positions[best][1] });
  }
  mark(best);
  decodeUnder(codes[best], conditions?.[best]);
  announce(describe(best));
}
