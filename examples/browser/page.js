// A photo goes through the network that `toonify export --style` wrote, in this page.
"use strict";

const LONGEST = 512; // px at most of what the network sees: faces as large as it learnt them
const $ = (id) => document.getElementById(id);
let picture = null; // the photo as it was chosen
let session = null;
let network = null; // what export.json says of it

function say(text) {
  $("said").textContent = text;
}

// The photo's size for the network: multiples of its stride, about the photo's shape.
function fitted() {
  const stride = network.reads.multiple;
  const k = Math.min(1, LONGEST / Math.max(picture.width, picture.height));
  return [picture.width, picture.height].map((side) => Math.max(1, Math.round((side * k) / stride)) * stride);
}

async function choose(file) {
  try {
    picture = await createImageBitmap(file, { imageOrientation: "from-image" });
  } catch {
    say(`${file.name} is no picture that this browser can read.`);
    return;
  }
  const canvas = $("photo");
  const k = Math.min(1, (2 * LONGEST) / Math.max(picture.width, picture.height));
  canvas.width = Math.round(picture.width * k);
  canvas.height = Math.round(picture.height * k);
  canvas.getContext("2d").drawImage(picture, 0, 0, canvas.width, canvas.height);
  if (session !== null) await draw();
}

// (1, 3, H, W) in -1..1, RGB
function tensorOf(width, height) {
  const context = new OffscreenCanvas(width, height).getContext("2d");
  context.imageSmoothingQuality = "high";
  context.fillStyle = "#fff"; // behind what is transparent
  context.fillRect(0, 0, width, height);
  context.drawImage(picture, 0, 0, width, height);
  const rgba = context.getImageData(0, 0, width, height).data;
  const size = width * height;
  const values = new Float32Array(3 * size);
  for (let i = 0; i < size; i++) {
    for (let c = 0; c < 3; c++) values[c * size + i] = rgba[4 * i + c] / 127.5 - 1;
  }
  return new ort.Tensor("float32", values, [1, 3, height, width]);
}

function paint(values, width, height) {
  const size = width * height;
  const rgba = new Uint8ClampedArray(4 * size);
  for (let i = 0; i < size; i++) {
    for (let c = 0; c < 3; c++) rgba[4 * i + c] = values[c * size + i] * 127.5 + 127.5;
    rgba[4 * i + 3] = 255;
  }
  const canvas = $("drawing");
  canvas.width = width;
  canvas.height = height;
  canvas.getContext("2d").putImageData(new ImageData(rgba, width, height), 0, 0);
}

async function draw() {
  $("file").disabled = true;
  say("Drawing…");
  await new Promise((done) => setTimeout(done)); // the words are shown first
  const started = performance.now();
  try {
    const [width, height] = fitted();
    const answer = await session.run({ [network.input.name]: tensorOf(width, height) });
    paint(answer[network.output.name].data, width, height);
    say(`Drawn in ${((performance.now() - started) / 1000).toFixed(1)} s, on this machine.`);
    $("drawing").toBlob((blob) => {
      URL.revokeObjectURL($("save").href);
      $("save").href = URL.createObjectURL(blob);
      $("save").hidden = false;
    });
  } catch (error) {
    say(`It can't be drawn: ${error.message}`);
  }
  $("file").disabled = false;
}

async function load() {
  try {
    const about = await (await fetch("network/export.json")).json();
    network = Object.values(about.networks).find((one) => one.reads.multiple);
    if (network === undefined) throw new Error("no style was exported");
    const [file] = Object.keys(network.files);
    session = await ort.InferenceSession.create(`network/${file}`);
    say("Choose a photo.");
  } catch (error) {
    say(`The network can't be had (${error.message}): see README.md for how it is exported.`);
    return;
  }
  if (picture !== null) await draw();
}

ort.env.wasm.wasmPaths = new URL("node_modules/onnxruntime-web/dist/", location.href).href;
$("file").addEventListener("change", (event) => event.target.files[0] && choose(event.target.files[0]));
load();
