"use strict";

// Copying a table's text, also where the clipboard's own interface is not to be had.
for (const button of document.querySelectorAll("button[data-copy]")) {
  const label = button.textContent;
  button.addEventListener("click", async () => {
    const text = button.dataset.copy;
    try {
      await navigator.clipboard.writeText(text);
    } catch {
      const field = document.createElement("textarea");
      field.value = text;
      document.body.append(field);
      field.select();
      document.execCommand("copy");
      field.remove();
      button.focus();
    }
    button.textContent = "Copied";
    const table = button.closest(".copy").nextElementSibling.getAttribute("aria-label");
    document.getElementById("told").textContent = `${label.replace("Copy", "Copied")}: ${table}`;
    setTimeout(() => { button.textContent = label; }, 1200);
  });
}

// Sorting a table by a column: numbers by their value, what is no number last.
for (const table of document.querySelectorAll("table.sortable")) {
  table.querySelectorAll("thead th").forEach((head, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const descends = head.getAttribute("aria-sort") === "ascending";
      for (const other of table.querySelectorAll("thead th")) other.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", descends ? "descending" : "ascending");
      const rows = [...table.tBodies[0].rows].map((row) => {
        const text = row.cells[column].textContent.trim();
        return { row, text, number: parseFloat(text.replace("−", "-")) };
      });
      rows.sort((a, b) => {
        if (isNaN(a.number) !== isNaN(b.number)) return isNaN(a.number) ? 1 : -1;
        const order = isNaN(a.number) ? a.text.localeCompare(b.text) : a.number - b.number;
        return descends ? -order : order;
      });
      table.tBodies[0].append(...rows.map((entry) => entry.row));
    });
  });
}

const data = JSON.parse(document.getElementById("data").textContent);

document.getElementById("save")?.addEventListener("click", () => {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([JSON.stringify(data, null, 1)], { type: "application/json" }));
  link.download = "report.json";
  link.click();
  URL.revokeObjectURL(link.href);
});

// On paper nothing can be unfolded.
addEventListener("beforeprint", () => {
  for (const details of document.querySelectorAll("details")) details.open = true;
});

// Early stopping as mmengine's hook does it: a validation counts as no progress where best + min_delta > score.
function stopOf(history, higherIsBetter, patience, minDelta) {
  const sign = higherIsBetter ? 1 : -1;
  let best = -Infinity;
  let waited = 0;
  for (let index = 0; index < history.length; index += 1) {
    const score = sign * history[index][1];
    if (best + minDelta > score) {
      waited += 1;
      if (waited >= patience) return index;
    } else {
      best = score;
      waited = 0;
    }
  }
  return null;
}

const replayed = document.getElementById("replayed");
if (replayed) {
  const runs = data.replay.filter((run) => run.history.length > 0);
  const patience = document.getElementById("patience");
  const delta = document.getElementById("delta");
  const show = () => {
    patience.nextElementSibling.value = patience.value;
    delta.nextElementSibling.value = Number(delta.value).toFixed(2);
    const told = new Map();
    for (const run of runs) {
      const sign = run.higher_is_better ? 1 : -1;
      const best = (history) => Math.max(...history.map((point) => sign * point[1]));
      const stop = stopOf(run.history, run.higher_is_better, Number(patience.value), Number(delta.value));
      const sum = told.get(run.loss) || { runs: 0, stopped: 0, lost: 0, saved: 0 };
      sum.runs += 1;
      if (stop !== null) {
        const end = run.history[run.history.length - 1][0];
        sum.stopped += 1;
        sum.lost += best(run.history) - best(run.history.slice(0, stop + 1));
        sum.saved += 1 - run.history[stop][0] / end;
      }
      told.set(run.loss, sum);
    }
    replayed.textContent = [...told].map(([loss, sum]) => sum.stopped === 0
      ? `${loss}: none of ${sum.runs} runs ends early.`
      : `${loss}: ${sum.stopped} of ${sum.runs} runs end early, saving ${(100 * sum.saved / sum.stopped).toFixed(0)} % of their iterations and losing ${(sum.lost / sum.stopped).toFixed(2)} points of their best.`
    ).join(" ");
  };
  patience.addEventListener("input", show);
  delta.addEventListener("input", show);
  show();
}
