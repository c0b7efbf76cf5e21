package eventhubs

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"cordon/internal/clock"
	"cordon/internal/crew"
	"github.com/Azure/azure-sdk-for-go/sdk/messaging/azeventhubs/v2"
	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
)

// The real SDK speaks AMQP over a WebSocket to a gateway in front of the simulated namespace, as Azure has one.
func TestWebSockets(t *testing.T) {
	b, n := openBus(t), listen(t, "127.0.0.1:0")
	hub := n.AddHub(hubName, 2)
	ids := feed(hub, 0, 10)
	var opened atomic.Int32
	gateway := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ws, err := websocket.Accept(w, r, &websocket.AcceptOptions{Subprotocols: []string{"amqp"}})
		if err != nil {
			return
		}
		opened.Add(1)
		ws.SetReadLimit(-1)
		client := websocket.NetConn(context.Background(), ws, websocket.MessageBinary)
		defer client.Close()
		behind, err := net.Dial("tcp", n.Addr())
		if err != nil {
			return
		}
		defer behind.Close()
		var up sync.WaitGroup
		up.Go(func() { _, _ = io.Copy(behind, client); _ = behind.Close() })
		_, _ = io.Copy(client, behind)
		_ = client.Close()
		up.Wait()
	}))
	defer gateway.Close()
	s := New(Config{Namespace: "simulated", Hub: hubName, ConnectionString: n.ConnectionString(hubName), WebSockets: true}, b, crew.Alone(), clock.Wall{}, zap.NewNop())
	s.idle = 200 * time.Millisecond
	s.dial = func(ctx context.Context, to azeventhubs.WebSocketConnParams) (net.Conn, error) {
		require.True(t, strings.HasPrefix(to.Host, "wss://"), to.Host)
		to.Host = "ws" + strings.TrimPrefix(gateway.URL, "http") + "/$servicebus/websocket"
		return dialWebSocket(ctx, to)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	requireStored(t, b, ids)
	cancel()
	require.NoError(t, <-done)
	require.Positive(t, opened.Load())
}
