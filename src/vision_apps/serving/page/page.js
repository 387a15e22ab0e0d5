"use strict";

const at = (id) => document.getElementById(id);
let picture = null; // the file that was dropped or chosen
let about = { words: {}, pictures: true, megabytes: 16 };
let asked = 0; // the number of the newest question: older answers are not shown

function say(text, bad = false) {
  at("message").textContent = text;
  at("message").classList.toggle("bad", bad);
}

function choose(file) {
  if (!file) return;
  picture = file;
  at("chosen").textContent = file.name;
  if (!Object.keys(about.words).length) ask();
}

async function ask() {
  const number = ++asked;
  if (picture && picture.size > about.megabytes * 1e6) {
    say(`${picture.name} is larger than ${about.megabytes} MB`, true);
    return;
  }
  const words = new URLSearchParams({ drawing: "true" });
  for (const input of document.querySelectorAll("#words input")) {
    if (input.value) words.set(input.name, input.value);
  }
  const kind = picture && picture.type.startsWith("image/") ? picture.type : "application/octet-stream";
  say("asking ...");
  let row;
  try {
    const reply = await fetch(`answer?${words}`, { method: "POST", body: picture, headers: { "Content-Type": kind } });
    row = await reply.json();
  } catch (error) {
    row = { error: "the server does not answer; has it ended?" };
  }
  if (number !== asked) return;
  say(row.error || "", true);
  const { drawing, error, ...values } = row;
  at("drawing").hidden = !drawing;
  if (drawing) at("drawing").src = drawing;
  at("row").hidden = Boolean(error);
  at("row").textContent = JSON.stringify(values, null, 2);
}

at("drawing").addEventListener("load", () => {
  at("drawing").classList.toggle("small", at("drawing").naturalWidth < 400);
});
at("file").addEventListener("change", (event) => choose(event.target.files[0]));
at("form").addEventListener("submit", (event) => {
  event.preventDefault();
  ask();
});
for (const name of ["dragenter", "dragover"]) {
  document.addEventListener(name, (event) => {
    event.preventDefault();
    at("drop").classList.add("over");
  });
}
for (const name of ["dragleave", "drop"]) {
  document.addEventListener(name, (event) => {
    event.preventDefault();
    at("drop").classList.remove("over");
  });
}
document.addEventListener("drop", (event) => choose(event.dataTransfer.files[0]));

fetch("about")
  .then((reply) => reply.json())
  .then((told) => {
    about = told;
    at("run").textContent = told.run;
    at("takes").textContent = `takes ${told.takes}`;
    at("drop").hidden = !told.pictures;
    for (const [name, meaning] of Object.entries(told.words)) {
      const label = document.createElement("label");
      label.className = "word";
      const input = document.createElement("input");
      input.name = name;
      const small = document.createElement("small");
      small.textContent = meaning;
      label.append(name, input, small);
      at("words").append(label);
    }
  });
