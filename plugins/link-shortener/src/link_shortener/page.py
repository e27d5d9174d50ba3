"""The page: a form, and the links there are. What it shows is put in as text, never as HTML."""

PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Links</title>
<style>
  :root { color-scheme: light dark; }
  body { font: 1rem/1.5 system-ui, sans-serif; max-width: 44rem; margin: auto; padding: 1rem; }
  form { display: flex; flex-wrap: wrap; gap: .5rem; margin: 1rem 0; }
  input { flex: 1 1 10rem; font: inherit; padding: .4rem; }
  button { font: inherit; padding: .4rem .8rem; }
  table { width: 100%; border-collapse: collapse; }
  th, td { text-align: left; padding: .3rem .5rem .3rem 0; border-bottom: 1px solid #8884; }
  td:nth-child(2) { overflow-wrap: anywhere; }
  #said { min-height: 1.5em; }
</style>
<h1>Links</h1>
<form>
  <input name="url" type="url" required maxlength="2000" placeholder="https://…"
         aria-label="Address">
  <input name="name" maxlength="40" pattern="[a-z0-9][a-z0-9\\-]*" placeholder="name, if you like"
         aria-label="Name">
  <button>Add</button>
</form>
<p id="said" role="status"></p>
<table hidden>
  <thead><tr><th>Name<th>Address<th>Visits<th><span hidden>Remove</span></thead>
  <tbody></tbody>
</table>
<script>
  const form = document.querySelector("form"), said = document.querySelector("#said");
  const table = document.querySelector("table"), body = document.querySelector("tbody");
  function cell(row, child) { row.insertCell().append(child); }
  function link(text, to) {
    const made = document.createElement("a");
    made.textContent = text;
    made.href = to;
    made.rel = "noopener noreferrer";
    return made;
  }
  async function show() {
    const { links } = await (await fetch("./links")).json();
    table.hidden = links.length === 0;
    if (links.length === 0 && !said.textContent) said.textContent = "There are no links yet.";
    body.replaceChildren();
    for (const one of links) {
      const row = body.insertRow(), button = document.createElement("button");
      button.textContent = "Remove";
      button.onclick = async () => {
        await fetch("./links/" + one.name, { method: "DELETE" });
        said.textContent = one.name + " is removed.";
        show();
      };
      cell(row, link(one.name, "./" + one.name));
      cell(row, one.url);
      cell(row, String(one.visits));
      cell(row, button);
    }
  }
  form.onsubmit = async (event) => {
    event.preventDefault();
    const answer = await fetch("./links", {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify(Object.fromEntries(new FormData(form))),
    });
    const told = await answer.json();
    said.textContent = answer.ok ? told.name + " leads to " + told.url : told.detail;
    if (answer.ok) form.reset();
    show();
  };
  show();
</script>
</html>
"""
