package principal

import (
	"crypto/x509"
	"encoding/hex"
	"net"
	"net/url"
	"strings"
	"testing"

	"varve/internal/workbound"
)

// Names that Kafka 4.3.1's SslPrincipalMapper gives, of the examples of its documentation and tests.
func TestNamesAreKafkas(t *testing.T) {
	for _, c := range []struct {
		rules         string // separated by " ; "
		subject, name string // "": none
	}{
		{"RULE:^CN=(.*?),OU=ServiceUsers.*$/$1/ ; DEFAULT", "CN=serviceuser,OU=ServiceUsers,O=Unknown,L=Unknown,ST=Unknown,C=Unknown", "serviceuser"},
		{"RULE:^CN=(.*?),OU=ServiceUsers.*$/$1/ ; DEFAULT", "CN=z,OU=other", "CN=z,OU=other"},
		{"RULE:^CN=(.*?),OU=(.*?),O=(.*?),L=(.*?),ST=(.*?),C=(.*?)$/$1@$2/L", "CN=adminUser,OU=Admin,O=Unknown,L=Unknown,ST=Unknown,C=Unknown", "adminuser@admin"},
		{"RULE:^.*[Cc][Nn]=([a-zA-Z0-9.]*).*$/$1/U", "x=y,cn=abc-d", "ABC"},
		{"RULE:^.*[Cc][Nn]=([a-zA-Z0-9.]*).*$/$1/L", "nothing", ""},
		{"RULE:^CN=([^,]+).*$/$1/ ; DEFAULT", "CN=kafka,O=x", "kafka"},
		{"RULE:^CN=([^,]+).*$/$1@$4/", "CN=a,b", "a@$4"},
		{`RULE:^CN=(\w+)\/(\w+)$/$1-$2/`, "CN=a/b", "a-b"},
		{`RULE:^CN=(.*)$/$1\/$0/`, "CN=q", "q/CN=q"},
		{`RULE:^CN=(.*)$/a\$1/`, "CN=q", "a$1"},
		{"RULE:^(CN)=(.)(.)(.)(.)(.)(.)(.)(.)(.)(.)$/$11-$12/", "CN=abcdefghij", "j-CN2"},
		{"DEFAULT ; RULE:.*/x/", "CN=a", "CN=a"},
		{"RULE:.*/x/", "CN=a", "x"}, // Kafka's is xx
		{"", "CN=a", "CN=a"},
	} {
		var texts []string
		if c.rules != "" {
			texts = strings.Split(c.rules, " ; ")
		}
		r, err := Parse(texts)
		if err != nil {
			t.Errorf("%s: %v", c.rules, err)
			continue
		}
		if name, err := r.Name(c.subject); name != c.name || (err == nil) != (c.name != "") {
			t.Errorf("%s of %s: %q, %v, want %q", c.rules, c.subject, name, err, c.name)
		}
	}
}

// Rules for alternative names see these with their kinds, and never the subject.
func TestAlternativeNames(t *testing.T) {
	uri, err := url.Parse("spiffe://example/ns/prod/sa/orders")
	if err != nil {
		t.Fatal(err)
	}
	cert := &x509.Certificate{URIs: []*url.URL{uri}, DNSNames: []string{"orders.example", "b.example"}, EmailAddresses: []string{"orders@example"}, IPAddresses: []net.IP{net.IPv4(10, 0, 0, 1)}}
	for _, c := range []struct {
		rules []string
		name  string // "": none
	}{
		{[]string{`SAN:^URI:spiffe:\/\/example\/ns\/([^\/]+)\/sa\/(.+)$/$1-$2/`}, "prod-orders"},
		{[]string{"SAN:^DNS:([^.]+)[.]example$/$1/U"}, "ORDERS"},
		{[]string{"SAN:^DNS:(b)[.].*$/$1/"}, "b"},
		{[]string{"SAN:^EMAIL:(.*)$/$1/"}, "orders@example"},
		{[]string{"SAN:^IP:(.*)$/$1/"}, "10.0.0.1"},
		{[]string{"SAN:^CN=(.*)$/$1/"}, ""},
		{[]string{"RULE:^DNS:(.*)$/$1/"}, ""},
		{[]string{"SAN:^URI:(http.*)$/$1/", "RULE:^CN=([^,]+).*$/$1/"}, "subject"},
		{[]string{"RULE:^CN=x$/x/", "SAN:^DNS:(.*)$/$1/", "DEFAULT"}, "orders.example"},
	} {
		r, err := Parse(c.rules)
		if err != nil {
			t.Fatal(err)
		}
		if name, err := r.Name("CN=subject", Alternatives(cert)...); name != c.name || (err == nil) != (c.name != "") {
			t.Errorf("%s: %q, %v, want %q", c.rules, name, err, c.name)
		}
	}
}

func TestBadRulesAreRefused(t *testing.T) {
	for text, why := range map[string]string{
		"": "must be", "default": "must be", "DEFAULTX": "must be", "rule:a/b/": "must be", "RULE:a/b": "must be", "RULE:a/b/X": "must be", "RULE:a/b/LU": "must be", "RULE:a/b/l": "must be", "RULE:a/b/c/d/": "must be",
		"RULE:(/b/": "missing closing", "RULE:^(?=CN).*$/b/": "RE2", `RULE:^(a)\1$/b/`: "RE2", "RULE:^a*+$/b/": "RE2", "RULE:^(?!CN).*$/b/": "RE2",
	} {
		if _, err := Parse([]string{"DEFAULT", text}); err == nil || !strings.Contains(err.Error(), why) {
			t.Errorf("%q: %v", text, err)
		}
	}
}

// What Java 17's X500Principal.getName returns for the same bytes.
func TestSubjectsAreJavas(t *testing.T) {
	for encoded, want := range map[string]string{
		"304a310b300906035504061302555331193017060355040a131053756e204d6963726f73797374656d733111300f060355040b13084a617661536f6674310d300b0603550403130464756b65":                         "CN=duke,OU=JavaSoft,O=Sun Microsystems,C=US",
		"303931193017060355040a1310206c65616420616e6420747261696c20311c301a06035504030c13612c622b6322645c653c663e673b683d69236a":                                                           `CN=a\,b\+c\"d\\e\<f\>g\;h\=i\#j,O=\ lead and trail\ `,
		"305631133011060a0992268993f22c64011916036f726731173015060a0992268993f22c64011916076578616d706c65310d300b060355040313046d61696c3117301506092a864886f70d01090116086d6540782e6f7267": "1.2.840.113549.1.9.1=#16086d6540782e6f7267,CN=mail,DC=example,DC=org",
		"30543111300f060a0992268993f22c640101130175310a30080603550409130173310a3008060355040813017a3114300806035504071301793008060355040b1301783111300f06035504030c08c3bc6d6cc3a47574":     "CN=ümläut,L=y+OU=x,ST=z,STREET=s,UID=u",
		"3051310e300c06035504030c052368617368310a3008060355042e130164310a30080603550404130173310a3008060355042a130167310e300c060355040c13057469746c65310b3009060355040513023132":           `2.5.4.5=#13023132,2.5.4.12=#13057469746c65,2.5.4.42=#130167,2.5.4.4=#130173,2.5.4.46=#130164,CN=\#hash`,
		"302231093007060355040a1300311530130603550403130c6d756c746920207370616365":                                                                                                         "CN=multi  space,O=",
		"3020310e300c060355040a0c057461620978310e300c06035504030c056e756c0078":                                                                                                             "CN=nul\\00x,O=tab\tx",
		"300e310c300a06035504031403e46263":   "CN=\ufffdbc",
		"300f310d300b06035504031e0400410042": `CN=\00A\00B`,
		"300d310b3009060355040316026162":     "CN=ab",
		"300b3109300706035504030c00":         "CN=",
		"300e310c300a06035504030c0320203c":   `CN=\ \ \<`,
		"300c310a30080603550403040161":       "CN=#040161",
		"300c310a300806035504031a0161":       "CN=#1a0161",
		"300f310d300b06035504031c0400000041": "CN=#1c0400000041",
		"300f310d300b06035504030c0420610d20": "CN=\\ a\\\r\\ ",
		"300c310a30080603550403020105":       "CN=#020105",
		"3000":                               "",
	} {
		raw, err := hex.DecodeString(encoded)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := Subject(raw); err != nil || got != want {
			t.Errorf("%s: %q, %v, want %q", encoded, got, err, want)
		}
	}
	for _, raw := range []string{"", "0", "\x30\x01", "\x30\x02\x31\x05", "\x30\x00\x00", "\x30\x03\x02\x01\x05"} {
		if got, err := Subject([]byte(raw)); err == nil {
			t.Errorf("%q is %q", raw, got)
		}
	}
}

func FuzzSubject(f *testing.F) {
	seed, _ := hex.DecodeString("304a310b300906035504061302555331193017060355040a131053756e204d6963726f73797374656d733111300f060355040b13084a617661536f6674310d300b0603550403130464756b65")
	f.Add(seed, "RULE:^CN=(.*?),.*$/$1/L")
	f.Fuzz(func(t *testing.T, raw []byte, text string) {
		workbound.Check(t, len(raw)+len(text), func() {
			r, bad := Parse([]string{text, "DEFAULT"})
			s, err := Subject(raw)
			if bad == nil && err == nil {
				if _, err := r.Name(s); err != nil {
					t.Error(err)
				}
			}
		})
	})
}
