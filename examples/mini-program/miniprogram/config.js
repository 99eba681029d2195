// server is the shop's own server. WeChat admits only an https host that is
// registered for the mini-program; the developer tools can be told not to check
// ("Does not verify valid domain names"), and then loopback works, too.
//
// pauses are those between questions about one payment, in milliseconds. OTT
// Pay's callback is there within a second as a rule; where it is late, the
// server asks the gateway itself.
module.exports = {
  server: 'http://127.0.0.1:8090',
  pauses: [0, 500, 1000, 1500, 2000, 3000, 4000],
};
