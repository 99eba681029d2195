// The page of one item: it shows the price, takes the payment and says how it
// ended. What is under way is kept in wx storage, so that a page that was closed
// in the middle of a payment goes on where it was.
const shop = require('../../services/shop.js');
const payment = require('../../services/payment.js');

const ITEM = 'tea';

function newRequestID() {
  return Date.now().toString(36) + '-' + Math.random().toString(36).slice(2, 12);
}

Page({
  data: {
    // loading, ready, ordering, paying, and the outcomes of payment.pay
    state: 'loading',
    item: null,
    order: null,
    message: '',
  },

  async onLoad() {
    try {
      this.setData({item: await shop.item(ITEM)});
    } catch (e) {
      this.setData({state: 'offline', message: e.code || e.errMsg || ''});
      return;
    }
    const pending = wx.getStorageSync('pending');
    if (!pending || !pending.order) {
      this.setData({state: 'ready'});
      return;
    }
    this.setData({order: pending.order});
    await this.look(pending.said);
  },

  // look asks for the truth about the order under way.
  async look(said) {
    this.setData({state: 'checking'});
    const status = await payment.confirm(this.data.order.order_id, [0]);
    // A payment that WeChat did not call "ok" and that the server does not have
    // may simply be tried again: it is the same order, which is paid once.
    this.show(status === 'open' ? (said === 'ok' ? 'unclear' : 'cancelled')
      : status === 'unknown' ? 'unclear' : status);
  },

  async onPay() {
    if (this.busy) return; // setData is late; a second tap must not order twice
    this.busy = true;
    try {
      await this.buy();
    } finally {
      this.busy = false;
    }
  },

  async buy() {
    let pending = wx.getStorageSync('pending') || {requestID: newRequestID()};
    if (!pending.order) {
      this.setData({state: 'ordering', message: ''});
      // Written before the request: if its answer is lost, the same id is sent
      // again, and no second order is made.
      wx.setStorageSync('pending', pending);
      try {
        pending = {...pending, order: await shop.order(ITEM, pending.requestID)};
      } catch (e) {
        this.refused(e);
        return;
      }
      wx.setStorageSync('pending', pending);
    }
    this.setData({state: 'paying', order: pending.order, message: ''});
    const {outcome, message} = await payment.pay(pending.order);
    if (outcome === 'unclear') wx.setStorageSync('pending', {...pending, said: 'ok'});
    this.show(outcome, message);
  },

  // refused: the server made no order. A server that could not be reached, or
  // does not know itself, may have made one: the request id is kept.
  refused(e) {
    if (e.status >= 400 && e.status < 500) wx.removeStorageSync('pending');
    this.setData({state: 'failed', message: e.code || e.errMsg || ''});
  },

  show(outcome, message = '') {
    // A cancelled order stays: trying again pays the same one. So does one that
    // is unclear. One that WeChat refused to pay, because it expired for
    // example, would be refused again: the next try makes a new order.
    if (outcome !== 'cancelled' && outcome !== 'unclear') wx.removeStorageSync('pending');
    this.setData({state: outcome, message});
  },

  onLook() {
    return this.look('ok');
  },

  onAgain() {
    this.setData({state: 'ready', order: null, message: ''});
  },

  onReload() {
    this.setData({state: 'loading', message: ''});
    return this.onLoad();
  },
});
