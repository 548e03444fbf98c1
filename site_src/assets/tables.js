// Sorting of tables that are complete without it. Nothing is computed here: rows change places, within their group.
(function () {
  "use strict";

  function value(row, column) {
    var cell = row.children[column];
    if (!cell) return null;
    if (cell.hasAttribute("data-sort")) {
      return cell.dataset.sort === "" ? null : Number(cell.dataset.sort);
    }
    return cell.textContent.trim().toLowerCase();
  }

  function compare(a, b) {
    if (typeof a === "number" && typeof b === "number") return a - b;
    return String(a).localeCompare(String(b), "en", { numeric: true });
  }

  // The first click puts the best first: the highest number, or the lowest where lower is better; names from A.
  function startsDescending(header) {
    var arrow = header.querySelector(".cg-arrow");
    var direction = header.dataset.direction || (arrow && arrow.textContent.trim() === "↓" ? "lower" : "higher");
    return header.classList.contains("n") && direction !== "lower";
  }

  function sort(table, header, column) {
    var before = header.getAttribute("aria-sort");
    var descending = before ? before === "ascending" : startsDescending(header);
    table.querySelectorAll("th[aria-sort]").forEach(function (other) {
      other.removeAttribute("aria-sort");
      other.querySelector("button").textContent = "↕";
    });
    header.setAttribute("aria-sort", descending ? "descending" : "ascending");
    header.querySelector("button").textContent = descending ? "▾" : "▴";
    Array.prototype.forEach.call(table.tBodies, function (body) {
      var rows = Array.prototype.filter.call(body.rows, function (row) {
        return !row.classList.contains("cg-group");
      });
      rows
        .map(function (row, place) {
          return { row: row, place: place, value: value(row, column) };
        })
        .sort(function (a, b) {
          // What has no value stays below, whichever way the rest is sorted.
          if (a.value === null || b.value === null) {
            return (a.value === null) - (b.value === null) || a.place - b.place;
          }
          return (descending ? -1 : 1) * compare(a.value, b.value) || a.place - b.place;
        })
        .forEach(function (entry) {
          body.appendChild(entry.row);
        });
    });
  }

  document.querySelectorAll("table.cg-table--sortable").forEach(function (table) {
    Array.prototype.forEach.call(table.tHead.rows[0].cells, function (header, column) {
      var button = document.createElement("button");
      button.type = "button";
      button.textContent = "↕";
      button.setAttribute("aria-label", "Sort by " + header.textContent.replace(/[↑↓]/g, "").trim());
      button.addEventListener("click", function () {
        sort(table, header, column);
      });
      header.appendChild(button);
    });
  });
})();
