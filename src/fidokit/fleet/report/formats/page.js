"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const [hosts, keys, ways] = [data.hosts, data.keys, data.ways];
  const STEP = 200;
  const byId = (id) => document.getElementById(id);
  const make = (tag, text, name) => {
    const node = document.createElement(tag);
    if (text !== undefined) node.textContent = text;
    if (name) node.className = name;
    return node;
  };
  const table = (heads, rows) => {
    const made = make("table");
    const top = made.createTHead().insertRow();
    for (const head of heads) top.append(make("th", head));
    const body = made.createTBody();
    for (const cells of rows) {
      const line = body.insertRow();
      for (const cell of cells) line.append(make("td", cell));
    }
    return made;
  };
  const demands = (flags) => [flags & 1 ? "touch" : "", flags & 2 ? "PIN" : ""].filter(Boolean).join(", ");
  const owner = (key) => [key[4], key[5]].filter(Boolean).join(" / ") || (key[7] === false ? "not in the policy" : "");
  const keyText = (key) => `${key[1]} ${key[0]} ${key[2]}`;
  const hostRows = (host) => host[5].map(([account, way, key, flags]) => {
    const found = key < 0 ? null : keys[key];
    return [data.accounts[account], ways[way], found ? owner(found) : "", found ? keyText(found) : "", demands(flags)];
  });
  const placesOf = (wanted) => {
    const rows = [];
    for (const host of hosts) {
      for (const [account, , key] of host[5]) {
        if (key === wanted && rows.length < 1000) rows.push([host[0], data.accounts[account]]);
      }
    }
    return rows;
  };
  const kinds = {
    hosts: {
      all: hosts.map((_, n) => n),
      odd: (n) => hosts[n][1] !== "checked" || !hosts[n][4] || hosts[n][6].length > 0,
      text: (n) => [hosts[n][0], hosts[n][1], ...hostRows(hosts[n]).flat()].join(" "),
      title: (n) => hosts[n][0],
      about: (n) => hosts[n][1] === "checked"
        ? `${hosts[n][5].length} ways in${hosts[n][6].length ? `, ${hosts[n][6].length} findings` : ""}`
        : `${hosts[n][1]}: ${hosts[n][2]}`,
      name: (n) => hosts[n][1] !== "checked" ? "doubt" : hosts[n][4] ? "" : "bad",
      fill: (n, into) => {
        const host = hosts[n];
        if (host[5].length) into.append(table(["Account", "By", "Whose", "Key", "Takes"], hostRows(host)));
        if (host[6].length) into.append(table(["Finding", "What", "Account"], host[6]));
        if (!host[5].length && !host[6].length) into.append(make("p", host[2] || "Nobody gets in."));
      },
    },
    keys: {
      all: keys.map((_, n) => n),
      odd: (n) => keys[n][7] === false,
      text: (n) => [keyText(keys[n]), owner(keys[n]), ways[keys[n][3]]].join(" "),
      title: (n) => keyText(keys[n]),
      about: (n) => [ways[keys[n][3]], owner(keys[n]), `${keys[n][8]} accounts`].filter(Boolean).join(", "),
      name: (n) => keys[n][7] === false ? "bad" : "",
      fill: (n, into) => into.append(table(["Host", "Account"], placesOf(n))),
    },
  };
  const texts = { hosts: [], keys: [] };
  let found = [];
  let shown = 0;
  const more = () => {
    const kind = kinds[byId("what").value];
    const piece = document.createDocumentFragment();
    for (const n of found.slice(shown, shown + STEP)) {
      const box = make("details");
      const head = make("summary", kind.title(n) + " ", kind.name(n));
      head.append(make("small", kind.about(n)));
      box.append(head);
      box.addEventListener("toggle", () => {
        if (box.open && box.childElementCount === 1) {
          const inner = make("div", undefined, "inner");
          kind.fill(n, inner);
          box.append(inner);
        }
      });
      piece.append(box);
    }
    shown = Math.min(shown + STEP, found.length);
    byId("list").append(piece);
    byId("more").hidden = shown >= found.length;
    byId("count").textContent = `${found.length.toLocaleString("en")} of ${kind.all.length.toLocaleString("en")} ${byId("what").value}, ${shown.toLocaleString("en")} shown`;
  };
  const search = () => {
    const what = byId("what").value;
    const kind = kinds[what];
    const words = byId("filter").value.toLowerCase().split(/\s+/).filter(Boolean);
    const odd = byId("odd").checked;
    found = kind.all.filter((n) => {
      if (odd && !kind.odd(n)) return false;
      if (!words.length) return true;
      const text = texts[what][n] ??= kind.text(n).toLowerCase();
      return words.every((word) => text.includes(word));
    });
    shown = 0;
    byId("list").replaceChildren();
    more();
  };
  let waiting = 0;
  byId("filter").addEventListener("input", () => { clearTimeout(waiting); waiting = setTimeout(search, 150); });
  byId("what").addEventListener("change", search);
  byId("odd").addEventListener("change", search);
  byId("more").addEventListener("click", more);
  byId("browse").hidden = false;
  search();
})();
