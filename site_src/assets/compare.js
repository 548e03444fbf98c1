// Two models of a table are chosen by their boxes; a link then leads to the page that compares them. The page was made
// with the site: this only builds its address.
(function () {
  "use strict";

  const status = document.createElement("p");
  status.setAttribute("role", "status");
  const clear = document.createElement("button");
  clear.type = "button";
  clear.textContent = "Clear";
  const bar = document.createElement("div");
  bar.className = "cg-compare"; // unseen while it says nothing
  bar.append(status, clear);
  let chosen = []; // boxes of one table, at most two

  function choose(box) {
    const isOther = chosen.length && chosen[0].closest("table") !== box.closest("table");
    if (isOther) chosen.forEach((other) => (other.checked = false));
    chosen = (isOther ? [] : chosen).filter((other) => other !== box);
    if (box.checked) chosen.push(box);
    update();
    // After the table it belongs to, so that it is the next thing the keyboard comes to.
    box.closest(".cg-tabled").after(bar);
  }

  function update() {
    clear.hidden = chosen.length === 0;
    document.querySelectorAll("table[data-compare] .cg-box input").forEach((box) => {
      box.disabled = chosen.length === 2 && !chosen.includes(box) && box.closest("table") === chosen[0].closest("table");
    });
    const names = chosen.map((box) => box.dataset.name);
    if (chosen.length === 2) {
      const ids = chosen.map((box) => box.value).sort();
      const link = document.createElement("a");
      link.href = `${chosen[0].closest("table").dataset.compare}${ids.join("--")}/`;
      link.textContent = `Compare ${names[0]} with ${names[1]}`;
      status.replaceChildren(link);
    } else {
      status.textContent = chosen.length ? `${names[0]} is chosen: choose a second model to compare it with.` : "";
    }
  }

  clear.addEventListener("click", () => {
    const [first] = chosen;
    chosen.forEach((box) => (box.checked = false));
    chosen = [];
    update();
    first.focus();
  });

  document.querySelectorAll("table[data-compare]").forEach((table) => {
    table.querySelectorAll("tr[data-model]").forEach((row) => {
      const box = document.createElement("input");
      box.type = "checkbox";
      box.autocomplete = "off";
      box.value = row.dataset.model;
      box.dataset.name = row.cells[0].firstChild.textContent.trim();
      box.setAttribute("aria-label", `Choose ${box.dataset.name} for a comparison`);
      box.addEventListener("change", () => choose(box));
      const label = document.createElement("label");
      label.className = "cg-box";
      label.append(box);
      row.cells[0].append(label);
    });
  });
  document.body.append(bar);
  update();
})();
