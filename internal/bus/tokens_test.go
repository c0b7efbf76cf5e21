package bus

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// A shard is where the server's subject transform puts a tenant.
func TestShardsAreTheServers(t *testing.T) {
	b := open(t)
	for _, tenant := range []string{"contoso", "FABRIKAM.example", "0f6a1f4e-0000-4000-8000-0000000000ab", "*.>", "é", "t1", "t2", "t3", "t4", "t5"} {
		_, err := b.Publish(t.Context(), Message{Subject: LogSubject(tenant, "SignInLogs", "u"), Data: []byte("{}")})
		require.NoError(t, err)
		last, err := b.LastSequence(t.Context(), Logs)
		require.NoError(t, err)
		msg, err := b.Stream(Logs).GetMsg(t.Context(), last)
		require.NoError(t, err)
		require.Equal(t, fmt.Sprintf("logs.%d.%s", ShardOf(tenant), Token(tenant)), strings.TrimSuffix(msg.Subject, ".signinlogs."+Bucket("u")), tenant)
	}
}
