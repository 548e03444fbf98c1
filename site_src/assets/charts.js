// Figures that are complete without it: what they hold as files, and an interactive view in place of a drawing when it
// comes near. Nothing is computed here.
(function () {
  "use strict";

  var NEAR_PX = 300;
  var FONT = 'Inter, "Helvetica Neue", Arial, sans-serif';
  var SVG = "http://www.w3.org/2000/svg";

  // ---- files ----

  function save(blob, name) {
    var link = document.createElement("a");
    link.href = URL.createObjectURL(blob);
    link.download = name;
    link.click();
    setTimeout(function () {
      URL.revokeObjectURL(link.href);
    }, 10000);
  }

  // A file is read on white paper, whatever the page looks like at the moment.
  function withPalette(use) {
    var probe = document.createElement("div");
    probe.setAttribute("data-md-color-scheme", "default");
    document.body.appendChild(probe);
    var style = getComputedStyle(probe);
    function resolved(text) {
      return text
        .replace(/var\((--[\w-]+)\)/g, function (_, name) {
          return style.getPropertyValue(name).trim();
        })
        .replace(/currentColor/g, style.getPropertyValue("--cg-ink").trim());
    }
    try {
      return use(resolved);
    } finally {
      probe.remove();
    }
  }

  function child(parent, name, attributes, text) {
    var element = document.createElementNS(SVG, name);
    Object.keys(attributes).forEach(function (key) {
      element.setAttribute(key, attributes[key]);
    });
    element.textContent = text || "";
    parent.insertBefore(element, parent.firstChild);
  }

  function describing(figure) {
    return figure.querySelector("[role=img]").getAttribute("aria-label");
  }

  function asFile(figure, held) {
    var svg = figure.querySelector("[data-layout] > svg").cloneNode(true);
    withPalette(function (resolved) {
      [svg].concat(Array.from(svg.querySelectorAll("*"))).forEach(function (element) {
        ["fill", "stroke"].forEach(function (paint) {
          if (element.hasAttribute(paint)) element.setAttribute(paint, resolved(element.getAttribute(paint)));
        });
      });
    });
    svg.removeAttribute("aria-hidden");
    svg.removeAttribute("focusable");
    svg.setAttribute("xmlns", SVG);
    svg.setAttribute("role", "img");
    svg.setAttribute("font-family", FONT);
    child(svg, "rect", { width: "100%", height: "100%", fill: "#ffffff" });
    child(svg, "desc", {}, describing(figure));
    child(svg, "title", {}, held.title);
    return new XMLSerializer().serializeToString(svg);
  }

  function savePng(text, name) {
    var image = new Image();
    image.onload = function () {
      var canvas = document.createElement("canvas");
      canvas.width = 3 * image.width;
      canvas.height = 3 * image.height;
      canvas.getContext("2d").drawImage(image, 0, 0, canvas.width, canvas.height);
      canvas.toBlob(function (blob) {
        save(blob, name);
      }, "image/png");
    };
    image.src = "data:image/svg+xml;charset=utf-8," + encodeURIComponent(text);
  }

  // As in Python: empty where there is no value, and text that a spreadsheet would run as a formula gets an apostrophe.
  function field(value) {
    if (value === null || value === undefined) return "";
    var text = typeof value === "string" && /^[=+\-@\t\r]/.test(value) ? "'" + value : String(value);
    return /[",\r\n]/.test(text) ? '"' + text.replace(/"/g, '""') + '"' : text;
  }

  function asCsv(held) {
    var names = Object.keys(held.names);
    var rows = held.datasets.rows.map(function (row) {
      return names.map(function (name) {
        return field(row[name]);
      });
    });
    return [names.map(field)].concat(rows).join("\n") + "\n";
  }

  function fill(part, values) {
    if (typeof part === "string") return part.charAt(0) === "@" ? values[part.slice(1)] : part;
    if (Array.isArray(part)) {
      return part.map(function (one) {
        return fill(one, values);
      });
    }
    if (part === null || typeof part !== "object") return part;
    return Object.keys(part).reduce(function (made, key) {
      made[key] = fill(part[key], values);
      return made;
    }, {});
  }

  function specification(vega, held, layout) {
    var one = held.layouts[layout];
    return Object.assign(fill(vega.forms[one.form], one.values), { datasets: held.datasets });
  }

  function asSpecification(vega, held, description) {
    var spec = specification(vega, held, Object.keys(held.layouts)[0]);
    spec.description = held.title + ". " + description;
    spec.background = "white";
    return withPalette(function (resolved) {
      return resolved(JSON.stringify(spec, null, 1)) + "\n";
    });
  }

  function addDownloads(figure, held) {
    var files = {
      SVG: function () {
        save(new Blob([asFile(figure, held)], { type: "image/svg+xml" }), figure.dataset.file + ".svg");
      },
      PNG: function () {
        savePng(asFile(figure, held), figure.dataset.file + ".png");
      },
      CSV: function () {
        save(new Blob([asCsv(held)], { type: "text/csv" }), figure.dataset.file + ".csv");
      },
      "Vega-Lite": function () {
        load(figure.dataset.vega).then(function (vega) {
          var text = asSpecification(vega, held, describing(figure));
          save(new Blob([text], { type: "application/json" }), figure.dataset.file + ".vl.json");
        });
      },
    };
    var bar = document.createElement("p");
    bar.className = "cg-downloads";
    bar.append("Download:");
    Object.keys(files).forEach(function (kind) {
      var button = document.createElement("button");
      button.type = "button";
      button.textContent = kind;
      button.setAttribute("aria-label", kind + " of the figure: " + held.title);
      button.addEventListener("click", files[kind]);
      bar.append(button);
    });
    figure.querySelector("figcaption").append(bar);
  }

  // ---- the interactive view ----

  var loading = null;

  function load(address) {
    loading =
      loading ||
      new Promise(function (resolve, reject) {
        var script = document.createElement("script");
        script.src = address;
        script.onload = function () {
          resolve(window.cgVega);
        };
        script.onerror = reject;
        document.head.append(script);
      });
    return loading;
  }

  var tip = document.createElement("div");
  tip.className = "cg-tip";
  tip.hidden = true;

  function written(value) {
    var text = typeof value === "number" ? String(Number(value.toPrecision(6))) : String(value);
    return text.replace(/^-/, "−");
  }

  function tooltips(held) {
    return function (handler, event, item, datum) {
      var lines = [];
      // The first column is the name, which stands above the others where there is one.
      var names = Object.keys(held.names).slice(datum && datum._label ? 1 : 0);
      names.forEach(function (key) {
        var value = datum && datum[key];
        if (value === undefined || value === null) return;
        var line = document.createElement("div");
        var name = document.createElement("span");
        name.textContent = held.names[key];
        line.append(name, written(value));
        lines.push(line);
      });
      tip.hidden = !lines.length;
      if (tip.hidden) return;
      var head = document.createElement("strong");
      head.textContent = datum._label || "";
      tip.replaceChildren.apply(tip, [head].concat(lines));
      var at = event.touches ? event.touches[0] || event.changedTouches[0] : event;
      var x = Math.min(at.clientX + 14, window.innerWidth - tip.offsetWidth - 8);
      var below = at.clientY + 16 + tip.offsetHeight < window.innerHeight;
      var y = below ? at.clientY + 16 : at.clientY - 12 - tip.offsetHeight;
      tip.style.transform = "translate(" + Math.max(8, x) + "px," + Math.max(8, y) + "px)";
    };
  }

  function enliven(figure, held, place) {
    if (place.cgAsked) return;
    place.cgAsked = true;
    load(figure.dataset.vega)
      .then(function (vega) {
        var live = document.createElement("div");
        live.className = "cg-live";
        live.setAttribute("aria-hidden", "true");
        var options = { actions: false, defaultStyle: false, renderer: "svg", tooltip: tooltips(held) };
        return vega(live, specification(vega, held, place.dataset.layout), options).then(function () {
          // The text of the figure speaks for the view, too, and its data are in a table.
          [live].concat(Array.from(live.querySelectorAll("[aria-label], [tabindex]"))).forEach(function (part) {
            ["aria-label", "aria-roledescription", "role", "tabindex"].forEach(function (name) {
              part.removeAttribute(name);
            });
          });
          place.append(live);
          place.classList.add("cg-is-live");
        });
      })
      // The drawing stays where it is.
      .catch(function () {});
  }

  function isSparing() {
    var connection = navigator.connection;
    return (connection && connection.saveData) || window.matchMedia("(prefers-reduced-data: reduce)").matches;
  }

  // Asked once, to fetch at once what the first charts need: an observer answers only after all scripts have run.
  function isNear(place) {
    var box = place.getBoundingClientRect();
    return box.height && box.top < window.innerHeight + NEAR_PX;
  }

  var figures = new Map();

  // A layout that is not shown is not near; it is when the window becomes narrow.
  var watch = new IntersectionObserver(
    function (entries) {
      entries.forEach(function (entry) {
        if (!entry.isIntersecting) return;
        watch.unobserve(entry.target);
        var figure = entry.target.closest("figure");
        enliven(figure, figures.get(figure), entry.target);
      });
    },
    { rootMargin: NEAR_PX + "px" },
  );

  document.querySelectorAll("figure.cg-figure").forEach(function (figure) {
    var template = figure.querySelector("template");
    if (!template) return;
    var held = JSON.parse(template.content.textContent);
    figures.set(figure, held);
    addDownloads(figure, held);
    var places = figure.querySelectorAll("[data-layout]");
    ["pointerenter", "focusin"].forEach(function (kind) {
      figure.addEventListener(kind, function () {
        places.forEach(function (place) {
          if (place.offsetHeight) enliven(figure, held, place);
        });
      });
    });
    if (isSparing()) return;
    places.forEach(function (place) {
      watch.observe(place);
      if (isNear(place)) load(figure.dataset.vega);
    });
  });
  document.body.append(tip);
})();
