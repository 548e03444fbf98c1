// What the theme's frame lacks.
(function () {
  "use strict";

  const search = document.querySelector(".md-search");
  if (search) search.setAttribute("aria-label", "Search");

  // The theme puts each table of a text into a region that scrolls, out of the keyboard's reach.
  window.addEventListener("load", () => {
    document.querySelectorAll(".md-typeset__scrollwrap").forEach((region, place) => {
      region.tabIndex = 0;
      region.setAttribute("role", "region");
      region.setAttribute("aria-label", `Table ${place + 1}`);
    });
    // A landmark around each button that copies: several of one page need names of their own.
    document.querySelectorAll(".md-code__nav").forEach((around, place) => {
      around.setAttribute("aria-label", `Code ${place + 1}`);
    });
  });
})();
