// A page to try checks on: a photo in, an answer, boxes and reasons out.

import { call, fail, find, table } from "/static/common.js";

let photo = null; // the file that the answers on the page are about
let turn = 0; // answers to an earlier photo are not shown
let stream = null; // of the camera

const years = (value) => (value === null ? "not known" : value.toFixed(0));
const range = (face) =>
  face.age_low === null ? "not known" : `${years(face.age_low)} to ${years(face.age_high)}`;
const percent = (value) => `${(100 * value).toFixed(1)} %`;

async function use(file) {
  const mine = ++turn;
  photo = file;
  fail("");
  find("answer").hidden = find("more").hidden = find("reasons").hidden = true;
  find("recorded").textContent = find("copied").textContent = "";
  find("faces").replaceChildren();
  find("progress").textContent = "Looking at the photo ...";
  const picture = await draw(file);
  try {
    const options = { method: "POST", body: file, headers: { "Content-Type": typeOf(file) } };
    const [check, analysis] = await Promise.all([
      call("/v1/check", options),
      call("/v1/analyze", options),
    ]);
    if (mine === turn) show(check, analysis, picture);
  } catch (error) {
    if (mine !== turn) return;
    find("progress").textContent = "No answer.";
    fail(error.message);
  }
}

const typeOf = (file) => (file.type.startsWith("image/") ? file.type : "application/octet-stream");

async function draw(file) {
  const canvas = find("canvas");
  find("shown").hidden = true;
  let picture;
  try {
    picture = await createImageBitmap(file, { imageOrientation: "from-image" });
  } catch {
    return null; // a format that the service may know all the same
  }
  const scale = Math.min(1, 1200 / Math.max(picture.width, picture.height));
  canvas.width = Math.round(picture.width * scale);
  canvas.height = Math.round(picture.height * scale);
  canvas.getContext("2d").drawImage(picture, 0, 0, canvas.width, canvas.height);
  canvas.setAttribute("aria-label", "The photo");
  find("shown").hidden = false;
  return { scale };
}

function show(check, analysis, picture) {
  find("progress").textContent = "";
  find("answer").hidden = find("more").hidden = false;
  find("answer").dataset.answer = check.answer;
  find("word").textContent = check.answer;
  const legal = check.policy.legal_age;
  const under = check.under_legal === null
    ? "" : ` The probability of being under ${legal} is ${percent(check.under_legal)}.`;
  find("reason").textContent = `${check.reason}.${under}`;
  find("recorded").textContent = check.id ? `Recorded as check ${check.id}.` : "";
  find("json").textContent = JSON.stringify({ check, analysis }, null, 2);
  find("explain").disabled = !analysis.faces.length;
  if (!analysis.faces.length) return;
  const rows = analysis.faces.map((face) => [
    String(face.face + 1),
    years(face.age),
    range(face),
    face.reliable === false ? `not to be relied on: ${face.message}` : "good",
  ]);
  find("faces").append(table("Faces", ["face", "years", "range", "how it is seen"], rows, [1, 2]));
  if (picture) outline(analysis.faces, picture.scale);
}

// Black on white inside white on black: seen on any photo.
function outline(faces, scale) {
  const canvas = find("canvas");
  const context = canvas.getContext("2d");
  const unit = Math.max(2, Math.round(Math.max(canvas.width, canvas.height) / 300));
  context.font = `600 ${8 * unit}px system-ui, sans-serif`;
  context.textBaseline = "top";
  for (const face of faces) {
    const [x, y, width, height] = [face.left, face.top, face.width, face.height].map((n) => n * scale);
    for (const [colour, thick] of [["#000", 3 * unit], ["#fff", unit]]) {
      context.strokeStyle = colour;
      context.lineWidth = thick;
      context.strokeRect(x, y, width, height);
    }
    const text = `${face.face + 1}: ${years(face.age)} (${range(face)})`;
    const wide = context.measureText(text).width + 6 * unit;
    const tall = 12 * unit;
    const left = Math.max(0, Math.min(x, canvas.width - wide));
    const top = Math.min(y + height + 2 * unit, canvas.height - tall);
    context.fillStyle = "#fff";
    context.fillRect(left, top, wide, tall);
    context.fillStyle = "#000";
    context.fillText(text, left + 3 * unit, top + 2 * unit);
  }
  const said = faces.map((face) => `face ${face.face + 1}: ${years(face.age)} years, ${range(face)}`);
  canvas.setAttribute("aria-label", `The photo with ${said.join("; ")}`);
}

async function explain() {
  const mine = turn;
  find("explain").disabled = true;
  find("copied").textContent = "Looking for reasons ...";
  try {
    const options = { method: "POST", body: photo, headers: { "Content-Type": typeOf(photo) } };
    const found = await call("/v1/explain", options);
    if (mine !== turn) return;
    const bytes = Uint8Array.from(atob(found.picture), (letter) => letter.charCodeAt(0));
    const map = find("map");
    URL.revokeObjectURL(map.src);
    map.src = URL.createObjectURL(new Blob([bytes], { type: "image/png" }));
    map.alt = "The main face, and a map of the years that each part of it adds";
    const rows = Object.entries(found.regions).map(([name, value]) => [name, signed(value)]);
    find("sum").textContent = `${found.prediction.toFixed(1)} years: ` +
      `${found.base_value.toFixed(1)} on average, and what each part of this face adds.`;
    find("regions").replaceChildren(table("Years by part", ["part", "years"], rows, [1]));
    find("reasons").hidden = false;
    find("copied").textContent = "The reasons are shown below.";
  } catch (error) {
    if (mine !== turn) return;
    find("copied").textContent = "";
    find("explain").disabled = false;
    fail(error.message);
  }
}

const signed = (value) => `${value < 0 ? "\u2212" : "+"} ${Math.abs(value).toFixed(1)}`;

async function startCamera() {
  fail("");
  if (!navigator.mediaDevices) {
    fail("Browsers allow the camera only on pages from this machine or from an https address.");
    return;
  }
  try {
    stream = await navigator.mediaDevices.getUserMedia({ video: true });
  } catch (error) {
    fail(`The camera cannot be used: ${error.message}.`);
    return;
  }
  const video = find("video");
  video.srcObject = stream;
  await video.play();
  find("live").hidden = false;
  find("camera").disabled = true;
  find("shoot").focus();
}

function stopCamera() {
  stream?.getTracks().forEach((track) => track.stop());
  stream = null;
  find("live").hidden = true;
  find("camera").disabled = false;
}

function shoot() {
  const video = find("video");
  const canvas = document.createElement("canvas");
  canvas.width = video.videoWidth;
  canvas.height = video.videoHeight;
  canvas.getContext("2d").drawImage(video, 0, 0);
  canvas.toBlob((blob) => use(blob), "image/jpeg", 0.92);
}

async function copyJson() {
  try {
    await navigator.clipboard.writeText(find("json").textContent);
    find("copied").textContent = "Copied.";
  } catch {
    find("copied").textContent = "The browser does not let pages copy: select the text below.";
  }
}

async function introduce() {
  const about = await call("/v1/about");
  const { legal_age: legal, challenge_age: challenge, certainty } = about.policy;
  const rule = certainty === null
    ? `who looks younger than ${challenge} is to be asked for a card`
    : `who is ${legal} or older with a probability below ${percent(certainty)} is to be asked`;
  find("about").textContent =
    `Model ${about.model.name}, version ${about.model.version}, ageboost ${about.version}; ` +
    `${rule}. ${about.terms}`;
  find("rows").textContent = about.recorded
    ? `A check is recorded: when, at which till and by whom, the answer, probabilities of being ` +
      `under ${legal} and ${challenge}, and what was done; no photo and no age. ` +
      `After ${about.keep_days} days it is deleted.`
    : "No check is recorded.";
}

const drop = find("drop");
find("file").addEventListener("change", (event) => {
  if (event.target.files.length) use(event.target.files[0]);
});
for (const kind of ["dragenter", "dragover"]) {
  drop.addEventListener(kind, (event) => {
    event.preventDefault();
    drop.classList.add("over");
  });
}
for (const kind of ["dragleave", "drop"]) {
  drop.addEventListener(kind, () => drop.classList.remove("over"));
}
drop.addEventListener("drop", (event) => {
  event.preventDefault();
  if (event.dataTransfer.files.length) use(event.dataTransfer.files[0]);
});
document.addEventListener("paste", (event) => {
  const file = [...event.clipboardData.files].find((one) => one.type.startsWith("image/"));
  if (file) use(file);
});
find("camera").addEventListener("click", startCamera);
find("shoot").addEventListener("click", shoot);
find("stop").addEventListener("click", () => {
  stopCamera();
  find("camera").focus();
});
find("explain").addEventListener("click", explain);
find("copy").addEventListener("click", copyJson);
introduce().catch((error) => fail(error.message));
