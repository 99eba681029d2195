// payment.js opens WeChat's payment and finds out how it ended.
const config = require('../config.js');
const shop = require('./shop.js');

function sleep(ms) {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

// open calls wx.requestPayment and returns what WeChat says of it: "ok",
// "cancel" or "fail", with its message. Nothing authenticates that. It is used
// for the words on the screen, and for how long to wait, never for the goods.
function open(payment) {
  return new Promise((resolve) => {
    wx.requestPayment({
      timeStamp: payment.timeStamp,
      nonceStr: payment.nonceStr,
      package: payment.package,
      signType: payment.signType,
      paySign: payment.paySign,
      success: () => resolve({said: 'ok', message: ''}),
      fail: (e) => {
        const message = (e && e.errMsg) || '';
        // iOS, Android and the tools agree on these words, and on no others.
        const said = message === 'requestPayment:fail cancel' ? 'cancel' : 'fail';
        resolve({said, message});
      },
    });
  });
}

// confirm asks the server until the order is paid or closed, at most once for
// each of the pauses. It returns the last status, or "unknown" if the server
// could not be reached.
async function confirm(orderID, pauses) {
  let last = 'unknown';
  for (const pause of pauses) {
    if (pause > 0) await sleep(pause);
    try {
      last = await shop.status(orderID);
    } catch (e) {
      if (e.status === 404) return 'closed'; // not this payer's order
      last = 'unknown';
    }
    if (last === 'paid' || last === 'closed') return last;
  }
  return last;
}

// pay opens the payment of an order and returns {outcome, message}:
//
//	paid       the server says so
//	cancelled  the payer closed WeChat's window, and the server has no payment
//	failed     WeChat refused, and the server has no payment; message says why
//	closed     the order can no longer be paid
//	unclear    WeChat says "paid", the server does not know yet; or the server
//	           cannot be reached. Do not let the payer pay again: look later.
//
// The server is asked whatever WeChat said. A payer may press cancel after the
// money left, and a modified client may say "ok" without paying.
async function pay(order) {
  const {said, message} = await open(order.payment);
  const status = await confirm(order.order_id, said === 'ok' ? config.pauses : config.pauses.slice(0, 2));
  return {outcome: outcome(said, status), message};
}

function outcome(said, status) {
  if (status === 'paid' || status === 'closed') return status;
  if (status === 'unknown' || said === 'ok') return 'unclear';
  return said === 'cancel' ? 'cancelled' : 'failed';
}

module.exports = {pay, confirm};
