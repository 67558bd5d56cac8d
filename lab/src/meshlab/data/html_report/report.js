// What a reader can do with a report: open the details of a cell or of a node, filter, and go from cell to cell with the
// keyboard. Tables and drawing are in the document already, so the page can be read without this script. Texts come from
// manifests and responses: they are only ever set as `textContent`.
"use strict";

(() => {
  // `meshlab.html_report.data` describes it: numbers stand for texts, and under `steps` for steps.
  const data = JSON.parse(document.getElementById("data").textContent);
  const { tones } = data;

  /** Return a value with its texts. */
  function texts(value) {
    if (typeof value === "number") return data.texts[value];
    if (Array.isArray(value)) return value.map(texts);
    if (value === null || typeof value !== "object") return value;
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, key === "steps" ? item : texts(item)]));
  }

  // What filters and the drawing ask for. The blocks of an entry stay as they are until it is opened.
  const entries = data.entries.map(({ blocks, ...rest }) => ({ ...texts(rest), blocks }));
  const panel = document.getElementById("panel");
  const cells = [...document.querySelectorAll(".cell")];
  const search = document.getElementById("search");
  const chips = [...document.querySelectorAll(".chip")];
  const nodeFilter = document.getElementById("through");
  let opener = null; // what had the focus before the panel
  let current = -1; // the entry that the panel shows
  let through = ""; // the node that shown requests must pass

  /** Return an element with a class, texts and children. */
  function make(tag, className, ...children) {
    const made = document.createElement(tag);
    if (className) made.className = className;
    made.append(...children); // texts become text nodes
    return made;
  }

  function button(text, act, disabled = false) {
    const made = make("button", "plain-button", text);
    made.type = "button";
    made.disabled = disabled;
    made.addEventListener("click", act);
    return made;
  }

  // The panel

  function facts(list) {
    const made = make("dl", "facts");
    for (const [label, value, tone] of list) made.append(make("dt", "", label), make("dd", tone || "", value));
    return made;
  }

  function compared(rows, names) {
    const [same, differs] = names ? ["", "≠ "] : ["✓ ", "✗ "];
    const body = make("tbody", "");
    for (const [part, expected, got, met] of rows) {
      const head = make("th", "", part);
      head.scope = "row";
      const value = (met ? same : differs) + got;
      body.append(make("tr", met ? "" : "failed", head, make("td", "", expected), make("td", "", value)));
    }
    const heads = ["", ...(names || ["expected", "got"])].map((name) => {
      const head = make(name ? "th" : "td", "", name);
      if (name) head.scope = "col";
      return head;
    });
    return make("table", "compared", make("thead", "", make("tr", "", ...heads)), body);
  }

  function steps(indices) {
    const made = make("ol", "steps");
    for (const step of indices.map((index) => texts(data.steps[index]))) {
      const tone = tones[step.tone];
      const head = make("span", "", step.title);
      if (tone) head.prepend(make("span", "step-mark", tone.mark), " ");
      // Most steps are passed, and a reader looks for the others; the mark says it, too.
      if (tone) head.append(" ", make("span", step.tone === "passed" ? "sr" : "step-word", tone.word));
      const more = [...(step.facts ? [facts(step.facts)] : []), ...(step.steps ? [steps(step.steps)] : [])];
      if (!more.length) {
        made.append(make("li", step.tone || "", head));
        continue;
      }
      const folded = make("details", "", make("summary", "", head), ...more);
      folded.open = step.opened !== false;
      made.append(make("li", step.tone || "", folded));
    }
    return made;
  }

  function block(found) {
    const parts = [];
    // A text that a server sent may be long, and is the last that a reader looks for.
    if (found.code) return [make("details", "", make("summary", "", found.heading), make("pre", "", found.code))];
    if (found.heading) parts.push(make("h3", "", found.heading));
    if (found.rows) parts.push(compared(found.rows, found.heads));
    if (found.facts) parts.push(facts(found.facts));
    for (const line of found.lines || []) parts.push(make("p", "", line));
    if (found.steps) parts.push(steps(found.steps));
    return parts;
  }

  function visibleCells() {
    return cells.filter((cell) => cell.offsetParent && !cell.classList.contains("dim"));
  }

  function open(index, from) {
    const entry = entries[index];
    if (!entry) return;
    if (panel.hidden) opener = from;
    current = index;
    const tone = tones[entry.tone];
    const order = visibleCells().map((cell) => Number(cell.dataset.entry));
    const at = order.indexOf(index);
    const title = make("h2", "", entry.title);
    title.id = "panel-title";
    title.tabIndex = -1;
    const bar = make(
      "div",
      "bar-top",
      tone ? make("span", `tone ${entry.tone}`, `${tone.mark} ${tone.word}`) : make("span", "tone still", "details"),
      button("Previous", () => open(order[at - 1], opener), at < 1),
      button("Next", () => open(order[at + 1], opener), at < 0 || at + 1 >= order.length),
      button("Close", close),
    );
    const parts = [bar, title];
    if (entry.place) parts.push(make("p", "place", entry.place));
    if (entry.node) {
      const count = entries.filter((other) => !other.node && (other.nodes || []).includes(entry.node)).length;
      const label = count === 1 ? "Show the 1 request through it" : `Show the ${count} requests through it`;
      parts.push(make("p", "", button(label, () => filterBy(entry.node), count === 0)));
    }
    for (const found of texts(entry.blocks || [])) parts.push(...block(found));
    panel.replaceChildren(...parts);
    panel.hidden = false;
    panel.scrollTop = 0;
    document.body.classList.add("open");
    for (const cell of cells) cell.setAttribute("aria-expanded", String(Number(cell.dataset.entry) === index));
    light(entry.node ? [entry.node] : entry.nodes || [], Boolean(entry.node));
    title.focus({ preventScroll: true });
    remember(index);
  }

  function close() {
    if (panel.hidden) return;
    panel.hidden = true;
    document.body.classList.remove("open");
    const last = cells.find((cell) => Number(cell.dataset.entry) === current && cell.offsetParent);
    for (const cell of cells) cell.removeAttribute("aria-expanded");
    light([]);
    remember(-1);
    current = -1;
    const back = last || opener;
    if (back) back.focus();
  }

  /** Keep the open entry in the address, so that a link to it can be shared. */
  function remember(index) {
    try {
      history.replaceState(null, "", index < 0 ? location.pathname + location.search : `#e${index}`);
    } catch {
      // Some viewers of files forbid it, and the page works without it.
    }
  }

  // The drawing

  /** Show some nodes and the ways between them, or all ways of one node, brighter than the rest. */
  function light(nodes, around = false) {
    for (const mesh of document.querySelectorAll(".mesh")) {
      mesh.classList.toggle("lit", nodes.length > 0);
      const near = new Set(nodes);
      for (const line of mesh.querySelectorAll("g.line")) {
        const { from, to } = line.dataset;
        const step = nodes.indexOf(to) - nodes.indexOf(from) === 1 && nodes.includes(from);
        const lit = around ? from === nodes[0] || to === nodes[0] : step;
        line.classList.toggle("lit", lit);
        if (lit) near.add(from).add(to);
      }
      for (const box of mesh.querySelectorAll("g.box")) box.classList.toggle("lit", near.has(box.dataset.node));
      show(mesh, nodes[nodes.length - 1]);
    }
  }

  /** Scroll the last of the bright nodes into the sheet; the page itself stays where it is. */
  function show(mesh, name) {
    const box = [...mesh.querySelectorAll("g.box.lit")].find((lit) => lit.dataset.node === name);
    if (!box || panel.hidden) return;
    const sheet = mesh.parentElement;
    const seen = sheet.getBoundingClientRect();
    const place = box.getBoundingClientRect();
    if (place.left < seen.left || place.right > seen.right) sheet.scrollLeft += place.right - seen.right + 40;
    if (place.top < seen.top || place.bottom > seen.bottom) sheet.scrollTop += place.top - seen.top - seen.height / 3;
  }

  // The filters

  const haystacks = entries.map((entry) =>
    [entry.title, entry.place, entry.words, ...(entry.nodes || [])].join(" ").toLowerCase(),
  );

  function filterBy(node) {
    through = node;
    close();
    filter();
    document.getElementById("results").scrollIntoView();
    const first = visibleCells()[0];
    if (first) enter(first);
  }

  function filter() {
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    const wanted = chips.filter((chip) => chip.getAttribute("aria-pressed") === "true").map((chip) => chip.dataset.tone);
    const matches = (cell) => {
      const index = Number(cell.dataset.entry);
      const entry = entries[index];
      return (
        (!wanted.length || wanted.includes(entry.tone)) &&
        (!through || (entry.nodes || []).includes(through)) &&
        words.every((word) => haystacks[index].includes(word) || cell.textContent.toLowerCase().includes(word))
      );
    };
    let count = 0;
    for (const cell of cells) {
      const found = matches(cell);
      cell.classList.toggle("dim", !found);
      count += found;
    }
    for (const row of document.querySelectorAll(".results tbody tr")) row.hidden = !row.querySelector(".cell:not(.dim)");
    for (const part of document.querySelectorAll(".results .scroll, .results .file")) {
      part.hidden = !part.querySelector(".cell:not(.dim)");
    }
    document.getElementById("empty").hidden = count > 0;
    const shown = document.getElementById("shown");
    shown.textContent = `${count} of ${cells.length} ${shown.dataset.unit} shown`;
    nodeFilter.hidden = !through;
    nodeFilter.textContent = `through ${through} ✕`;
    for (const grid of document.querySelectorAll("[role=grid]")) settle(grid);
  }

  search.addEventListener("input", filter);
  nodeFilter.addEventListener("click", () => {
    through = "";
    filter();
    search.focus();
  });
  for (const chip of chips) {
    chip.addEventListener("click", () => {
      chip.setAttribute("aria-pressed", String(chip.getAttribute("aria-pressed") !== "true"));
      filter();
    });
  }

  // The keyboard: one cell of each table is in the order of Tab, and arrows lead from it to the others.

  function settle(grid) {
    const own = [...grid.querySelectorAll(".cell")];
    const kept = own.find((cell) => cell.tabIndex === 0 && cell.offsetParent) || own.find((cell) => cell.offsetParent);
    for (const cell of own) cell.tabIndex = cell === kept ? 0 : -1;
  }

  function enter(cell) {
    for (const other of cell.closest("[role=grid]").querySelectorAll(".cell")) other.tabIndex = other === cell ? 0 : -1;
    cell.focus();
    cell.scrollIntoView({ block: "nearest", inline: "nearest" });
  }

  /** Return the cell that a key leads to: the next one in that direction that there is. */
  function neighbour(cell, key, whole) {
    const rows = [...cell.closest("[role=grid]").tBodies[0].rows]
      .filter((row) => !row.hidden)
      .map((row) => [...row.cells].map((place) => place.querySelector(".cell")));
    const y = rows.findIndex((row) => row.includes(cell));
    const x = rows[y].indexOf(cell);
    const first = (list) => list.find(Boolean);
    switch (key) {
      case "ArrowRight":
        return first(rows[y].slice(x + 1));
      case "ArrowLeft":
        return first(rows[y].slice(0, x).reverse());
      case "ArrowDown":
        return first(rows.slice(y + 1).map((row) => row[x]));
      case "ArrowUp":
        return first(rows.slice(0, y).reverse().map((row) => row[x]));
      case "Home":
        return first(whole ? rows.flat() : rows[y]);
      case "End":
        return first((whole ? rows.flat() : [...rows[y]]).reverse());
      default:
        return null;
    }
  }

  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && !panel.hidden) {
      event.preventDefault();
      close();
      return;
    }
    const typing = event.target === search;
    if (event.key === "/" && !typing) {
      event.preventDefault();
      search.focus();
      return;
    }
    const box = event.target.closest("[role=button][data-entry]");
    if (box && (event.key === "Enter" || event.key === " ")) {
      event.preventDefault();
      open(Number(box.dataset.entry), box);
      return;
    }
    const cell = event.target.closest(".cell");
    if (!cell || event.altKey || event.metaKey) return;
    const next = neighbour(cell, event.key, event.ctrlKey);
    if (next) enter(next);
    if (next || event.key.startsWith("Arrow")) event.preventDefault();
  });

  document.addEventListener("click", (event) => {
    const opened = event.target.closest("[data-entry]");
    if (opened) open(Number(opened.dataset.entry), opened);
  });

  for (const box of document.querySelectorAll("g.box")) {
    const show = () => panel.hidden && light([box.dataset.node], true);
    const rest = () => panel.hidden && light([]);
    box.addEventListener("pointerenter", show);
    box.addEventListener("pointerleave", rest);
    box.addEventListener("focus", show);
    box.addEventListener("blur", rest);
  }

  // A wide drawing shrinks with the window, but only as far as its texts can be read; then it scrolls.
  for (const mesh of document.querySelectorAll(".mesh.wide")) mesh.style.minWidth = `${0.74 * mesh.viewBox.baseVal.width}px`;

  filter();
  const linked = /^#e(\d+)$/.exec(location.hash);
  if (linked) open(Number(linked[1]), null);
  document.documentElement.dataset.ready = "";
  performance.mark("ready");
})();
