// The page follows live: each server-sent event makes it fetch its own body again. Buttons carry what they decide.
"use strict";

const body = document.getElementById("body");

// refresh puts the new body in place and keeps open what the reader has opened.
let fetching = false, again = false, shown = "";
async function refresh() {
  if (fetching) { again = true; return; }
  fetching = true;
  do {
    again = false;
    const answer = await fetch(body.dataset.part, { headers: { "X-Part": "body" } });
    if (!answer.ok) break;
    const text = await answer.text();
    if (text === shown) continue; // nothing to see: do not take a button away from under the mouse
    shown = text;
    const open = new Set([...body.querySelectorAll("details[open]")].map(path));
    const fresh = new DOMParser().parseFromString(text, "text/html");
    const inner = fresh.getElementById("body") || fresh.body;
    body.replaceChildren(...inner.childNodes);
    for (const d of body.querySelectorAll("details")) if (open.has(path(d))) d.open = true;
  } while (again);
  fetching = false;
}

function path(details) {
  const step = details.closest("article");
  return (step ? step.id : "") + "|" + details.querySelector("summary").textContent.trim().slice(0, 60);
}

function say(text) {
  const said = document.getElementById("said");
  if (!said) return;
  said.textContent = text;
  said.classList.add("shown");
  setTimeout(() => said.classList.remove("shown"), 4000);
}

// ask puts a question in a dialog and resolves to yes or no.
function ask(text, yes) {
  const dialog = document.getElementById("ask");
  document.getElementById("ask-text").textContent = text;
  document.getElementById("ask-yes").textContent = yes;
  dialog.returnValue = "no";
  dialog.showModal();
  return new Promise(resolve => dialog.addEventListener("close", () => resolve(dialog.returnValue === "yes"), { once: true }));
}

async function decide(decision) {
  const answer = await fetch("/api/v1/incidents/" + body.dataset.incident + "/decisions",
    { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(decision) });
  const said = await answer.json();
  if (answer.status === 428) {
    if (await ask("This gives access back. Are you sure?", "Yes, give access back")) return decide({ ...decision, confirm: said.challenge });
    return;
  }
  say(said.ok ? "Recorded" : said.error);
}

document.addEventListener("click", async event => {
  const button = event.target.closest("button[data-verb]");
  if (!button) return;
  const { verb, place, digest } = button.dataset;
  if (button.dataset.ask && !await ask(button.dataset.ask, "Yes")) return;
  button.disabled = true;
  try {
    await decide({ verb, place, digest });
  } catch {
    say("Cordon did not answer");
  }
  button.disabled = false;
});

if (body && body.dataset.part) {
  const events = new EventSource("/events");
  events.onmessage = refresh;
  events.onopen = refresh; // what happened while the line was down
}
