// The part of the map that is shown: the position at its centre, and how many times it is magnified.

const ZOOM = { least: 0.5, most: 60 };
const EDGE = 1.5; // farthest centre; all codes are within 1

export const whole = { x: 0, y: 0, zoom: 1 };
export const view = { ...whole };

const listeners = [];

export function onView(listener) {
  listeners.push(listener);
}

// Change some of `x`, `y` and `zoom`, as far as the limits allow.
export function setView(change) {
  const { x, y, zoom } = { ...view, ...change };
  const [left, top] = [x, y].map((value) => Math.min(Math.max(value, -EDGE), EDGE));
  Object.assign(view, { x: left, y: top, zoom: limited(zoom) });
  listeners.forEach((listener) => listener());
}

export function limited(zoom) {
  return Math.min(Math.max(zoom, ZOOM.least), ZOOM.most);
}
