// The page of the virtual desktop: shows it with noVNC's library, keeps its size that of the window, joins the
// clipboards, and asks for no more pictures when nobody is there.
import RFB from "./novnc/core/rfb.js";

const RETRY_MS = 500;
const LONGEST_RETRY_MS = 10000;
const RESIZE_MS = 150;
const element = (id) => document.getElementById(id);
const screen = element("screen");

let rfb = null; // the connection, or null
let attempt = 0; // to connect; a later one takes the place of an earlier
let resting = false; // paused or stopped: only the user ends it
let lastInput = Date.now();
let pauseMs = 5 * 60000; // until the session tells its own
let clipboard = null; // the websocket of the clipboard
let clipboardText = ""; // what both sides have

const ask = async (method, path, body) => {
  const headers = { "X-Virtual-Desktop": "1", "Content-Type": "application/json" };
  const answer = await fetch(path, { method, headers, body: body && JSON.stringify(body), credentials: "same-origin" });
  const said = await answer.json().catch(() => null);
  if (said && (answer.ok || said.problem)) return { ok: answer.ok, said };
  // Not the supervisor's words. So JupyterLab answers while the supervisor is being started again, and a proxy
  // while JupyterLab or the hub cannot be reached: worth another try, which the pause ends.
  if (answer.status >= 500) throw new Error(`status ${answer.status}`);
  const problem = `Your JupyterLab has been stopped, or you are logged out (status ${answer.status}). Open it again.`;
  return { ok: false, said: { problem } };
};

const windowSize = () => ({ width: window.innerWidth, height: window.innerHeight });

// --- what the user reads ---

const notice = (text, label, action) => {
  element("notice").hidden = !text;
  element("notice-text").textContent = text;
  const button = element("notice-button");
  button.hidden = !label;
  button.textContent = label || "";
  button.onclick = action || null;
};

const rest = (text, label, action) => {
  resting = true;
  screen.classList.add("resting");
  notice(text, label, action);
};

const showStopped = async () => {
  const { said } = await ask("GET", "state");
  rest(`The desktop was stopped after ${said.idle_minutes} minutes without input; its programs were closed.`,
    "Start it again", () => connect(false));
};

// --- connecting ---

// Tries until it succeeds or the user has to decide: a program of the desktop that died is started again meanwhile.
const connect = async (resume) => {
  const mine = ++attempt;
  const over = () => resting || mine !== attempt;
  resting = false;
  if (!resume) notice("The desktop starts…");
  for (let wait = RETRY_MS; !over(); wait = Math.min(2 * wait, LONGEST_RETRY_MS)) {
    try {
      const { ok, said } = await ask("POST", resume ? "session?resume=1" : "session", windowSize());
      if (over()) return;
      if (ok) return show(said);
      if (said.problem === "stopped") return await showStopped();
      return rest(said.problem, "Try again", () => connect(false));
    } catch {
      if (!over()) notice("The desktop does not answer. Trying again…");
    }
    await new Promise((done) => setTimeout(done, wait));
  }
};

const socketAddress = (path) => {
  const address = new URL(path, location.href);
  address.protocol = address.protocol.replace("http", "ws");
  return address.href;
};

const show = (session) => {
  pauseMs = session.pause_minutes * 60000;
  // The last picture stays until the new one is there.
  const before = [...screen.children];
  const connection = new RFB(screen, socketAddress("websockify"), { credentials: { password: session.password }, shared: true });
  rfb = connection;
  rfb.scaleViewport = true;
  rfb.background = "transparent";
  rfb.addEventListener("connect", () => {
    before.forEach((child) => child.remove());
    screen.classList.remove("resting");
    notice("");
    rfb.focus();
    tellSize();
    joinClipboards(connection);
  });
  rfb.addEventListener("disconnect", () => {
    if (connection !== rfb) return;
    rfb = null;
    if (!resting) setTimeout(() => connect(true), RETRY_MS);
  });
};

// --- nobody there ---

// Each picture is asked for, and each asking looks like use to a hub's proxy; so does each attempt to connect.
const pause = () => {
  const connection = rfb;
  rfb = null;
  rest("Paused, as nobody was here. Move the mouse or press a key to go on.");
  const picture = screen.querySelector("canvas");
  if (!connection || !picture) return;
  const still = document.createElement("canvas");
  [still.width, still.height] = [picture.width, picture.height];
  still.getContext("2d").drawImage(picture, 0, 0);
  still.style.cssText = "position:absolute;inset:0;margin:auto;max-width:100%;max-height:100%";
  connection.disconnect();
  screen.replaceChildren(still);
};

const used = () => {
  lastInput = Date.now();
  if (resting && element("notice-button").hidden) connect(true);
};
for (const kind of ["pointermove", "pointerdown", "wheel", "keydown", "touchstart"]) {
  window.addEventListener(kind, used, { capture: true, passive: true });
}
setInterval(() => { if (!resting && Date.now() - lastInput > pauseMs) pause(); }, 1000);

// --- the size ---

let sizeTimer = 0;
const tellSize = () => {
  clearTimeout(sizeTimer);
  sizeTimer = setTimeout(() => { if (rfb) ask("POST", "size", windowSize()).catch(() => {}); }, RESIZE_MS);
};
window.addEventListener("resize", tellSize);

// --- the clipboard ---

const fromDesktop = (text) => {
  clipboardText = text;
  element("clipboard-text").value = text;
  // Browsers refuse it to pages that are not in front; the panel has it in any case.
  navigator.clipboard?.writeText(text).catch(() => {});
};

const toDesktop = (text) => {
  if (clipboard?.readyState !== WebSocket.OPEN || !text || text === clipboardText) return;
  clipboardText = text;
  if (element("clipboard-text").value !== text) element("clipboard-text").value = text;
  clipboard.send(text);
};

// Lives and ends with a connection to the desktop.
const joinClipboards = (connection) => {
  const socket = new WebSocket(socketAddress("clipboard"));
  clipboard = socket;
  socket.addEventListener("message", (event) => fromDesktop(event.data));
  connection.addEventListener("disconnect", () => socket.close());
};

// Chromium lets a page read it after asking once; Firefox would ask at each turn, so there the panel serves.
const readClipboard = async () => {
  try {
    const { state } = await navigator.permissions.query({ name: "clipboard-read" });
    if (state !== "denied") toDesktop(await navigator.clipboard.readText());
  } catch { /* the panel */ }
};
window.addEventListener("focus", readClipboard);
screen.addEventListener("pointerenter", readClipboard);
element("clipboard-text").addEventListener("input", (event) => toDesktop(event.target.value));
element("clipboard-button").addEventListener("click", (event) => {
  const panel = element("clipboard");
  panel.hidden = !panel.hidden;
  event.target.setAttribute("aria-expanded", String(!panel.hidden));
  if (!panel.hidden) element("clipboard-text").focus();
});
element("full-screen-button").addEventListener("click", () => {
  if (document.fullscreenElement) document.exitFullscreen();
  else document.documentElement.requestFullscreen();
});

connect(false);
