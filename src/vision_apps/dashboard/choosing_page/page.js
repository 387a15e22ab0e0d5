"use strict";
// Texts of captions and names of files go into the page as text, never as markup.
const SMALL = 200; // px: smaller pictures are shown with their pixels as squares
const byId = (id) => document.getElementById(id);
let questions = [];
let now = 0;
let over = false;
const chosen = new Map(); // question to candidate, null: none is right

async function tell(path, content) {
  const answer = await fetch(path, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(content),
  });
  if (!answer.ok) throw new Error(await answer.text());
}

function show() {
  const { file, candidates } = questions[now];
  byId("progress").textContent = `Picture ${now + 1} of ${questions.length}, ${chosen.size} chosen`;
  byId("file").textContent = file;
  byId("picture").src = `picture/${now}`;
  byId("candidates").replaceChildren(...candidates.map((text, number) => {
    const item = document.createElement("li");
    const button = document.createElement("button");
    const key = document.createElement("kbd");
    const words = document.createElement("span");
    key.textContent = number + 1;
    words.textContent = text;
    button.type = "button";
    button.setAttribute("aria-pressed", chosen.get(now) === number);
    button.append(key, words);
    button.addEventListener("click", () => choose(number));
    item.append(button);
    return item;
  }));
  byId("none").setAttribute("aria-pressed", chosen.get(now) === null);
  byId("back").disabled = now === 0;
  byId("skip").disabled = now + 1 === questions.length;
}

function go(step) {
  now = Math.min(Math.max(now + step, 0), questions.length - 1);
  show();
}

async function choose(candidate) {
  const question = now;
  try {
    await tell("choice", { question, candidate });
  } catch (problem) {
    return end(`Not kept: ${problem.message}`);
  }
  chosen.set(question, candidate);
  if (chosen.size === questions.length) return finish();
  if (question === now) go(1);
}

async function finish() {
  try {
    await tell("finish", null);
    end(`Finished: ${chosen.size} of ${questions.length} chosen. The terminal says what follows from them.`);
  } catch (problem) {
    end(`Not finished: ${problem.message}`);
  }
}

function end(text) {
  over = true;
  byId("message").textContent = text;
  for (const button of document.querySelectorAll("button")) button.disabled = true;
}

document.addEventListener("keydown", (event) => {
  if (over || !questions.length || event.ctrlKey || event.altKey || event.metaKey || event.repeat) return;
  const { candidates } = questions[now];
  if (event.key === "0") choose(null);
  else if (/^[1-9]$/.test(event.key) && Number(event.key) <= candidates.length) choose(Number(event.key) - 1);
  else if (event.key === "ArrowLeft") go(-1);
  else if (event.key === "ArrowRight") go(1);
  else if (event.key === "Escape") finish();
  else return;
  event.preventDefault();
});
byId("none").addEventListener("click", () => choose(null));
byId("back").addEventListener("click", () => go(-1));
byId("skip").addEventListener("click", () => go(1));
byId("finish").addEventListener("click", finish);
byId("picture").addEventListener("load", ({ target }) => {
  target.classList.toggle("small", Math.max(target.naturalWidth, target.naturalHeight) < SMALL);
});

fetch("questions")
  .then((answer) => answer.json())
  .then((found) => {
    questions = found;
    show();
  })
  .catch((problem) => end(`Not loaded: ${problem.message}`));
