package ottpaytest

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"io"
	"log"
	"math/big"
	"net"
	"net/http/httptest"
	"sync"
	"time"
)

// Listener returns a listener that FaultRefuse can shut and open again, for a
// server around the Gateway. It takes over l.
func (g *Gateway) Listener(l net.Listener) net.Listener {
	d := &door{inner: l, network: l.Addr().Network(), addr: l.Addr(), opened: make(chan struct{}), conns: make(map[net.Conn]bool)}
	close(d.opened)
	g.mu.Lock()
	defer g.mu.Unlock()
	g.doors = append(g.doors, d)
	return d
}

// door is a listener that can be shut for a time.
type door struct {
	network string
	addr    net.Addr

	mu     sync.Mutex
	inner  net.Listener
	opened chan struct{} // closed while it is open
	shut   bool
	closed bool
	conns  map[net.Conn]bool
}

// Accept waits for a connection, also while the door is shut.
func (d *door) Accept() (net.Conn, error) {
	for {
		d.mu.Lock()
		inner, opened := d.inner, d.opened
		d.mu.Unlock()
		<-opened
		conn, err := inner.Accept()
		d.mu.Lock()
		switch {
		case err != nil && d.closed, err != nil && !d.shut && inner == d.inner:
			d.mu.Unlock()
			return nil, err
		case err != nil:
			d.mu.Unlock()
			continue // it was shut
		}
		c := &guest{Conn: conn, door: d}
		d.conns[c] = true
		d.mu.Unlock()
		return c, nil
	}
}

// Addr returns the address, which stays the same.
func (d *door) Addr() net.Addr { return d.addr }

// Close closes the listener for good.
func (d *door) Close() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return net.ErrClosed
	}
	d.closed = true
	if d.shut {
		d.shut = false
		close(d.opened)
		return nil
	}
	return d.inner.Close()
}

// refuse shuts the door. Connections that wait for a request are ended; what
// is being answered is not.
func (d *door) refuse() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.shut || d.closed {
		return
	}
	d.shut, d.opened = true, make(chan struct{})
	_ = d.inner.Close()
	for c := range d.conns {
		_ = c.SetReadDeadline(time.Unix(1, 0))
	}
}

// admit opens it again. Another program may have taken the port meanwhile; then
// it tries again for a while.
func (d *door) admit() {
	const attempts = 100
	for i := range attempts {
		d.mu.Lock()
		if !d.shut || d.closed {
			d.mu.Unlock()
			return
		}
		l, err := (&net.ListenConfig{}).Listen(context.Background(), d.network, d.addr.String())
		if err == nil {
			d.inner, d.shut = l, false
			close(d.opened)
		}
		d.mu.Unlock()
		if err == nil {
			return
		}
		<-time.After(time.Duration(i) * time.Millisecond)
	}
}

// guest is a connection that the door knows of.
type guest struct {
	net.Conn
	door *door
}

// Close ends the connection.
func (c *guest) Close() error {
	c.door.mu.Lock()
	delete(c.door.conns, c)
	c.door.mu.Unlock()
	return c.Conn.Close()
}

// NetConn returns the connection itself.
func (c *guest) NetConn() net.Conn { return c.Conn }

// armListener arms a fault that concerns connections. g.mu is held.
func (g *Gateway) armListener(f Fault) (int, error) {
	if f.Kind == FaultTLS {
		if g.wrong == nil {
			return 0, fmt.Errorf("%w: this gateway has no certificate", ErrState)
		}
		return g.arm(f), nil
	}
	if len(g.doors) == 0 || g.ctx.Err() != nil {
		return 0, fmt.Errorf("%w: this gateway has no listener of its own", ErrState)
	}
	if f.Delay <= 0 {
		f.Delay = time.Second
	}
	id := g.arm(f)
	armed := g.faults[len(g.faults)-1]
	armed.stop = make(chan struct{})
	g.emit(Event{Type: EventFaultHit, Fault: f.name(), FaultID: id})
	doors := g.doors
	for _, d := range doors {
		d.refuse()
	}
	g.courier.running.Go(func() {
		if f.Times < 0 {
			select {
			case <-armed.stop:
			case <-g.ctx.Done():
			}
		} else {
			rang, stop := g.after(f.Delay)
			select {
			case <-rang:
			case <-armed.stop:
			case <-g.ctx.Done():
			}
			stop()
		}
		for _, d := range doors {
			d.admit()
		}
		g.Disarm(id)
	})
	return id, nil
}

// start starts the server of a Gateway.
func (g *Gateway) start(encrypted bool) {
	g.server = httptest.NewUnstartedServer(g)
	g.server.Listener = g.Listener(g.server.Listener)
	g.server.Config.ErrorLog = log.New(io.Discard, "", 0) // faults would fill it
	if !encrypted {
		g.server.Start()
		g.URL = g.server.URL
		return
	}
	g.server.TLS = &tls.Config{GetConfigForClient: g.certificate}
	g.server.StartTLS()
	g.URL = g.server.URL
	wrong, err := misnamed(g.server.TLS.Certificates[0])
	if err != nil {
		panic("ottpaytest: " + err.Error())
	}
	g.mu.Lock()
	g.wrong = &tls.Config{Certificates: []tls.Certificate{wrong}}
	g.mu.Unlock()
}

// certificate returns the configuration of one connection, nil for the usual
// one.
func (g *Gateway) certificate(*tls.ClientHelloInfo) (*tls.Config, error) {
	g.lock()
	defer g.unlock()
	if f, _ := g.strike(ToClient, Fault{}, func(f Fault) bool { return f.Kind == FaultTLS }); f.Kind == "" {
		return nil, nil
	}
	return g.wrong, nil
}

// misnamed makes a certificate of another name, which a client that trusts the
// server's own believes otherwise.
func misnamed(own tls.Certificate) (tls.Certificate, error) {
	issuer, err := x509.ParseCertificate(own.Certificate[0])
	if err != nil {
		return tls.Certificate{}, err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, err
	}
	leaf := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "another.example"}, DNSNames: []string{"another.example"},
		NotBefore: issuer.NotBefore, NotAfter: issuer.NotAfter, KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, leaf, issuer, &key.PublicKey, own.PrivateKey)
	if err != nil {
		return tls.Certificate{}, err
	}
	return tls.Certificate{Certificate: [][]byte{der, own.Certificate[0]}, PrivateKey: key}, nil
}
