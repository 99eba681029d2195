// The app has no state of its own: what must survive is kept in wx storage by
// services/shop.js, because WeChat may end a mini-program at any moment.
App({});
