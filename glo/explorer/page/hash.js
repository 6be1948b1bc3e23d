// The state of the page in the hash of its address: the code, the waypoints of the path, the view of the map, and
// controls marked by `data-kept`. Anyone may have written a link, so that everything in it is checked.

import { content } from "./content.js";
import { current, onChange, take } from "./state.js";
import { onView, setView, view, whole } from "./view.js";
import { onWaypoints, setWaypoints, waypoints } from "./waypoints.js";

const PAUSE = 300; // milliseconds without a change before the address is replaced

const controls = Array.from(document.querySelectorAll("[data-kept]"));

function encode(codes) {
  const values = Float32Array.from(codes.flatMap((code) => Array.from(code)));
  const characters = Array.from(new Uint8Array(values.buffer), (byte) => String.fromCharCode(byte));
  return btoa(characters.join("")).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

// The codes in a text, or none if it is no list of finite codes of this model.
function decode(text) {
  try {
    const bytes = Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (c) => c.charCodeAt(0));
    const values = new Float32Array(bytes.buffer);
    if (values.length % content.dimension || !values.every(Number.isFinite)) return [];
    return Array.from({ length: values.length / content.dimension }, (_, i) =>
      values.slice(i * content.dimension, (i + 1) * content.dimension),
    );
  } catch {
    return [];
  }
}

// The condition in a text such as "0,1,0"; the present one if there is none that this model takes.
function condition(text) {
  const values = Float32Array.from(text.split(","), Number);
  const valid = values.length === current.condition?.length && values.every((value) => value === 0 || value === 1);
  return valid ? values : current.condition;
}

// The view in a text such as "0.1,-0.2,4", which is x, y and zoom; the whole map if it is no view.
function mapView(text) {
  const values = text.split(",").map(Number);
  if (values.length !== 3 || !values.every(Number.isFinite)) return whole;
  return { x: values[0], y: values[1], zoom: values[2] };
}

// The address of the page in its present state.
export function link() {
  const hash = new URLSearchParams({ code: encode([current.code]) });
  if (current.condition) hash.set("condition", Array.from(current.condition));
  if (waypoints.length) hash.set("path", encode(waypoints));
  hash.set("view", [view.x, view.y, view.zoom].map((value) => Number(value.toFixed(5))));
  for (const control of controls) hash.set(control.id, control.type === "checkbox" ? control.checked : control.value);
  return `${location.href.split("#")[0]}#${hash}`;
}

// Bring the page into the state of its address. Returns whether the address holds a code.
function restore() {
  const hash = new URLSearchParams(location.hash.slice(1));
  for (const control of controls) {
    const value = hash.get(control.id);
    if (value === null) continue;
    if (control.type === "checkbox") {
      control.checked = value === "true";
    } else {
      const before = control.value;
      control.value = value;
      if (control.value !== value || !control.checkValidity()) control.value = before;
    }
    control.dispatchEvent(new Event("change"));
  }
  setWaypoints(decode(hash.get("path") ?? ""));
  setView(mapView(hash.get("view") ?? ""));
  const [code] = decode(hash.get("code") ?? "");
  if (code) take(code, "the link", condition(hash.get("condition") ?? ""));
  return Boolean(code);
}

// Follow the address, and keep it in step with the page.
export function keepHash() {
  let timer = null;
  const update = () => {
    clearTimeout(timer);
    timer = setTimeout(() => history.replaceState(null, "", link()), PAUSE);
  };
  const restored = restore();
  addEventListener("hashchange", restore);
  onChange(update);
  onWaypoints(update);
  onView(update);
  controls.forEach((control) => control.addEventListener("change", update));
  return restored;
}
