// Package eventhubs simulates an Azure Event Hubs namespace: an AMQP 1.0 server which
// the Azure SDK cannot tell from the service, as far as receiving, publishing and the
// properties of hubs go. It stands where Event Hubs stands, in front of ingest, and
// serves tests, `cordon try` and `cordon simulate` only.
//
// It speaks plain TCP without authentication, as the connection string says, and keeps
// all events in memory until it is closed.
package eventhubs

import (
	"errors"
	"fmt"
	"net"
	"sync"
	"time"
)

// Namespace is a listening server and its hubs.
type Namespace struct {
	listener net.Listener
	tasks    sync.WaitGroup // the accept loop and one per connection

	mu      sync.Mutex
	hubs    map[string]*Hub
	sockets map[net.Conn]struct{}
	closed  bool
}

// Listen starts a namespace on addr, for instance "127.0.0.1:0".
func Listen(addr string) (*Namespace, error) {
	listener, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("listening for event hubs clients: %w", err)
	}
	n := &Namespace{listener: listener, hubs: map[string]*Hub{}, sockets: map[net.Conn]struct{}{}}
	n.tasks.Go(n.accept)
	return n, nil
}

// Addr returns the host and port the namespace listens on.
func (n *Namespace) Addr() string { return n.listener.Addr().String() }

// ConnectionString returns what a client of hub must be given. The development
// emulator's flag is what makes the SDK do without TLS.
func (n *Namespace) ConnectionString(hub string) string {
	return "Endpoint=sb://" + n.Addr() + ";SharedAccessKeyName=simulator;SharedAccessKey=simulator;" +
		"UseDevelopmentEmulator=true;EntityPath=" + hub
}

// AddHub adds a hub with empty partitions, in place of any hub which has its name.
func (n *Namespace) AddHub(name string, partitions int) *Hub {
	hub := newHub(name, partitions)
	n.mu.Lock()
	defer n.mu.Unlock()
	n.hubs[name] = hub
	return hub
}

func (n *Namespace) hub(name string) *Hub {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.hubs[name]
}

// DropConnections closes every open connection without a word, like a network fault.
// Clients may reconnect.
func (n *Namespace) DropConnections() {
	n.mu.Lock()
	defer n.mu.Unlock()
	for socket := range n.sockets {
		_ = socket.Close() // its task notices and takes it off the map
	}
}

// Close ends all connections and waits for all goroutines of the namespace.
func (n *Namespace) Close() error {
	n.mu.Lock()
	n.closed = true
	n.mu.Unlock()
	err := n.listener.Close()
	n.DropConnections()
	n.tasks.Wait()
	if err != nil && !errors.Is(err, net.ErrClosed) {
		return fmt.Errorf("closing event hubs listener: %w", err)
	}
	return nil
}

func (n *Namespace) accept() {
	for {
		socket, err := n.listener.Accept()
		switch {
		case errors.Is(err, net.ErrClosed):
			return
		case err != nil:
			// Too many open files, most likely: wait until some were closed.
			time.Sleep(10 * time.Millisecond)
		case n.admit(socket):
			n.tasks.Go(func() {
				newConnection(n, socket).serve()
				n.dismiss(socket)
			})
		default:
			_ = socket.Close()
		}
	}
}

// admit records an accepted socket, unless it came too late for Close to see it.
func (n *Namespace) admit(socket net.Conn) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.closed {
		return false
	}
	n.sockets[socket] = struct{}{}
	return true
}

func (n *Namespace) dismiss(socket net.Conn) {
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(n.sockets, socket)
}
