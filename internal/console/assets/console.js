// What the console's pages do beyond links and forms. Nothing here is needed to read a
// page or to send a form.
"use strict";
const root = document.documentElement;
root.classList.add("scripts");

const remember = (name, value) => {
  // In a frame of another site's page only such a cookie is kept, for that site alone.
  const where = window.top === window ? "samesite=lax" : "samesite=none; secure; partitioned";
  document.cookie = `${name}=${encodeURIComponent(value)}; path=/; max-age=31536000; ${where}`;
};
remember("boathook_zone", Intl.DateTimeFormat().resolvedOptions().timeZone || "UTC");

const say = (text) => {
  const toast = document.createElement("div");
  toast.className = "toast";
  toast.textContent = text;
  document.getElementById("toasts")?.append(toast);
  setTimeout(() => toast.remove(), 6000);
};

const copied = (button) => {
  const text = button.querySelector(".sr");
  const name = text?.textContent;
  if (text) text.textContent = "Copied";
  button.classList.add("ok");
  setTimeout(() => {
    if (text) text.textContent = name;
    button.classList.remove("ok");
  }, 1500);
};

addEventListener("click", (event) => {
  const theme = event.target.closest("[data-theme-switch]");
  if (theme) {
    const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
    remember("boathook_theme", (root.dataset.theme = dark ? "light" : "dark"));
  }
  const copy = event.target.closest("[data-copy]");
  if (copy) {
    navigator.clipboard.writeText(copy.dataset.copy).then(() => copied(copy), () => say("The browser does not allow copying. Select the text instead."));
  }
  event.target.closest("[data-dismiss]")?.closest(".toast").remove();
});

// A row opens beside its list where there is room for it; else its link is followed.
addEventListener("click", (event) => {
  const row = event.target.closest("a[data-inspect]");
  if (!row || event.ctrlKey || event.metaKey || event.shiftKey || !matchMedia("(min-width: 68.01rem)").matches) return;
  event.preventDefault();
  location.assign(row.dataset.inspect);
});

// A switch acts at once.
addEventListener("change", (event) => {
  if (event.target.matches("[data-submit]")) event.target.form.requestSubmit();
});

// A second click sends nothing twice. The button is disabled after the form is read.
addEventListener("submit", (event) => {
  const form = event.target;
  if (form.dataset.sent && form.method === "post") {
    event.preventDefault();
    return;
  }
  form.dataset.sent = "yes";
  setTimeout(() => form.querySelectorAll("button[type=submit]").forEach((b) => { b.ariaBusy = "true"; }), 0);
});
addEventListener("pageshow", () => { // also of a page that the back button brings
  document.querySelectorAll("form[data-sent]").forEach((form) => {
    delete form.dataset.sent;
    form.querySelectorAll("[aria-busy]").forEach((b) => { b.ariaBusy = null; });
  });
});

addEventListener("keydown", (event) => {
  if (event.key !== "/" || event.ctrlKey || event.metaKey || event.target.closest("input, textarea, select")) return;
  event.preventDefault();
  document.getElementById("q")?.focus();
});

addEventListener("DOMContentLoaded", () => {
  // A link of a first visit carries its code behind the #, where no server sees it.
  const code = new URLSearchParams(location.hash.slice(1)).get("code");
  const visit = document.querySelector("form[data-visit]");
  if (code && visit) {
    history.replaceState(null, "", location.pathname + location.search);
    const field = document.createElement("input");
    Object.assign(field, { type: "hidden", name: "code", value: code });
    visit.append(field);
    visit.querySelector("#token").required = false;
    visit.requestSubmit();
  }
  // So does the link of a customer's portal. Who is in one already goes on.
  const door = document.querySelector("form[data-portal]");
  const token = new URLSearchParams(location.hash.slice(1)).get("token");
  if (door && token) {
    history.replaceState(null, "", location.pathname);
    door.querySelector("#token").value = token;
    door.requestSubmit();
  } else if (door?.dataset.portal) {
    location.replace(door.dataset.portal);
  }
  document.querySelectorAll("[data-toast]").forEach((toast) => setTimeout(() => toast.remove(), 6000));
});

// The log of a run that goes on. A socket only tells that there is more of it: the lines
// come from the page's own server, by their numbers, so that none is missing or doubled.
// Without a socket they are asked for each second.
const partsOfRun = ["run-state", "run-acts", "run-error", "run-output", "run-times"];

const watchLog = (log) => {
  const list = log.querySelector("ol");
  const follow = document.getElementById("follow");
  const live = document.querySelector("#log-state span");
  const pause = (ms) => new Promise((done) => setTimeout(done, ms));
  let state = log.dataset.state;
  let looking = false;
  let over = false;

  const toEnd = () => { if (follow.checked) log.scrollTop = log.scrollHeight; };
  follow.addEventListener("change", toEnd);
  log.addEventListener("scroll", () => { follow.checked = log.scrollHeight - log.scrollTop - log.clientHeight < 24; });

  const renew = async () => {
    const answer = await fetch(location.href);
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    for (const id of partsOfRun) {
      const fresh = page.getElementById(id);
      if (fresh) document.getElementById(id).replaceWith(fresh);
    }
  };

  const look = async () => {
    if (looking || over || document.hidden) return;
    looking = true;
    try {
      const from = Number(list.lastElementChild?.dataset.line ?? -1) + 1;
      const answer = await fetch(`${log.dataset.log}?from=${from}`);
      const now = answer.headers.get("Boathook-Run");
      if (!answer.ok || !now) throw new Error("no log");
      list.insertAdjacentHTML("beforeend", await answer.text());
      toEnd();
      live.textContent = "Live";
      if (now !== state) {
        state = now;
        await renew();
        over = state !== "pending" && state !== "running";
      }
    } catch {
      live.textContent = "Reconnecting";
    }
    looking = false;
    if (over) {
      live.closest(".badge").remove();
      follow.closest("label").remove();
    }
  };

  const listen = () => {
    const socket = new WebSocket(log.dataset.socket);
    const send = (frame) => socket.send(JSON.stringify(frame));
    socket.onopen = () => { send({ type: "auth", token: log.dataset.token }); send({ type: "ping" }); };
    socket.onmessage = (event) => {
      const frame = JSON.parse(event.data);
      if (frame.type === "pong") send({ type: "subscribe", channel: log.dataset.channel });
      if (frame.type === "agent.log" && frame.payload.metadata.run_id === log.dataset.run) pause(50).then(look);
    };
  };
  if (log.dataset.socket) listen();

  (async () => {
    toEnd();
    while (!over) {
      await pause(1000);
      await look();
    }
  })();
};

addEventListener("DOMContentLoaded", () => {
  const log = document.querySelector("[data-log]");
  if (log) watchLog(log);
});
