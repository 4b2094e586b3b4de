package agent

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"varve/internal/vfs"
)

// What is wrong with the settings of Kerberos is told before the start, with the setting's name.
func TestKerberosSettingsAreChecked(t *testing.T) {
	absent, public := filepath.Join(t.TempDir(), "absent"), filepath.Join(t.TempDir(), "public")
	if err := os.WriteFile(public, []byte{5, 2, 0, 0, 0, 0}, 0o644); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		file  string
		rules []string
		want  string
	}{
		{absent, nil, "security.kerberos.keytab_file: open " + absent},
		{public, nil, "security.kerberos.keytab_file: " + public + " has mode 0644: others can read"},
		{absent, []string{"RULE:[1:$2]"}, `security.kerberos.principal_to_local_rules: "RULE:[1:$2]": $2 is no component`},
		{"", nil, "listeners[0].sasl.mechanisms has GSSAPI, but there are no keys of the service: set security.kerberos.keytab_file"},
	} {
		cfg := DefaultConfig()
		cfg.Listeners = []Listener{{Name: "CLIENTS", Bind: "127.0.0.1:0", Protocol: "SASL_PLAINTEXT", SASL: ListenerSASL{Mechanisms: []string{"GSSAPI"}}}}
		cfg.Security.Kerberos.KeytabFile, cfg.Security.Kerberos.Rules = c.file, c.rules
		err := cfg.Validate()
		if err == nil {
			err = cfg.CheckFiles(vfs.OS{})
		}
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: %v", c, err)
		}
	}
}
