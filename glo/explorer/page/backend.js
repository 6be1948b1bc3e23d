// Where TensorFlow.js computes: on the graphics card by WebGL, or on the processor.

const select = document.getElementById("backend");
const context = document.createElement("canvas").getContext("webgl2");

// WebGL where a graphics card draws it; its emulation by software is slower than the processor.
function preferred() {
  if (!context) return "cpu";
  const details = context.getExtension("WEBGL_debug_renderer_info");
  const renderer = context.getParameter(details ? details.UNMASKED_RENDERER_WEBGL : context.RENDERER);
  return /swiftshader|llvmpipe|software|basic render/i.test(renderer) ? "cpu" : "webgl";
}

// Without WebGL, its backend would log errors: it is removed.
if (!context) tf.removeBackend("webgl");
select.querySelector("[value=webgl]").disabled = !context;
await tf.setBackend(preferred());
select.value = tf.getBackend();

// listener(): called after the user has chosen another backend.
export function onBackend(listener) {
  select.addEventListener("change", async () => {
    await tf.setBackend(select.value);
    listener();
  });
}
