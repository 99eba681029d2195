// The page works without this file. It adds live updates, shortcuts, copying and
// relative times. It is served as it is.
'use strict';
const root = document.documentElement;
const base = root.dataset.base || '';
const $ = (selector, from = document) => from.querySelector(selector);
const $$ = (selector, from = document) => [...from.querySelectorAll(selector)];
const store = {
  get: (k) => { try { return localStorage.getItem('ottpay-' + k); } catch { return null; } },
  set: (k, v) => { try { localStorage.setItem('ottpay-' + k, v); } catch { /* forbidden */ } },
};
if (store.get('theme')) root.dataset.theme = store.get('theme'); // before the first paint

/* ---- what the server rendered anew goes into the page, node by node ---- */

const keyOf = (n) => n.nodeType === 1 ? n.dataset.key || n.id || '' : '';
const fits = (a, b) => a.nodeType === b.nodeType && a.nodeName === b.nodeName && keyOf(a) === keyOf(b);

// patch makes the node a like b. Nodes that are the same are not touched, so that
// focus, selection, scroll positions, open details and half-filled forms stay.
function patch(a, b) {
  if (a.isEqualNode(b)) return;
  if (a.nodeType !== 1) { if (a.data !== b.data) a.data = b.data; return; }
  if (a.matches('input:not([type=hidden]),textarea,select')) return; // what was typed stays
  const open = a.nodeName === 'DETAILS' || a.nodeName === 'DIALOG', said = a.dataset.say;
  for (const {name, value} of [...b.attributes]) {
    if (!(open && name === 'open') && a.getAttribute(name) !== value) a.setAttribute(name, value);
  }
  for (const {name} of [...a.attributes]) {
    if (!(open && name === 'open') && !b.hasAttribute(name)) a.removeAttribute(name);
  }
  if (a.dataset.say !== said) say(a.dataset.say);
  if (a.matches('time[data-age],time[data-until]')) return tick(a);
  const stay = new Set([...b.childNodes].map(keyOf));
  for (const n of [...a.childNodes]) if (keyOf(n) && !stay.has(keyOf(n))) n.remove();
  const keyed = new Map([...a.childNodes].filter(keyOf).map((n) => [keyOf(n), n]));
  let at = a.firstChild;
  const drop = () => { const next = at.nextSibling; at.remove(); at = next; };
  for (const n of [...b.childNodes]) {
    const key = keyOf(n);
    const same = key ? keyed.get(key) : at && fits(at, n) ? at : null;
    if (!same || !fits(same, n)) {
      if (key) n.classList.add('new');
      a.insertBefore(n, at);
      ready(n);
      continue;
    }
    while (at !== same && at && !keyOf(at)) drop(); // a node that moves loses the focus
    if (same === at) at = at.nextSibling; else a.insertBefore(same, at);
    patch(same, n);
  }
  while (at) drop();
}

let seq = +root.dataset.seq || 0, known = seq, timer = 0, last = 0, cost = 0, paused = false;

// busy reports whether the reader is in the middle of something in a region.
function busy(region) {
  const on = document.activeElement;
  if (on && on !== document.body && region.contains(on) && on.matches('input:not([type=radio]),textarea,select')) return true;
  return $$('form:not([data-loose])', region).some((f) => [...f.elements].some((e) => {
    if (e.options) return e.selectedIndex !== Math.max(0, [...e.options].findIndex((o) => o.defaultSelected));
    if (e.type === 'checkbox' || e.type === 'radio') return e.checked !== e.defaultChecked;
    return e.type !== 'hidden' && 'defaultValue' in e && e.value !== e.defaultValue;
  }));
}

// refresh renders the page that is shown anew. force goes past what is busy.
async function refresh(force) {
  clearTimeout(timer);
  timer = 0;
  if ($('.error')) return; // it answers a form, and a GET of its address is another page
  const started = last = performance.now(), asked = known;
  let next;
  try {
    const r = await fetch(location.href, {headers: {'Ottpay-Live': '1'}, cache: 'no-store'});
    if (!r.ok && r.status !== 404) return;
    next = new DOMParser().parseFromString(await r.text(), 'text/html');
    if (!r.ok) $('main').replaceWith(next.querySelector('main')); // what was shown is gone
  } catch { return; } // the stream tells when the server is back
  cost = performance.now() - started;
  const held = [];
  for (const region of $$('[data-live]')) {
    const now = next.getElementById(region.id);
    if (!now || region.isEqualNode(now)) continue;
    if (!force && busy(region)) held.push(region);
    else patch(region, now);
  }
  if (!held.length) seq = Math.max(asked, +next.documentElement.dataset.seq || 0);
  const fresh = $('#fresh'); // a payer's page has none
  if (fresh) fresh.hidden = !held.length;
  if (fresh && held.length) fresh.textContent = Math.max(1, known - seq) + ' new';
  $('title').textContent = next.title;
}

// heard takes a new sequence number and refreshes the page soon.
function heard(n) {
  if (n > known) known = n;
  if (paused || known <= seq || timer || !$('[data-live]')) return;
  const gap = Math.max(250, 2 * cost, document.hidden ? 1000 : 0);
  timer = setTimeout(refresh, Math.max(0, last + gap - performance.now()));
}

/* ---- one stream for all tabs: a browser opens six connections to a server ---- */

const bus = 'BroadcastChannel' in window ? new BroadcastChannel('ottpay' + base) : null;
let state = 'connecting', lead = false, broken = false, failures = [], stream;

function show(s) {
  state = s;
  const b = $('#live');
  if (!b) return;
  b.hidden = false;
  b.textContent = b.dataset.state = paused ? 'paused' : s;
  b.setAttribute('aria-pressed', paused);
}

// tell does in this tab, and in all others, what the stream brought. anew says
// that numbers may have been missed, or begun again with another server.
function tell(message) { take(message); if (bus) bus.postMessage(message); }
function take({state: s, seq: n, anew, who}) {
  if (who && lead) bus.postMessage({state, seq: known});
  if (anew) { known = n; seq = -1; }
  if (s && s !== state) show(s);
  if (n !== undefined) heard(n);
}
if (bus) bus.onmessage = (e) => take(e.data);

const polling = () => failures.length >= 3 || !window.EventSource;

// connect opens the stream. After three failures in 15 seconds the page asks for
// the sequence number each second instead, and tries the stream again later.
function connect() {
  if (polling()) return look();
  stream = new EventSource(base + '/-/events?after=' + known);
  stream.onopen = () => { failures = []; tell({state: 'live'}); };
  stream.addEventListener('change', (e) => tell({seq: JSON.parse(e.data).seq}));
  stream.addEventListener('reset', () => { broken = true; look(); });
  stream.onerror = () => {
    stream.close();
    broken = true;
    failures = [...failures.filter((t) => Date.now() - t < 15000), Date.now()];
    look(true);
  };
}

async function look(again) {
  try {
    if (!document.hidden || again) {
      const r = await fetch(base + '/-/seq', {cache: 'no-store'});
      if (!r.ok) throw r;
      tell({state: polling() ? 'polling' : state, seq: (await r.json()).seq, anew: broken});
      broken = false;
    }
    if (Date.now() - failures.at(-1) > 30000) failures = [];
  } catch {
    broken = true;
    failures = [];
    tell({state: 'offline'});
    return setTimeout(look, 1000, true);
  }
  if (polling() || !stream || stream.readyState === 2) setTimeout(connect, polling() ? 1000 : 300);
}

// start makes this tab the one with the stream, as soon as it may be. A payer's
// page has no stream: it looks at itself.
function start() {
  if (root.dataset.poll !== undefined) return setInterval(refresh, 2000);
  if (!$('#live')) return;
  show(state);
  if (!navigator.locks || !bus) return connect();
  bus.postMessage({who: 1});
  navigator.locks.request('ottpay-stream' + base, () => { lead = true; connect(); return new Promise(() => {}); });
}
addEventListener('pagehide', () => stream && stream.close());

/* ---- times, words, copying ---- */

function tick(t) {
  const s = Math.round((Date.now() + skew - Date.parse(t.dateTime)) / 1000);
  const n = Math.max(0, t.dataset.until === undefined ? s : -s);
  const text = n < 60 ? n + ' s' : n < 3600 ? Math.floor(n / 60) + ' min'
    : n < 86400 ? Math.floor(n / 3600) + ' h' : Math.floor(n / 86400) + ' d';
  if (t.textContent !== text) t.textContent = text;
}
const skew = root.dataset.now ? Date.parse(root.dataset.now) - Date.now() : 0; // the sandbox's clock may be another

let spoken = 0;
function say(text) {
  const box = $('#say');
  if (!box || !text || document.hidden || Date.now() - spoken < 1000) return;
  spoken = Date.now();
  box.textContent = text;
}

async function copy(button) {
  const text = $('#' + CSS.escape(button.dataset.copy)).textContent;
  try { await navigator.clipboard.writeText(text); } catch { return say('copying was not allowed'); }
  const was = button.textContent;
  button.textContent = 'copied';
  say('copied');
  setTimeout(() => { button.textContent = was; }, 1500);
}

function ready(from) {
  if (from.nodeType !== 1) return;
  for (const t of [from, ...$$('*', from)]) {
    if (t.matches('[data-copy],[data-js]')) t.hidden = false;
    if (t.matches('time[data-age],time[data-until]')) tick(t);
  }
}

// light marks everything that belongs to the same member.
function light(e) {
  const m = e.target.closest && e.target.closest('[data-m]');
  for (const n of $$('.lit')) n.classList.remove('lit');
  if (m) for (const n of $$('[data-m~="' + CSS.escape(m.dataset.m.split(' ')[0]) + '"]')) n.classList.add('lit');
}

/* ---- keyboard ---- */

const go = {o: '/', d: '/deliveries', f: '/faults', e: '/explain', s: '/settings'};
let prefix = 0;

function rows(step) {
  const all = $$('.rows .go');
  const at = all.indexOf(document.activeElement);
  const next = all[at < 0 ? (step > 0 ? 0 : all.length - 1) : at + step];
  if (next) { next.focus(); next.scrollIntoView({block: 'nearest'}); }
}

function press(e) {
  if (e.ctrlKey || e.altKey || e.metaKey || e.isComposing) return;
  const dialog = $('dialog[open]');
  if (e.target.closest('input:not([type=radio], [type=checkbox]),textarea,select,[contenteditable]')) {
    if (e.key === 'Escape') e.target.blur();
    return;
  }
  if (dialog) return;
  const menu = e.key === 'Escape' && $('.menu[open]');
  if (menu) { menu.open = false; $('summary', menu).focus(); return; }
  if (store.get('keys') === 'off' && e.key !== 'Escape') return;
  const key = e.key;
  if (Date.now() - prefix < 1500 && go[key]) { location.href = base + go[key]; return; }
  prefix = 0;
  const button = $$('[aria-keyshortcuts]').find((b) => b.getAttribute('aria-keyshortcuts').split(' ').includes(key) && b.offsetParent);
  if (key === 'g') prefix = Date.now();
  else if (key === 'j' || key === 'k') rows(key === 'j' ? 1 : -1);
  else if (key === '?') $('#help').showModal();
  else if (key === '/') $('#q').focus();
  else if (key === 'n') $('#fresh').hidden || refresh(true);
  else if ((key === 'Escape' || key === 'u') && $('[data-up]')) $('[data-up]').click();
  else if (button) { button.click(); if (button.nodeName === 'SUMMARY') button.focus(); }
  else return;
  e.preventDefault();
}

function theme(next) {
  store.set('theme', next);
  if (next) root.dataset.theme = next; else delete root.dataset.theme;
}

document.addEventListener('DOMContentLoaded', () => {
  ready(document.body);
  setInterval(() => $$('time[data-age],time[data-until]').forEach(tick), 1000);
  addEventListener('keydown', press);
  addEventListener('mouseover', light);
  addEventListener('focusin', light);
  addEventListener('click', (e) => {
    const b = e.target.closest('button,a');
    if (!b) return;
    if (b.dataset.copy) copy(b);
    else if (b.id === 'fresh') refresh(true);
    else if (b.id === 'live') { paused = !paused; show(state); heard(known); }
    else if (b.dataset.open) $('#' + b.dataset.open).showModal();
  });
  addEventListener('change', (e) => {
    if (e.target.name === 'theme') theme(e.target.value);
    if (e.target.id === 'keys') store.set('keys', e.target.checked ? '' : 'off');
    if (e.target.dataset.auto !== undefined) e.target.form.requestSubmit();
  });
  for (const r of $$('input[name=theme]')) r.checked = r.value === (store.get('theme') || '');
  const keys = $('#keys');
  if (keys) keys.checked = store.get('keys') !== 'off';
  addEventListener('visibilitychange', () => heard(known));
  start();
});
