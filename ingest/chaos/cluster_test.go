package chaos

import (
	"context"
	"math/rand/v2"
	"net"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"cordon/internal/bus"
	"github.com/stretchr/testify/require"
)

// cluster is three servers that keep everything threefold.
type cluster struct {
	servers map[string]*child
	url     string
}

func startCluster(t *testing.T) *cluster {
	t.Helper()
	const size = 3
	c := &cluster{servers: map[string]*child{}}
	var ports, routes []int
	var urls []string
	for range size {
		ports, routes = append(ports, freePort(t)), append(routes, freePort(t))
	}
	for i, port := range ports {
		name := "n" + strconv.Itoa(i)
		c.servers[name] = start(t, spec{Dir: t.TempDir(), Server: &natsServer{Name: name, Port: port, Cluster: routes[i], Routes: routes}})
		urls = append(urls, "nats://"+net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
	}
	for _, port := range ports {
		awaitPort(t, port)
	}
	c.url = strings.Join(urls, ",")
	return c
}

// connect waits until the cluster has formed and holds Cordon's streams.
func (c *cluster) connect(t *testing.T) *bus.Bus {
	t.Helper()
	var b *bus.Bus
	require.Eventually(t, func() bool {
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		var err error
		b, err = bus.Open(ctx, bus.Config{URL: c.url, Replicas: len(c.servers)})
		if err != nil {
			t.Log("opening:", err)
		}
		return err == nil
	}, time.Minute, 100*time.Millisecond)
	t.Cleanup(b.Close)
	return b
}

// leader names the server that leads LOGS; followers says how many others are up to date.
func leader(ctx context.Context, b *bus.Bus) (name string, followers int) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	info, err := b.Stream(bus.Logs).Info(ctx)
	if err != nil || info.Cluster == nil {
		return "", 0
	}
	for _, r := range info.Cluster.Replicas {
		if r.Current && !r.Offline {
			followers++
		}
	}
	return info.Cluster.Leader, followers
}

// TestChaosCluster kills the server that leads LOGS while two instances of Cordon read into it and steal all partitions
// from each other. A reader whose batch got
// no answer cannot know whether it was stored: it asks for the checkpoint, and where the batch lands after that, one of
// the two is refused.
func TestChaosCluster(t *testing.T) {
	repeat(t, func(t *testing.T, r *rand.Rand) {
		f := figures{Leaders: setting("LEADERS", 2)}
		servers := startCluster(t)
		b := servers.connect(t)
		require.Equal(t, 3, b.Stream(bus.Logs).CachedInfo().Config.Replicas)
		require.False(t, b.Stream(bus.Logs).CachedInfo().Config.AllowDirect, "a follower may answer a direct read with what was true a moment ago")
		h := openHub(t, 4)
		s := spec{URL: servers.url, Replicas: 3, Connection: h.connection()}
		instances := []*child{start(t, s), start(t, s)}
		var killed atomic.Int64
		pieces := chance(r.Int())
		var hands sync.WaitGroup
		defer hands.Wait()
		hands.Go(func() { h.stream(pieces, setting("RECORDS", 20_000), f.Leaders+1, &killed) })
		for range f.Leaders {
			name := ""
			require.Eventually(t, func() bool {
				var followers int
				name, followers = leader(t.Context(), b)
				return name != "" && followers == 2
			}, time.Minute, 20*time.Millisecond, "the cluster is whole again")
			killed.Add(1) // records flow while it dies
			time.Sleep(between(r, 0, time.Second))
			servers.servers[name].kill()
			time.Sleep(between(r, 100*time.Millisecond, 3*time.Second))
			servers.servers[name] = start(t, servers.servers[name].spec)
		}
		hands.Wait()
		require.Eventually(t, func() bool { return stored(t.Context(), b, h.last()) }, 2*time.Minute, 50*time.Millisecond)
		for _, c := range instances {
			c.stop(t)
			f.Steals += c.count(saysStolen)
			f.Fenced += c.count(saysFenced)
			f.Unanswered += c.count(saysUnanswered)
		}
		f.tally = h.requireOnce(t, b)
		f.report(t)
	})
}
