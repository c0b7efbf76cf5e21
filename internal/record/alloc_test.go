package record

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// inStrings is a sign-in whose objects are JSON in strings, as some exports have them.
func inStrings(t testing.TB) fields {
	sign := signInRecord()
	p := properties(sign)
	p["authenticationDetails"] = []fields{{"authenticationMethod": "Password", "succeeded": true, "authenticationStepRequirement": "Primary authentication"},
		{"authenticationMethod": "Mobile app notification", "succeeded": true, "authenticationStepRequirement": "Multifactor authentication"}}
	for _, name := range []string{"status", "location", "deviceDetail", "authenticationDetails"} {
		text, err := json.Marshal(p[name])
		require.NoError(t, err)
		p[name] = string(text)
	}
	return sign
}

func manyChanges() fields {
	audit := auditRecord()
	properties(audit)["targetResources"] = []fields{{"id": "u2", "type": "User", "userPrincipalName": "svc@contoso.example", "modifiedProperties": []fields{
		{"displayName": "Role.DisplayName", "oldValue": nil, "newValue": `"Global Administrator"`},
		{"displayName": "Role.TemplateId", "oldValue": `"a \"quoted\" one"`, "newValue": `"62e90394-69f5-4237-9190-012177145e10"`}}}}
	return audit
}

// A Decoder that has seen such records allocates the ID alone, and reading fields of them nothing.
func TestDecodingAllocatesTheIDAlone(t *testing.T) {
	unified := roleGiven()
	for name, record := range map[string]fields{"sign-in": signInRecord(), "audit": manyChanges(), "in strings": inStrings(t), "unified": unified} {
		t.Run(name, func(t *testing.T) {
			raw := encode(t, record)
			var dec Decoder
			require.LessOrEqual(t, testing.AllocsPerRun(50, func() {
				if _, err := dec.Decode(raw, Defaults{Enqueued: enqueued}); err != nil {
					t.Fatal(err)
				}
			}), 1.0)
		})
	}
}

func TestReadingFieldsDoesNotAllocate(t *testing.T) {
	for name, raw := range map[string][]byte{"sign-in": encode(t, signInRecord()), "audit": encode(t, manyChanges()), "in strings": encode(t, inStrings(t))} {
		t.Run(name, func(t *testing.T) {
			var readers []Reader
			for _, fact := range FactNames() {
				read, ok := Fact(fact)
				require.True(t, ok)
				readers = append(readers, read)
			}
			for _, path := range []string{"targetResources.modifiedProperties.newValue", "properties.targetResources", "STATUS.errorCode", "deviceDetail.deviceId", "nothing.of.that", "properties.location", "additionalDetails.key"} {
				readers = append(readers, Path(path))
			}
			r, err := Decode(raw, Defaults{})
			require.NoError(t, err)
			room, said := make([]string, 0, 64), 0
			require.Zero(t, testing.AllocsPerRun(50, func() {
				for _, read := range readers {
					room = read(r, room[:0])
					said += len(room)
				}
				r.Each(func(v string) bool { said += len(v); return true })
			}))
			require.Positive(t, said)
		})
	}
}

// What is in the list that a reader is given stays, and says nothing about what it finds.
func TestReadersAddToWhatTheyAreGiven(t *testing.T) {
	r := decode(t, manyChanges(), Defaults{})
	before := []string{"62e90394-69f5-4237-9190-012177145e10", "x"}
	for _, name := range FactNames() {
		read, _ := Fact(name)
		require.Equal(t, append(before[:2:2], read.Values(r).List...), read(r, before[:2:2]), name)
	}
	for _, path := range []string{"targetResources.type", "properties.id", "Properties.time", "nothing"} {
		require.Equal(t, append(before[:2:2], Path(path).Values(r).List...), Path(path)(r, before[:2:2]), path)
		require.Equal(t, r.Field(path), Path(path).Values(r), path)
	}
	ids, names := r.Roles()
	require.Equal(t, []string{"62e90394-69f5-4237-9190-012177145e10"}, ids)
	require.Equal(t, []string{"Global Administrator"}, names)
	require.Equal(t, `a "quoted" one`, r.Targets()[0].Changes[1].Old)
}

// The same Decoder reads the one as if it had never read the other.
func TestADecoderForgets(t *testing.T) {
	var dec Decoder
	records := []fields{manyChanges(), signInRecord(), inStrings(t), roleGiven(), unifiedSignIn("UserLoginFailed", fields{"ErrorNumber": "50126"}), auditRecord()}
	for range 3 {
		for i := range records {
			raw := encode(t, records[i])
			got, err := dec.Decode(raw, Defaults{Enqueued: enqueued})
			require.NoError(t, err)
			want, err := Decode(raw, Defaults{Enqueued: enqueued})
			require.NoError(t, err)
			require.Equal(t, want.ID, got.ID)
			require.Equal(t, want.Actor, got.Actor)
			require.Equal(t, strings.Join(Path("targetResources.id").Values(want).List, ","), strings.Join(Path("targetResources.id").Values(got).List, ","))
			require.ElementsMatch(t, want.Targets(), got.Targets())
			require.Equal(t, want.SignIn(), got.SignIn())
			require.Equal(t, want.ErrorCode(), got.ErrorCode())
		}
		records[0], records[3] = records[3], records[0]
	}
}
