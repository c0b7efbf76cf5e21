package eventhubs

import (
	"context"
	"fmt"
	"net"

	"github.com/Azure/azure-sdk-for-go/sdk/messaging/azeventhubs/v2"
	"github.com/coder/websocket"
)

// dialWebSocket connects to port 443 of a namespace, by way of the proxy that HTTPS_PROXY names, if any: the SDK then
// speaks AMQP over it.
func dialWebSocket(ctx context.Context, to azeventhubs.WebSocketConnParams) (net.Conn, error) {
	ws, _, err := websocket.Dial(ctx, to.Host, &websocket.DialOptions{Subprotocols: []string{"amqp"}})
	if err != nil {
		return nil, fmt.Errorf("opening a WebSocket to the namespace: %w", err)
	}
	ws.SetReadLimit(-1) // frames are bounded by AMQP
	return websocket.NetConn(context.WithoutCancel(ctx), ws, websocket.MessageBinary), nil
}
