// What the theme's frame lacks, and what links need in a site that is opened from disk.
(function () {
  "use strict";

  const search = document.querySelector(".md-search");
  if (search) search.setAttribute("aria-label", "Search");

  // The theme puts each table of a text into a region that scrolls, out of the keyboard's reach.
  window.addEventListener("load", () => {
    document.querySelectorAll(".md-typeset__scrollwrap").forEach((region) => {
      region.tabIndex = 0;
      region.setAttribute("role", "region");
      region.setAttribute("aria-label", "Table");
    });
  });

  // A disk has no server that would answer for a folder with its page.
  if (location.protocol === "file:") {
    const lead = (event) => {
      const link = event.target.closest && event.target.closest("a[href]");
      if (link && link.protocol === "file:" && link.pathname.endsWith("/")) link.pathname += "index.html";
    };
    ["pointerdown", "focusin", "click"].forEach((kind) => document.addEventListener(kind, lead, true));
  }
})();
