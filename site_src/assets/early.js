// What has to be there before the page: a reader may be quicker than the scripts at its end.
(function () {
  "use strict";

  // A disk has no server that would answer for a folder with its page.
  if (location.protocol === "file:") {
    const lead = (event) => {
      const link = event.target.closest && event.target.closest("a[href]");
      if (link && link.protocol === "file:" && link.pathname.endsWith("/")) link.pathname += "index.html";
    };
    ["pointerdown", "focusin", "click"].forEach((kind) => document.addEventListener(kind, lead, true));
  }

  // The theme starts its search and asks for the index with every page, and the index grows with the site. Both wait until
  // a reader turns to the search, or comes from it.
  const asks = [], Started = window.Worker, open = XMLHttpRequest.prototype.open;
  let wanted = /[?&][hq]=/.test(location.search);
  const turn = (event) => {
    if (wanted || !event.target.closest || !event.target.closest(".md-search, label[for=__search]")) return;
    wanted = true;
    asks.forEach((ask) => ask());
  };
  ["focusin", "pointerover"].forEach((kind) => document.addEventListener(kind, turn, true));

  XMLHttpRequest.prototype.open = function (method, address, ...rest) {
    open.call(this, method, address, ...rest);
    // A disk has no list of other releases, and says so in an error.
    if (location.protocol === "file:" && /\/versions\.json$/.test(address)) this.send = () => {};
    if (wanted || !/\/search\/search_index\.json$/.test(address)) return;
    this.send = () => asks.push(() => XMLHttpRequest.prototype.send.call(this));
  };

  class Waiting extends EventTarget {
    constructor(address) {
      super();
      this.messages = [];
      asks.push(() => {
        this.worker = new Started(address);
        this.worker.onmessage = ({ data }) => this.dispatchEvent(new MessageEvent("message", { data }));
        this.messages.forEach((message) => this.worker.postMessage(message));
      });
    }

    postMessage(message) {
      if (this.worker) this.worker.postMessage(message);
      else this.messages.push(message);
    }
  }
  if (location.protocol !== "file:") {
    window.Worker = function (address) {
      return wanted ? new Started(address) : new Waiting(address);
    };
  }
})();
