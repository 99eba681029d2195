// preview.js plays the mini-program in a browser, as far as this one needs it:
// CommonJS modules, a page's data and handlers, the wx:if and the bindtap of its
// WXML, and wx. WeChat's payment window is the sandbox's mini-program view.
'use strict';

const home = 'miniprogram/';

async function text(path) {
  const r = await fetch(path);
  if (!r.ok) throw new Error(path + ': ' + r.status);
  return r.text();
}

/* ---- modules ---- */

const sources = new Map();
const modules = new Map();

function resolve(from, name) {
  return new URL(name, 'http://x/' + from).pathname.slice(1);
}

// fetchModule brings a module and those that it requires.
async function fetchModule(path) {
  if (sources.has(path)) return;
  sources.set(path, '');
  const source = await text(home + path);
  sources.set(path, source);
  const required = [...source.matchAll(/require\('(\.[^']*)'\)/g)].map((m) => resolve(path, m[1]));
  await Promise.all(required.map(fetchModule));
}

function run(path) {
  if (modules.has(path)) return modules.get(path).exports;
  const module = {exports: {}};
  modules.set(path, module);
  new Function('module', 'exports', 'require', 'wx', 'App', 'Page', sources.get(path))(
    module, module.exports, (name) => run(resolve(path, name)), wx, () => {}, open);
  return module.exports;
}

/* ---- wx ---- */

const bus = new BroadcastChannel('wx');

const wx = {
  login({success}) {
    setTimeout(success, 0, {code: 'preview-' + Math.random().toString(36).slice(2), errMsg: 'login:ok'});
  },
  request({url, method, data, header, success, fail}) {
    fetch(url, {
      method,
      headers: {...header, 'Content-Type': 'application/json'},
      body: method === 'GET' ? undefined : JSON.stringify(data),
    }).then(async (r) => success({statusCode: r.status, data: await r.json(), errMsg: 'request:ok'}))
      .catch((e) => fail({errMsg: 'request:fail ' + e.message}));
  },
  // The sandbox finds the order by the package, judges the arguments, and comes
  // back to return.html with what WeChat would say.
  requestPayment({success, fail, ...parameters}) {
    const sheet = document.querySelector('#window');
    const done = (errMsg) => {
      bus.onmessage = null;
      sheet.hidden = true;
      (errMsg === 'requestPayment:ok' ? success : fail)({errMsg});
    };
    bus.onmessage = (e) => done(e.data.errMsg);
    sheet.querySelector('button').onclick = () => done('requestPayment:fail cancel');
    // A link, because a browser may block a window that opens by itself.
    sheet.querySelector('a').href = sandbox + '/mini/?' + new URLSearchParams({
      params: JSON.stringify(parameters), return_url: new URL('return.html', location.href).href,
    });
    sheet.hidden = false;
  },
  getStorageSync: (key) => JSON.parse(localStorage.getItem('mini-' + key) || '""'),
  setStorageSync: (key, value) => localStorage.setItem('mini-' + key, JSON.stringify(value)),
  removeStorageSync: (key) => localStorage.removeItem('mini-' + key),
};

/* ---- the page ---- */

let page, markup, sandbox;

function open(definition) {
  page = {
    ...definition,
    data: structuredClone(definition.data),
    setData(changes) { Object.assign(this.data, structuredClone(changes)); draw(); },
  };
}

const value = (expression) => new Function('data', 'with (data) { return (' + expression + '); }')(page.data);
const fill = (s) => s.replace(/{{(.*?)}}/g, (_, e) => value(e) ?? '');
const inner = (s) => s.replace(/^{{|}}$/g, '');

function draw() {
  document.querySelector('#screen').replaceChildren(...children(markup));
}

// children renders the nodes below one, of which wx:if leaves some out.
function children(node) {
  const out = [];
  let taken = false;
  for (const n of node.childNodes) {
    if (n.nodeType === 3) out.push(document.createTextNode(fill(n.data)));
    if (n.nodeType !== 1) continue;
    if (n.hasAttribute('wx:if')) taken = !!value(inner(n.getAttribute('wx:if')));
    else if (n.hasAttribute('wx:elif')) {
      if (taken) continue;
      taken = !!value(inner(n.getAttribute('wx:elif')));
    } else if (n.hasAttribute('wx:else')) {
      if (taken) continue;
      taken = true;
    } else taken = true;
    if (taken) out.push(element(n));
  }
  return out;
}

function element(n) {
  const e = document.createElement(n.nodeName);
  for (const {name, value: v} of n.attributes) {
    if (name === 'bindtap') e.addEventListener('click', () => page[v]());
    else if (!name.startsWith('wx:')) e.setAttribute(name, fill(v));
  }
  e.append(...children(n));
  return e;
}

async function start() {
  sandbox = (await (await fetch('config.json')).json()).sandbox;
  const at = 'pages/pay/pay';
  markup = new DOMParser().parseFromString(await text(home + at + '.wxml'), 'text/html').body;
  const style = document.createElement('style');
  // 750 rpx are the width of the screen, which is 375 pixels here.
  style.textContent = '#screen {' + (await text(home + at + '.wxss')).replace(/([\d.]+)rpx/g, (_, n) => n / 2 + 'px') + '}';
  document.head.append(style);
  await fetchModule('app.js');
  await fetchModule(at + '.js');
  run('config.js').server = location.origin;
  run('app.js');
  run(at + '.js');
  draw();
  await page.onLoad();
}

start().catch((e) => { document.querySelector('#screen').textContent = e.message; });
