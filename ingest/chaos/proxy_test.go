package chaos

import (
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
)

// proxy stands between a client and a server and can be shut: then its address refuses connections, and those that
// were open are gone. Muted, it swallows what comes over the connections that were open, as a firewall does that has
// forgotten them.
type proxy struct {
	addr, to string

	mu       sync.Mutex
	listener net.Listener
	shutting bool
	conns    map[net.Conn]*atomic.Bool // whether they are muted
	tasks    sync.WaitGroup
}

func openProxy(t *testing.T, to string) *proxy {
	t.Helper()
	p := &proxy{addr: "127.0.0.1:0", to: to, conns: map[net.Conn]*atomic.Bool{}}
	p.open(t)
	t.Cleanup(p.shut)
	return p
}

// open lets connections through, at the address that it had before.
func (p *proxy) open(t require.TestingT) {
	l, err := net.Listen("tcp", p.addr)
	require.NoError(t, err)
	p.mu.Lock()
	p.listener, p.addr, p.shutting = l, l.Addr().String(), false
	p.mu.Unlock()
	p.tasks.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			p.tasks.Go(func() { p.forward(conn) })
		}
	})
}

// shut ends all connections and takes no more.
func (p *proxy) shut() {
	p.mu.Lock()
	_ = p.listener.Close() // perhaps for the second time
	p.shutting = true
	for c := range p.conns {
		_ = c.Close()
	}
	p.mu.Unlock()
	p.tasks.Wait()
}

func (p *proxy) mute() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, muted := range p.conns {
		muted.Store(true)
	}
}

// valve lets through until it is muted.
type valve struct {
	to    net.Conn
	muted *atomic.Bool
}

func (v valve) Write(b []byte) (int, error) {
	if v.muted.Load() {
		return len(b), nil
	}
	return v.to.Write(b)
}

func (p *proxy) forward(conn net.Conn) {
	defer func() { _ = conn.Close() }()
	server, err := net.Dial("tcp", p.to)
	if err != nil {
		return
	}
	defer func() { _ = server.Close() }()
	p.mu.Lock()
	if p.shutting {
		p.mu.Unlock()
		return
	}
	muted := &atomic.Bool{}
	p.conns[conn], p.conns[server] = muted, muted
	p.mu.Unlock()
	var hands sync.WaitGroup
	copying := func(to, from net.Conn) {
		_, _ = io.Copy(valve{to, muted}, from)
		_, _ = to.Close(), from.Close()
	}
	hands.Go(func() { copying(conn, server) })
	hands.Go(func() { copying(server, conn) })
	hands.Wait()
	p.mu.Lock()
	delete(p.conns, conn)
	delete(p.conns, server)
	p.mu.Unlock()
}
