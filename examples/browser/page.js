// A photo's face square goes through the network that `toonify export` wrote, in this page.
"use strict";

const SIDE = 512; // px of the two canvases
// where eyes and mouth are in an FFHQ-aligned face, shares of its side
const MARKS = [[0.385, 0.475], [0.615, 0.475], [0.5, 0.585], [0.415, 0.68], [0.585, 0.68]];
const $ = (id) => document.getElementById(id);
const photo = $("photo").getContext("2d");
const drawing = $("drawing").getContext("2d");
let picture = null; // the photo as it was chosen
let view = { x: 0, y: 0 }; // the square's middle, px of the photo
let session = null;
let network = null; // what export.json says of it

function say(text) {
  $("said").textContent = text;
}

function side() {
  return Math.min(picture.width, picture.height) / $("zoom").value;
}

// The square that the network will see, onto a canvas of `size` px.
function cut(context, size) {
  const s = side();
  context.fillStyle = "#888";
  context.fillRect(0, 0, size, size);
  context.drawImage(picture, view.x - s / 2, view.y - s / 2, s, s, 0, 0, size, size);
}

function show() {
  cut(photo, SIDE);
  photo.strokeStyle = "#fff";
  photo.lineWidth = 2;
  for (const [x, y] of MARKS) {
    photo.beginPath();
    photo.arc(x * SIDE, y * SIDE, 9, 0, 2 * Math.PI);
    photo.stroke();
  }
}

async function choose(file) {
  try {
    picture = await createImageBitmap(file, { imageOrientation: "from-image" });
  } catch {
    say(`${file.name} is no picture that this browser can read.`);
    return;
  }
  view = { x: picture.width / 2, y: picture.height / 2 };
  show();
  $("draw").disabled = session === null;
  if (session !== null) say("Move the face onto the marks, then draw.");
}

// (1, 3, S, S) in -1..1, RGB
function tensorOf(size) {
  const canvas = new OffscreenCanvas(size, size);
  const context = canvas.getContext("2d");
  context.imageSmoothingQuality = "high";
  cut(context, size);
  const rgba = context.getImageData(0, 0, size, size).data;
  const values = new Float32Array(3 * size * size);
  for (let i = 0; i < size * size; i++) {
    for (let c = 0; c < 3; c++) values[c * size * size + i] = rgba[4 * i + c] / 127.5 - 1;
  }
  return new ort.Tensor("float32", values, [1, 3, size, size]);
}

function paint(values, size) {
  const rgba = new Uint8ClampedArray(4 * size * size);
  for (let i = 0; i < size * size; i++) {
    for (let c = 0; c < 3; c++) rgba[4 * i + c] = values[c * size * size + i] * 127.5 + 127.5;
    rgba[4 * i + 3] = 255;
  }
  drawing.canvas.width = drawing.canvas.height = size;
  drawing.putImageData(new ImageData(rgba, size, size), 0, 0);
}

async function draw() {
  $("draw").disabled = true;
  say("Drawing…");
  await new Promise((done) => setTimeout(done)); // the words are shown first
  const started = performance.now();
  try {
    const size = network.input.shape[2];
    const answer = await session.run({ [network.input.name]: tensorOf(size) });
    const { data, dims } = answer[network.output.name];
    paint(data, dims[2]);
    say(`Drawn in ${((performance.now() - started) / 1000).toFixed(1)} s, on this machine.`);
    $("drawing").toBlob((blob) => {
      $("save").href = URL.createObjectURL(blob);
      $("save").hidden = false;
    });
  } catch (error) {
    say(`It can't be drawn: ${error.message}`);
  }
  $("draw").disabled = false;
}

async function load() {
  try {
    const about = await (await fetch("network/export.json")).json();
    const [name] = Object.keys(about.networks);
    network = about.networks[name];
    const [file] = Object.keys(network.files);
    session = await ort.InferenceSession.create(`network/${file}`);
    $("draw").disabled = picture === null;
    say(picture === null ? "Choose a photo." : "Move the face onto the marks, then draw.");
  } catch (error) {
    say(`The network can't be had (${error.message}): see README.md for how it is exported.`);
  }
}

ort.env.wasm.wasmPaths = new URL("node_modules/onnxruntime-web/dist/", location.href).href;
$("file").addEventListener("change", (event) => choose(event.target.files[0]));
$("zoom").addEventListener("input", () => picture && show());
$("draw").addEventListener("click", draw);
$("photo").addEventListener("pointerdown", (event) => $("photo").setPointerCapture(event.pointerId));
$("photo").addEventListener("pointermove", (event) => {
  if (!picture || !event.buttons) return;
  const scale = side() / $("photo").clientWidth;
  view = { x: view.x - event.movementX * scale, y: view.y - event.movementY * scale };
  show();
});
load();
