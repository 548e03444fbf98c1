// Sorting, filtering and hiding columns of tables that are complete without it. Nothing is computed here: rows change
// places, within their group, or are hidden. What a reader chose stands in the address, the defaults left out, so that
// a view is shared by its address:
//   ?<table>.sort=-<column>  &<table>.filter=<words>  &<table>.<column>=<choice>  &<table>.without=<column>
(function () {
  "use strict";

  const said = element("p", { class: "cg-said", role: "status" });
  const counter = new Intl.NumberFormat("en");

  function element(name, attributes, ...content) {
    const made = document.createElement(name);
    Object.entries(attributes).forEach(([key, value]) => made.setAttribute(key, value));
    made.append(...content);
    return made;
  }

  function button(text, act, attributes = {}) {
    const made = element("button", { type: "button", ...attributes }, text);
    made.addEventListener("click", act);
    return made;
  }

  // ---- cells ----

  // The text of a cell without its badges, what is written below it, and the shape before it.
  const wordOf = (cell) => (cell.firstChild ? cell.firstChild.textContent : "").replace(/^[^\p{L}\p{N}]+/u, "").trim();

  function valueOf(cell) {
    if (!cell || cell.classList.contains("cg-why")) return null;
    if (cell.hasAttribute("data-sort")) return cell.dataset.sort === "" ? null : Number(cell.dataset.sort);
    if (cell.classList.contains("n")) {
      const number = parseFloat(cell.textContent.replace("−", "-").replace(/,/g, ""));
      return Number.isNaN(number) ? null : number;
    }
    return wordOf(cell).toLowerCase() || null;
  }

  function compare(a, b) {
    if (typeof a === "number" && typeof b === "number") return a - b;
    return String(a).localeCompare(String(b), "en", { numeric: true });
  }

  // ---- one table ----

  function manage(table) {
    const headers = [...table.tHead.rows[0].cells];
    const keys = headers.map((header) => header.dataset.key);
    const labels = headers.map((header) => header.textContent.replace(/[↑↓]/g, "").trim());
    const rows = [...table.tBodies]
      .flatMap((body) => [...body.rows])
      .filter((row) => !row.classList.contains("cg-group"))
      .map((row, place) => ({ row, place, body: row.parentNode, cells: [...row.cells] }));
    const usual = sortOf(headers.find((header) => header.hasAttribute("aria-sort")));
    const chosen = new Map(); // column's place → the word its rows must have
    headers.forEach((header, place) => {
      if (header.hasAttribute("data-choices")) chosen.set(place, "");
    });
    let view = { sort: usual, filter: "", choices: {}, without: [] };

    function sortOf(header) {
      if (!header) return "";
      return (header.getAttribute("aria-sort") === "descending" ? "-" : "") + header.dataset.key;
    }

    // ---- the address ----

    function read(params) {
      const get = (name) => params.get(`${table.id}.${name}`) || "";
      const sort = get("sort");
      const choices = {};
      chosen.forEach((_, place) => {
        if (get(keys[place])) choices[keys[place]] = get(keys[place]);
      });
      return {
        sort: keys.includes(sort.replace(/^-/, "")) ? sort : usual,
        filter: get("filter"),
        choices,
        without: params.getAll(`${table.id}.without`).filter((key) => keys.indexOf(key) > 0),
      };
    }

    function write(params) {
      [...params.keys()].filter((key) => key.startsWith(`${table.id}.`)).forEach((key) => params.delete(key));
      if (view.sort !== usual) params.set(`${table.id}.sort`, view.sort);
      if (view.filter) params.set(`${table.id}.filter`, view.filter);
      Object.entries(view.choices).forEach(([key, word]) => word && params.set(`${table.id}.${key}`, word));
      view.without.forEach((key) => params.append(`${table.id}.without`, key));
    }

    const isUsual = () => {
      const params = new URLSearchParams();
      write(params);
      return params.size === 0;
    };

    // Each change is a step to go back to; the letters of one filter are one step.
    function change(changes, typing = false) {
      show({ ...view, ...changes });
      const address = new URL(location.href);
      write(address.searchParams);
      const step = { typing: typing ? table.id : null };
      const goesOn = typing && history.state && history.state.typing === table.id;
      history[goesOn ? "replaceState" : "pushState"](step, "", address);
      said.textContent = sayIt();
    }

    function sayIt() {
      const place = keys.indexOf(view.sort.replace(/^-/, ""));
      const order = view.sort.startsWith("-") ? "descending" : "ascending";
      const shown = rows.filter(({ row }) => !row.hidden).length;
      return (
        (place < 0 ? "In the usual order. " : `Sorted by ${labels[place]}, ${order}. `) +
        `${counter.format(shown)} of ${counter.format(rows.length)} rows.`
      );
    }

    // ---- what is shown ----

    function show(next) {
      view = next;
      sort();
      filter();
      columns();
      tools.forEach((update) => update());
    }

    function sort() {
      const column = keys.indexOf(view.sort.replace(/^-/, ""));
      const descending = view.sort.startsWith("-");
      headers.forEach((header, place) => {
        if (place === column) header.setAttribute("aria-sort", descending ? "descending" : "ascending");
        else header.removeAttribute("aria-sort");
        sorters[place].textContent = place !== column ? "↕" : descending ? "▾" : "▴";
      });
      const isAsMade = view.sort === usual;
      rows
        .map((entry) => ({ ...entry, value: isAsMade ? null : valueOf(entry.cells[column]) }))
        .sort((a, b) => {
          // What has no value stays below, whichever way the rest is sorted.
          if (a.value === null || b.value === null) {
            return (a.value === null) - (b.value === null) || a.place - b.place;
          }
          return (descending ? -1 : 1) * compare(a.value, b.value) || a.place - b.place;
        })
        .forEach(({ row, body }) => body.append(row));
    }

    function filter() {
      const words = view.filter.toLowerCase().split(/\s+/).filter(Boolean);
      rows.forEach(({ row, cells }) => {
        const text = cells
          .filter((cell) => !cell.classList.contains("n"))
          .map((cell) => cell.textContent.toLowerCase())
          .join(" ");
        const hasChoices = Object.entries(view.choices).every(
          ([key, word]) => cells[keys.indexOf(key)] && wordOf(cells[keys.indexOf(key)]) === word,
        );
        row.hidden = !(hasChoices && words.every((word) => text.includes(word)));
      });
      [...table.tBodies].forEach((body) => {
        body.hidden = !rows.some((entry) => entry.body === body && !entry.row.hidden);
      });
    }

    function columns() {
      const isHidden = keys.map((key) => view.without.includes(key));
      const shown = isHidden.filter((hidden) => !hidden).length;
      headers.forEach((header, place) => (header.hidden = isHidden[place]));
      rows.forEach(({ cells }) => {
        if (cells.length === headers.length) cells.forEach((cell, place) => (cell.hidden = isHidden[place]));
      });
      table.querySelectorAll("th[colspan]").forEach((cell) => (cell.colSpan = shown));
      table.querySelectorAll("td.cg-why").forEach((cell) => (cell.colSpan = Math.max(1, shown - 1)));
    }

    // ---- controls ----

    // The first click puts the best first: the highest number, or the lowest where lower is better; names from A.
    function nextSort(place) {
      const key = keys[place];
      const arrow = headers[place].querySelector(".cg-arrow");
      const startsDescending =
        headers[place].classList.contains("n") && !(arrow && arrow.textContent.trim() === "↓");
      const [first, second] = startsDescending ? [`-${key}`, key] : [key, `-${key}`];
      return view.sort === first ? second : first;
    }

    const sorters = headers.map((header, place) => {
      const made = button("↕", () => change({ sort: nextSort(place) }), { "aria-label": `Sort by ${labels[place]}` });
      header.append(made);
      return made;
    });
    const bar = table.closest(".cg-tabled").querySelector(".cg-tools");
    const tools = [...(bar ? toolsIn(bar) : []), sharing()];

    // Each of these adds controls and returns what brings them up to date.

    function toolsIn(bar) {
      const name = table.caption.textContent;
      const box = element("input", { type: "search", placeholder: "Filter rows", "aria-label": `Filter rows: ${name}` });
      const count = element("span", { class: "cg-quiet" });
      box.addEventListener("input", () => change({ filter: box.value.trim() }, true));
      bar.append(box, count);
      const update = () => {
        if (box.value.trim() !== view.filter) box.value = view.filter;
        const shown = rows.filter(({ row }) => !row.hidden).length;
        count.textContent = `${counter.format(shown)} of ${counter.format(rows.length)} rows`;
      };
      const updates = [...chosen.keys()].map(choiceOf).filter(Boolean);
      if (headers.length > 6) updates.push(columnBoxes());
      if (updates.length) {
        const panel = element("div", { class: "cg-panel", id: `${table.id}-choices` }, ...updates.map(({ made }) => made));
        const opener = button("Choose", () => {
          panel.hidden = !panel.hidden;
          opener.setAttribute("aria-expanded", String(!panel.hidden));
        }, { "aria-expanded": "false", "aria-controls": panel.id, "aria-label": `Choose rows and columns: ${name}` }); // prettier-ignore
        panel.hidden = true;
        count.before(opener);
        bar.after(panel);
      }
      return [update, ...updates.map(({ update }) => update)];
    }

    function choiceOf(place) {
      const words = [...new Set(rows.map(({ cells }) => (cells[place] ? wordOf(cells[place]) : "")))].filter(Boolean);
      if (words.length < 2) return null;
      const key = keys[place];
      const select = element("select", {}, new Option("any", ""), ...words.sort(compare).map((word) => new Option(word)));
      select.addEventListener("change", () => change({ choices: { ...view.choices, [key]: select.value } }));
      return {
        made: element("label", {}, `${labels[place]} `, select),
        update: () => (select.value = view.choices[key] || ""),
      };
    }

    function columnBoxes() {
      const boxes = headers.slice(1).map((header) => {
        const box = element("input", { type: "checkbox", autocomplete: "off", value: header.dataset.key });
        box.addEventListener("change", () =>
          change({ without: boxes.filter(({ checked }) => !checked).map(({ value }) => value) }),
        );
        return box;
      });
      return {
        made: element(
          "fieldset",
          {},
          element("legend", {}, "Columns"),
          ...boxes.map((box, place) => element("label", {}, box, ` ${labels[place + 1]}`)),
        ),
        update: () => boxes.forEach((box) => (box.checked = !view.without.includes(box.value))),
      };
    }

    function sharing() {
      const copy = button("Copy link to this view", () => {
        const address = new URL(location.href);
        address.hash = table.id;
        navigator.clipboard.writeText(address.href).then(
          () => (said.textContent = copy.textContent = "Link copied"),
          () => (said.textContent = "The browser did not allow it: copy the address instead"),
        );
      });
      const reset = button("Reset", () =>
        change({ sort: usual, filter: "", choices: {}, without: [] }),
      );
      const line = element("p", { class: "cg-share" }, ...(navigator.clipboard ? [copy] : []), reset);
      table.closest(".cg-tabled").append(line);
      return () => {
        line.hidden = isUsual();
        copy.textContent = "Copy link to this view";
      };
    }

    return { restore: (params) => show(read(params)) };
  }

  const tables = [...document.querySelectorAll("table.cg-table--sortable")].map(manage);
  const restore = () => {
    const params = new URLSearchParams(location.search);
    tables.forEach((table) => table.restore(params));
  };
  document.body.append(said);
  window.addEventListener("popstate", restore);
  restore();
})();
