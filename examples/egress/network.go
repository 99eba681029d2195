package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ottpaykit/ottpay/ottpaytest"
)

// network is the company's: a sandbox gateway that asks for a client
// certificate, a private authority, and a proxy.
type network struct {
	gatewayURL string
	proxyURL   *url.URL
	authority  *x509.CertPool
	ourselves  tls.Certificate

	tunnels, requests atomic.Int64
	down              atomic.Bool // the gateway answers 503

	sandbox        *ottpaytest.Gateway
	gateway, proxy *httptest.Server
	pipes          sync.WaitGroup
}

func newNetwork() (*network, error) {
	ca, caKey, err := certificate(nil, nil, "authority")
	if err != nil {
		return nil, err
	}
	n := &network{authority: x509.NewCertPool()}
	n.authority.AddCert(ca)
	server, serverKey, err := certificate(ca, caKey, "gateway")
	if err != nil {
		return nil, err
	}
	own, ownKey, err := certificate(ca, caKey, "shop")
	if err != nil {
		return nil, err
	}
	n.ourselves = tls.Certificate{Certificate: [][]byte{own.Raw}, PrivateKey: ownKey}

	if n.sandbox, err = ottpaytest.New(ottpaytest.Config{MerchantID: merchantID, SignKey: signKey}); err != nil {
		return nil, err
	}
	n.gateway = httptest.NewUnstartedServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		n.requests.Add(1)
		if n.down.Load() {
			rw.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		n.sandbox.ServeHTTP(rw, r)
	}))
	n.gateway.Config.ErrorLog = log.New(io.Discard, "", 0)
	n.gateway.TLS = &tls.Config{
		Certificates: []tls.Certificate{{Certificate: [][]byte{server.Raw}, PrivateKey: serverKey}},
		ClientAuth:   tls.RequireAndVerifyClientCert,
		ClientCAs:    n.authority,
	}
	n.gateway.StartTLS()
	n.proxy = httptest.NewServer(http.HandlerFunc(n.tunnel))
	// By a name that no local resolver knows: only the proxy leads there.
	n.gatewayURL, n.proxyURL = "https://gateway.internal/processV2", mustURL(n.proxy.URL)
	return n, nil
}

func (n *network) close() {
	n.proxy.Close()
	n.gateway.CloseClientConnections()
	n.gateway.Close()
	n.sandbox.Close()
	n.pipes.Wait()
}

// tunnel is the proxy: CONNECT, and bytes to and fro.
func (n *network) tunnel(rw http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodConnect || r.Host != "gateway.internal:443" {
		http.Error(rw, "forbidden", http.StatusForbidden)
		return
	}
	far, err := net.Dial("tcp", n.gateway.Listener.Addr().String())
	if err != nil {
		http.Error(rw, "unreachable", http.StatusBadGateway)
		return
	}
	near, _, err := http.NewResponseController(rw).Hijack()
	if err != nil {
		far.Close()
		return
	}
	n.tunnels.Add(1)
	if _, err := io.WriteString(near, "HTTP/1.1 200 Connection established\r\n\r\n"); err != nil {
		near.Close()
		far.Close()
		return
	}
	for _, way := range [][2]net.Conn{{near, far}, {far, near}} {
		n.pipes.Go(func() {
			defer near.Close()
			defer far.Close()
			_, _ = io.Copy(way[0], way[1]) // ends with either connection
		})
	}
}

// certificate makes one for name, by its own authority if there is no other.
func certificate(ca *x509.Certificate, caKey *ecdsa.PrivateKey, name string) (*x509.Certificate, *ecdsa.PrivateKey, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()),
		Subject:      pkix.Name{CommonName: name},
		DNSNames:     []string{name + ".internal"},
		NotBefore:    time.Now().Add(-time.Minute),
		NotAfter:     time.Now().Add(time.Hour),
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
		KeyUsage:     x509.KeyUsageDigitalSignature,
	}
	if ca == nil {
		template.IsCA, template.BasicConstraintsValid, template.KeyUsage = true, true, x509.KeyUsageCertSign
		ca, caKey = template, key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, ca, &key.PublicKey, caKey)
	if err != nil {
		return nil, nil, err
	}
	cert, err := x509.ParseCertificate(der)
	return cert, key, err
}
