// The codes between which the path runs.

export const MOST = 12;
export const waypoints = [];

const listeners = [];

export function onWaypoints(listener) {
  listeners.push(listener);
}

export function setWaypoints(codes) {
  waypoints.splice(0, waypoints.length, ...codes.slice(0, MOST));
  listeners.forEach((listener) => listener());
}
