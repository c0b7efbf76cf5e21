package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"cordon/internal/graph"
	"cordon/internal/partnercenter"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/stretchr/testify/require"
)

func TestGoodConfigurations(t *testing.T) {
	files, err := filepath.Glob("testdata/*.good.yml")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, file := range files {
		_, err := Load(file)
		require.NoError(t, err)
	}
}

// The first line of a bad configuration says what is said about it.
func TestBadConfigurations(t *testing.T) {
	files, err := filepath.Glob("testdata/*.bad.yml")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			data, err := os.ReadFile(file)
			require.NoError(t, err)
			first, _, _ := strings.Cut(string(data), "\n")
			want, ok := strings.CutPrefix(first, "# expect: ")
			require.True(t, ok, "the first line says what is expected")
			_, err = Load(file)
			require.ErrorContains(t, err, file+": ")
			require.ErrorContains(t, err, want)
			require.NotContains(t, err.Error(), "hunter", "a secret is never shown")
			require.NotContains(t, err.Error(), "config.", "no types of Go")
			require.NotContains(t, err.Error(), "struct", "no types of Go")
		})
	}
}

func TestWhatIsTakenWhereNothingIsSaid(t *testing.T) {
	c, err := Load("testdata/least.good.yml")
	require.NoError(t, err)
	require.Equal(t, "127.0.0.1:8080", c.Listen)
	require.Equal(t, graph.PublicURL, c.Graph)
	require.Equal(t, "observe", c.Tenants[0].Mode, "a new tenant")
	require.Equal(t, "t", c.Tenants[0].Name)

	c, err = Load("testdata/full.good.yml")
	require.NoError(t, err)
	require.Equal(t, "automatic", c.Tenants[0].Mode)
	require.Equal(t, "observe", c.Tenants[1].Mode)
	require.Equal(t, partnercenter.PublicURL, c.Partners[0].PartnerCenter.URL)
	require.Equal(t, "https://login.microsoftonline.com/fab21ca0-0000-4000-8000-00000000fab1/oauth2/v2.0/token", c.Partners[0].PartnerCenter.TokenURL)
	require.Equal(t, Cap{Per: time.Hour, AtMost: 5}, c.Guardrails["user.disable"])
	require.Equal(t, []string{"alex@contoso.example"}, c.Analysts[0].Accounts)
	require.Empty(t, c.Analysts[1].May, "who may nothing can read")
	require.Equal(t, map[string]string{"user-created": "off", "method-changed": "audit", "password-spray": "on"}, c.Modes)
}

func TestAMissingFileIsNamed(t *testing.T) {
	_, err := Load("testdata/nowhere.yml")
	require.ErrorContains(t, err, "opening the configuration: open testdata/nowhere.yml")
}

func TestSecrets(t *testing.T) {
	folder := t.TempDir()
	write := func(name, content string) string {
		path := filepath.Join(folder, name)
		require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
		return path
	}
	t.Setenv("CORDON_TEST_SECRET", "s3cret-of-env")
	t.Setenv("CORDON_TEST_EMPTY", "")
	for _, c := range []struct {
		secret Secret
		value  string
		err    string
	}{
		{Secret{Env: "CORDON_TEST_SECRET"}, "s3cret-of-env", ""},
		{Secret{File: write("a", "s3cret-of-file\n")}, "s3cret-of-file", ""},
		{Secret{Env: "CORDON_TEST_EMPTY"}, "", "the environment variable CORDON_TEST_EMPTY is empty"},
		{Secret{Env: "CORDON_TEST_UNSET"}, "", "the environment variable CORDON_TEST_UNSET is empty"},
		{Secret{File: write("b", " \n")}, "", "b is empty"},
		{Secret{File: filepath.Join(folder, "none")}, "", "opening a secret: open"},
		{Secret{File: folder}, "", "reading a secret: read"},
		{Secret{Env: "CORDON_TEST_SECRET", File: write("c", "s3cret")}, "", "a secret has one of env and file"},
		{Secret{}, "", "a secret is missing: name it by env or file"},
		{Secret{File: write("d", "s3cret"+strings.Repeat("x", maxSecret))}, "", "d is larger than 64 KiB"},
	} {
		got, err := c.secret.Read()
		require.Equal(t, c.value, got)
		if c.err == "" {
			require.NoError(t, err)
			continue
		}
		require.ErrorContains(t, err, c.err)
		require.NotContains(t, err.Error(), "s3cret")
	}
}

func TestCredentials(t *testing.T) {
	t.Setenv("CORDON_TEST_TOKEN", "as it is")
	token := Credential{Token: &Secret{Env: "CORDON_TEST_TOKEN"}}
	cred, err := token.For("t")
	require.NoError(t, err)
	got, err := cred.GetToken(t.Context(), policy.TokenRequestOptions{})
	require.NoError(t, err)
	require.Equal(t, "as it is", got.Token)
	require.True(t, got.ExpiresOn.After(time.Now()))

	_, err = (Credential{Token: &Secret{Env: "CORDON_TEST_NONE"}}).For("t")
	require.ErrorContains(t, err, "CORDON_TEST_NONE is empty")
	_, err = (Credential{}).For("t")
	require.ErrorContains(t, err, "tenant t has no credential")
	junk := filepath.Join(t.TempDir(), "cert.pem")
	require.NoError(t, os.WriteFile(junk, []byte("s3cret"), 0o600))
	var c Credential
	c.Certificate = &struct {
		ClientID string `yaml:"client-id"`
		File     string `yaml:"file"`
	}{"c", junk}
	_, err = c.For("t")
	require.ErrorContains(t, err, "reading the certificate "+junk)
	require.NotContains(t, err.Error(), "s3cret")
}
