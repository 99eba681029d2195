// shop.js talks to the shop's server: it logs in, makes an order, and asks what
// became of it.
const config = require('../config.js');

// promise turns a wx call with success and fail into a promise.
function promise(call, options) {
  return new Promise((resolve, reject) => {
    call({...options, success: resolve, fail: reject});
  });
}

// ShopError is an answer of the shop's server other than a success. The code is
// a word of the server's, such as "sold-out"; the status is 0 if no answer came.
class ShopError extends Error {
  constructor(status, code) {
    super(code);
    this.name = 'ShopError';
    this.status = status;
    this.code = code;
  }
}

// login exchanges the code of wx.login, which serves once and for five minutes,
// for a session with the shop. The open_id stays on the server: a client that
// could name it could pay, or look, as another user.
async function login() {
  const {code} = await promise(wx.login, {});
  const {session} = await send('POST', '/api/login', {code}, '');
  wx.setStorageSync('session', session);
  return session;
}

// send makes one request and returns the JSON of a 2xx answer.
async function send(method, path, data, session) {
  let answer;
  try {
    answer = await promise(wx.request, {
      url: config.server + path,
      method,
      data,
      timeout: 15000,
      header: session ? {Authorization: 'Bearer ' + session} : {},
    });
  } catch (e) {
    throw new ShopError(0, 'no-answer');
  }
  if (answer.statusCode < 200 || answer.statusCode > 299) {
    throw new ShopError(answer.statusCode, (answer.data && answer.data.error) || 'refused');
  }
  return answer.data;
}

// call is send in a session. A session that has ended is renewed once.
async function call(method, path, data) {
  const session = wx.getStorageSync('session');
  if (session) {
    try {
      return await send(method, path, data, session);
    } catch (e) {
      if (e.status !== 401) throw e;
    }
  }
  return send(method, path, data, await login());
}

// item returns what is for sale: {id, name, price}.
function item(id) {
  return call('GET', '/api/items/' + encodeURIComponent(id));
}

// order makes an order and returns {order_id, total, payment}; payment is what
// wx.requestPayment takes. The request id makes repeating it harmless: for the
// same one the server returns the same order. The price is the server's affair.
function order(itemID, requestID) {
  return call('POST', '/api/orders', {item: itemID, request_id: requestID});
}

// status asks the server what became of an order: "open" or "paid".
async function status(orderID) {
  return (await call('GET', '/api/orders/' + encodeURIComponent(orderID))).status;
}

module.exports = {ShopError, item, order, status};
