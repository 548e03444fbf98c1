// Says on the pages of a release, which never change, what has happened since: versions.json beside it knows.
(function () {
  "use strict";

  const place = document.querySelector(".cg-since");
  if (!place || location.protocol === "file:") return; // a page from a disk may load no file
  const { base } = JSON.parse(document.getElementById("__config").textContent);
  const root = new URL("../", new URL(`${base.replace(/\/$/, "")}/`, location.href));

  const link = (release, words) => {
    const made = document.createElement("a");
    made.href = new URL(`${release}/`, root);
    made.textContent = words;
    return made;
  };
  const say = (...parts) => {
    const line = document.createElement("p");
    line.append(...parts);
    place.firstElementChild.append(line);
    place.hidden = false;
  };

  const tell = (versions) => {
    const own = versions.find(({ version }) => version === place.dataset.release);
    if (!own) return;
    const correcting = versions.filter(({ properties }) => properties.corrects?.release === own.version);
    for (const { version, properties } of correcting) {
      say("Corrected by ", link(version, `release ${version}`), `: ${properties.corrects.reason}`);
    }
    const newest = versions.find(({ properties }) => properties.series === own.properties.series);
    if (newest !== own && !correcting.includes(newest)) say("A newer release exists: ", link(newest.version, newest.title), ".");
  };
  fetch(new URL("versions.json", root))
    .then((answer) => (answer.ok ? answer.json().then(tell) : undefined))
    .catch(() => {}); // without it the page is as it was published
})();
