// What WeChat's window said goes to the page that waits for it.
const errMsg = new URLSearchParams(location.search).get('errMsg');
new BroadcastChannel('wx').postMessage({errMsg});
window.close();
