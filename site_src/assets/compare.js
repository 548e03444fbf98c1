// Choosing two rows of a leaderboard: the script only builds the link to their page, which is there already.
(function () {
  "use strict";

  function build(table) {
    var heads = table.querySelectorAll("th[data-id]");
    if (heads.length < 2) return;
    var chosen = [];
    var bar = document.createElement("p");
    bar.className = "cg-choice";
    bar.setAttribute("role", "status");

    function say() {
      bar.textContent = "";
      if (chosen.length < 2) {
        bar.textContent = chosen.length ? "Choose one more row to compare two models." : "Choose two rows to compare two models.";
        return;
      }
      var pair = chosen.slice().sort(function (a, b) {
        return a.value < b.value ? -1 : 1;
      });
      var link = document.createElement("a");
      link.href = table.dataset.compare + pair[0].value + "--" + pair[1].value + "/";
      link.textContent = "Compare " + pair[0].dataset.name + " and " + pair[1].dataset.name;
      bar.appendChild(link);
    }

    Array.prototype.forEach.call(heads, function (head) {
      var box = document.createElement("input");
      var name = head.querySelector("a") || head;
      box.type = "checkbox";
      box.className = "cg-choose";
      box.value = head.dataset.id;
      box.dataset.name = name.textContent.trim();
      box.autocomplete = "off";
      box.setAttribute("aria-label", "Choose " + box.dataset.name + " to compare");
      box.addEventListener("change", function () {
        chosen = chosen.filter(function (one) {
          return one !== box;
        });
        if (box.checked) chosen.push(box);
        // A third choice takes the place of the first one.
        if (chosen.length > 2) chosen.shift().checked = false;
        say();
      });
      head.insertBefore(box, head.firstChild);
    });
    say();
    table.parentNode.insertAdjacentElement("beforebegin", bar);
  }

  document.querySelectorAll("table[data-compare]").forEach(build);
})();
