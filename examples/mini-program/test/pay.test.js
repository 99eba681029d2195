// The page against the shop's server and a gateway, which main_test.go starts:
// OTTPAY_TEST_SHOP is the shop, OTTPAY_TEST_CONTROL plays the payer's bank and
// the things that go wrong. Run it by `go test ./examples/mini-program`.
const test = require('node:test');
const assert = require('node:assert/strict');
const {open} = require('./wx.js');

const server = process.env.OTTPAY_TEST_SHOP;
const control = process.env.OTTPAY_TEST_CONTROL;
assert.ok(server && control, 'run me by: go test ./examples/mini-program');

async function tell(path, parameters = {}) {
  const r = await fetch(control + path + '?' + new URLSearchParams(parameters), {method: 'POST'});
  assert.equal(r.status, 200, path + ': ' + (await r.clone().text()));
  return r.json();
}

// payer pays at the gateway what WeChat's window shows.
const pays = async ({package: prepay}) => {
  await tell('/pay', {prepay});
  return 'requestPayment:ok';
};
const cancels = () => 'requestPayment:fail cancel';

async function start(options = {}) {
  const app = open({server, payer: pays, ...options});
  await app.loaded;
  return app;
}

const orderID = (app) => app.page.data.order.order_id;

test('a payment', async () => {
  const app = await start();
  assert.equal(app.page.data.state, 'ready');
  assert.deepEqual(app.page.data.item, {id: 'tea', name: 'Oolong tea, 100 g', price: 'CA$12.50'});
  await app.page.onPay();
  assert.equal(app.page.data.state, 'paid');
  assert.deepEqual(await tell('/booked', {order: orderID(app)}), {booked: 1});
  assert.equal(app.storage.has('pending'), false);

  // What wx.requestPayment takes: these names, each a string.
  const [parameters] = app.seen.payments;
  assert.deepEqual(Object.keys(parameters).sort(), ['nonceStr', 'package', 'paySign', 'signType', 'timeStamp']);
  for (const [name, value] of Object.entries(parameters)) {
    assert.equal(typeof value, 'string', name);
    assert.notEqual(value, '', name);
  }
  assert.match(parameters.package, /^prepay_id=[^\\]+$/);
  // Price and open_id are the server's affair: the client names neither.
  const buys = app.seen.requests.filter((r) => r.path === '/api/orders');
  assert.equal(buys.length, 1);
  assert.deepEqual(Object.keys(buys[0].data).sort(), ['item', 'request_id']);
});

test('buying again makes another order', async () => {
  const app = await start();
  await app.page.onPay();
  const first = orderID(app);
  app.page.onAgain();
  assert.equal(app.page.data.state, 'ready');
  await app.page.onPay();
  assert.equal(app.page.data.state, 'paid');
  assert.notEqual(orderID(app), first);
});

test('the payer cancels, and tries the same order again', async () => {
  let once = true;
  const app = await start({payer: (p) => (once ? ((once = false), cancels()) : pays(p))});
  await app.page.onPay();
  assert.equal(app.page.data.state, 'cancelled');
  const first = orderID(app);
  assert.deepEqual(await tell('/booked', {order: first}), {booked: 0});
  await app.page.onPay();
  assert.equal(app.page.data.state, 'paid');
  assert.equal(orderID(app), first);
});

test('the payer cancels after the money left', async () => {
  const app = await start({
    payer: async (p) => {
      await pays(p);
      return cancels();
    },
  });
  await app.page.onPay();
  assert.equal(app.page.data.state, 'paid');
});

for (const errMsg of ['requestPayment:fail jsapi has no permission', 'requestPayment:fail', undefined]) {
  test('WeChat refuses: ' + errMsg, async () => {
    const said = [errMsg, 'requestPayment:ok'];
    const app = await start({
      payer: async (p) => (said.length > 1 ? said.shift() : pays(p)),
    });
    await app.page.onPay();
    assert.equal(app.page.data.state, 'failed');
    assert.equal(app.page.data.message, errMsg || '');
    const first = orderID(app);
    await app.page.onPay(); // a refused order would be refused again
    assert.equal(app.page.data.state, 'paid');
    assert.notEqual(orderID(app), first);
  });
}

test('a client that says ok has not paid', async () => {
  const app = await start({payer: () => 'requestPayment:ok'});
  await app.page.onPay();
  assert.equal(app.page.data.state, 'unclear');
  assert.deepEqual(await tell('/booked', {order: orderID(app)}), {booked: 0});
  await app.page.onLook();
  assert.equal(app.page.data.state, 'unclear');

  // The payment is late; looking again finds it.
  await tell('/pay', {prepay: app.seen.payments[0].package});
  await tell('/later');
  // The callback may be at work at that moment, which is not yet paid.
  for (let looks = 0; looks < 100 && app.page.data.state !== 'paid'; looks++) await app.page.onLook();
  assert.equal(app.page.data.state, 'paid');
});

test('the callback is lost: the server asks the gateway', async () => {
  const app = await start({
    payer: async ({package: prepay}) => {
      await tell('/pay', {prepay, silent: 'yes'});
      return 'requestPayment:ok';
    },
  });
  await app.page.onPay();
  assert.equal(app.page.data.state, 'paid');
  assert.deepEqual(await tell('/booked', {order: orderID(app)}), {booked: 1});
});

test('two taps make one order', async () => {
  const app = await start();
  await Promise.all([app.page.onPay(), app.page.onPay()]);
  assert.equal(app.page.data.state, 'paid');
  assert.equal(app.seen.payments.length, 1);
  assert.equal(app.seen.requests.filter((r) => r.path === '/api/orders').length, 1);
});

test('the session has ended: one login, and on', async () => {
  const app = await start();
  assert.equal(app.seen.logins, 1);
  await tell('/forget-sessions');
  await app.page.onPay();
  assert.equal(app.page.data.state, 'paid');
  assert.equal(app.seen.logins, 2);
});

test('WeChat does not log in', async () => {
  const app = open({
    server, payer: pays,
    login: ({fail}) => fail({errMsg: 'login:fail'}),
  });
  await app.loaded;
  assert.equal(app.page.data.state, 'offline');
});

test('the server cannot be reached, then it can', async () => {
  const app = open({server: 'http://127.0.0.1:1', payer: pays});
  await app.loaded;
  assert.equal(app.page.data.state, 'offline');
  const again = open({server, payer: pays, storage: app.storage});
  await again.loaded;
  assert.equal(again.page.data.state, 'ready');
});

test('the answer to the order is lost: the same request makes the same order', async () => {
  const app = await start();
  await tell('/lose-next-answer');
  await app.page.onPay();
  assert.equal(app.page.data.state, 'failed');
  assert.equal(app.page.data.message, 'no-answer');
  const before = await tell('/orders');
  await app.page.onPay();
  assert.equal(app.page.data.state, 'paid');
  assert.deepEqual(await tell('/orders'), before);
  const ids = app.seen.requests.filter((r) => r.path === '/api/orders').map((r) => r.data.request_id);
  assert.equal(ids.length, 2);
  assert.equal(ids[0], ids[1]);
});

test('the gateway gives no answer: the next try makes an order that can be paid', async () => {
  const app = await start();
  await tell('/gateway-drops-next');
  await app.page.onPay();
  assert.equal(app.page.data.state, 'failed');
  assert.equal(app.page.data.message, 'try-again');
  await app.page.onPay();
  assert.equal(app.page.data.state, 'paid');
});

test('WeChat ends the mini-program in the middle of a payment', async () => {
  const app = await start({payer: () => new Promise(() => {})}); // no callback ever
  app.page.onPay();
  while (app.seen.payments.length === 0) await new Promise(setImmediate);
  await pays(app.seen.payments[0]);

  const again = await start({storage: app.storage});
  assert.equal(again.page.data.state, 'paid');
  assert.equal(again.page.data.order.order_id, orderID(app));
  assert.deepEqual(await tell('/booked', {order: orderID(app)}), {booked: 1});
});

test('WeChat ends the mini-program before the payment', async () => {
  const app = await start({payer: () => new Promise(() => {})});
  app.page.onPay();
  while (app.seen.payments.length === 0) await new Promise(setImmediate);
  const again = await start({storage: app.storage});
  assert.equal(again.page.data.state, 'cancelled');
  await again.page.onPay();
  assert.equal(again.page.data.state, 'paid');
  assert.equal(orderID(again), orderID(app));
});

test('the order of another payer is none', async () => {
  const app = await start();
  await app.page.onPay();
  const session = JSON.parse(app.storage.get('session'));
  const path = '/api/orders/' + orderID(app);
  const own = await fetch(server + path, {headers: {Authorization: 'Bearer ' + session}});
  assert.equal(own.status, 200);
  const {session: other} = await tell('/other-session');
  const others = await fetch(server + path, {headers: {Authorization: 'Bearer ' + other}});
  assert.equal(others.status, 404);
  const none = await fetch(server + path);
  assert.equal(none.status, 401);
});
