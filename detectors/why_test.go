package detectors

import (
	"testing"
	"time"

	"cordon/internal/finding"
	"github.com/stretchr/testify/require"
)

func TestAFindingSaysWhy(t *testing.T) {
	e := shipped(t, admins())
	found := only(e.Process(decode(t, signIn("s1", adminID, "198.51.100.23", 0, morning, oneFactor)), "1"), noMFA)
	require.Len(t, found, 1)
	require.Equal(t, []finding.Reason{
		{Clause: "category: SignInLogs", Values: []string{"SignInLogs"}},
		{Clause: "signIn.errorCode: 0", Values: []string{"0"}},
		{Clause: "properties.authenticationRequirement: singleFactorAuthentication", Values: []string{"singleFactorAuthentication"}},
		{Clause: "actor.privileged: true", Values: []string{"true"}},
		{Clause: "not signIn.mfa: true", Values: []string{"false"}},
	}, found[0].Why)

	for _, r := range attack(5, 5*time.Minute, time.Minute) {
		e.Process(decode(t, r), "x")
	}
	spray := only(e.Flush(), "password-spray")
	require.Len(t, spray, 1)
	require.Equal(t, []finding.Reason{{Clause: "value_count of actor.id over wrong-password by signIn.address within 20m: 5 or more", Values: []string{"203.0.113.7"}}}, spray[0].Why)
}
