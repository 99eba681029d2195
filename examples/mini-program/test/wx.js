// wx.js is WeChat's side for the tests: the wx object that a page finds, with a
// real network below wx.request and a payer that the test plays.
const path = require('node:path');

const root = path.join(__dirname, '..', 'miniprogram');

// open loads the page anew, as WeChat does when the mini-program starts, and
// returns {page, wx, loaded}. What is in storage outlives it.
function open({server, storage = new Map(), payer, login}) {
  for (const file of Object.keys(require.cache)) {
    if (file.startsWith(root)) delete require.cache[file];
  }
  const config = require(path.join(root, 'config.js'));
  config.server = server;
  config.pauses = [0, 10, 20, 40];

  const seen = {payments: [], requests: [], logins: 0, states: []};
  const wx = {
    login({success, fail}) {
      seen.logins++;
      if (login) return login({success, fail});
      setImmediate(success, {code: 'code-' + seen.logins, errMsg: 'login:ok'});
    },
    request({url, method, data, header, success, fail}) {
      seen.requests.push({method, path: new URL(url).pathname, data});
      fetch(url, {
        method,
        headers: {...header, 'Content-Type': 'application/json'},
        body: method === 'GET' ? undefined : JSON.stringify(data),
      }).then(async (r) => {
        success({statusCode: r.status, data: await r.json(), errMsg: 'request:ok'});
      }).catch((e) => fail({errMsg: 'request:fail ' + e.message}));
    },
    requestPayment(options) {
      const {success, fail, ...parameters} = options;
      seen.payments.push(parameters);
      Promise.resolve(payer(parameters)).then((errMsg) => {
        (errMsg === 'requestPayment:ok' ? success : fail)({errMsg});
      });
    },
    getStorageSync: (key) => (storage.has(key) ? JSON.parse(storage.get(key)) : ''),
    setStorageSync: (key, value) => storage.set(key, JSON.stringify(value)),
    removeStorageSync: (key) => storage.delete(key),
  };
  let page;
  globalThis.wx = wx;
  globalThis.App = () => {};
  globalThis.Page = (definition) => {
    page = {
      ...definition,
      data: structuredClone(definition.data),
      setData(changes) {
        Object.assign(this.data, structuredClone(changes));
        if (changes.state) seen.states.push(changes.state);
      },
    };
  };
  require(path.join(root, 'app.js'));
  require(path.join(root, 'pages/pay/pay.js'));
  return {page, seen, storage, loaded: page.onLoad()};
}

module.exports = {open};
