//go:build full

package terraform

import (
	"bytes"
	"cmp"
	"encoding/json"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// The providers of clouds, from the Go module proxy. They are built once and cached, as long as the versions stay.
const (
	openstackProvider = "github.com/terraform-provider-openstack/terraform-provider-openstack/v3"
	openstackVersion  = "v3.4.0"
	awsProvider       = "github.com/hashicorp/terraform-provider-aws"
	awsVersion        = "v1.60.1-0.20260602190131-5f2286d6d836"
)

// awsServices are those that modules/aws uses. A provider with all of AWS's takes hours to build.
var awsServices = []string{"ec2", "elbv2", "iam", "meta", "route53", "s3", "sts"}

// TestClouds validates the modules for clouds, and their examples, with the real providers' schemas, and runs 'terraform test' with providers that
// make nothing. No cloud is asked.
func TestClouds(t *testing.T) {
	bin := providers(t)
	config := filepath.Join(t.TempDir(), "terraformrc")
	write(t, config, "provider_installation {\n  dev_overrides {\n    \"hashicorp/aws\" = \""+bin+"\"\n    \"terraform-provider-openstack/openstack\" = \""+bin+"\"\n  }\n}\n", 0o644)
	for _, dir := range []string{"modules/aws", "modules/openstack", "examples/aws", "examples/openstack"} {
		t.Run(strings.ReplaceAll(dir, "/", "-"), func(t *testing.T) {
			data := t.TempDir()
			terraform := func(args ...string) {
				t.Helper()
				c := exec.Command("terraform", append([]string{"-chdir=../../terraform/" + dir}, args...)...)
				c.Env = append(os.Environ(), "TF_CLI_CONFIG_FILE="+config, "TF_DATA_DIR="+data, "CHECKPOINT_DISABLE=1")
				if out, err := c.CombinedOutput(); err != nil {
					t.Fatalf("%v: %v\n%s", args, err, out)
				}
			}
			terraform("get", "-no-color")
			terraform("validate", "-no-color")
			if _, err := os.Stat("../../terraform/" + dir + "/tests"); err == nil {
				terraform("test", "-no-color")
			}
		})
	}
}

// providers returns the directory with the providers' programs.
func providers(t *testing.T) string {
	t.Helper()
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(cache, "varve", "terraform-providers-"+openstackVersion+"-"+awsVersion)
	if _, err := os.Stat(dir); err == nil {
		return dir
	}
	t.Log("building providers in", dir, "(some minutes)")
	part := dir + ".part"
	if err := os.RemoveAll(part); err != nil {
		t.Fatal(err)
	}
	goTool(t, ".", part, "install", openstackProvider+"@"+openstackVersion)
	source := filepath.Join(t.TempDir(), "aws")
	reduceAWS(t, source)
	goTool(t, source, part, "install", ".")
	if err := os.Rename(part, dir); err != nil {
		t.Fatal(err)
	}
	return dir
}

// goTool runs a command of Go in a directory, with bin as the place for programs.
func goTool(t *testing.T, dir, bin string, args ...string) []byte {
	t.Helper()
	c := exec.Command("go", args...)
	c.Dir = dir
	c.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=-mod=mod", "GOWORK=off", "GOBIN="+bin)
	var out, wrong bytes.Buffer
	c.Stdout, c.Stderr = &out, &wrong
	if err := c.Run(); err != nil {
		t.Fatalf("go %v: %v\n%s", args, err, wrong.Bytes())
	}
	return out.Bytes()
}

var (
	awsService  = regexp.MustCompile(`"` + awsProvider + `/internal/service/([^"/]+)`)
	awsSDK      = regexp.MustCompile(`(?m)^\s*(?:(\w+) )?"github\.com/aws/aws-sdk-go-v2/service/([^"/]+)"`)
	awsClient   = regexp.MustCompile(`\*(\w+)\.Client`)
	awsRegister = regexp.MustCompile(`^\s*(\w+)\.ServicePackage\(ctx\)`)
)

// reduceAWS writes the source of AWS's provider into a directory, with the services that are needed alone. Their schemas are as they were.
func reduceAWS(t *testing.T, to string) {
	t.Helper()
	empty := t.TempDir()
	write(t, filepath.Join(empty, "go.mod"), "module empty\n", 0o644)
	var module struct{ Dir string }
	if err := json.Unmarshal(goTool(t, empty, "", "mod", "download", "-json", awsProvider+"@"+awsVersion), &module); err != nil {
		t.Fatal(err)
	}
	files := map[string]string{}
	take := func(dir string, skip func(path string) bool) {
		t.Helper()
		err := filepath.WalkDir(filepath.Join(module.Dir, dir), func(path string, d fs.DirEntry, err error) error {
			name, _ := filepath.Rel(module.Dir, path)
			switch {
			case err != nil:
				return err
			case d.IsDir() && skip(name):
				return fs.SkipDir
			case !d.IsDir() && !strings.HasSuffix(name, "_test.go") && d.Name() != "sweep.go":
				files[name] = read(t, path)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, top := range []string{"go.mod", "go.sum", "main.go", "names", "version", "internal/service/smarterr.hcl"} {
		take(top, func(string) bool { return false })
	}
	take("internal", func(name string) bool {
		return name == "internal/service" || name == "internal/acctest" || name == "internal/generate"
	})
	kept := map[string]bool{}
	for todo := slices.Clone(awsServices); len(todo) > 0; todo = todo[1:] {
		if kept[todo[0]] {
			continue
		}
		kept[todo[0]] = true
		at := "internal/service/" + todo[0] + "/"
		take(at, func(string) bool { return false })
		for name, text := range files {
			if strings.HasPrefix(name, at) {
				todo = append(todo, names(text, awsService.String())...)
			}
		}
	}
	files["internal/service/sts/smarterr.hcl"] = read(t, filepath.Join(module.Dir, "internal/service/cloudtrail/smarterr.hcl")) // a pattern of go:embed needs one

	// The list of services, and that of the clients of AWS's SDK.
	const services, clients = "internal/provider/sdkv2/service_packages_gen.go", "internal/conns/awsclient_gen.go"
	files[services] = lines(files[services], func(line string) bool {
		m := cmp.Or(strings.Join(names(line, awsService.String()), ""), strings.Join(names(line, awsRegister.String()), ""))
		return m == "" || kept[m]
	})
	used := map[string]bool{}
	for name, text := range files {
		for _, m := range awsSDK.FindAllStringSubmatch(text, -1) {
			used[m[2]] = used[m[2]] || name != clients && strings.HasSuffix(name, ".go")
		}
	}
	imported := map[string]string{} // by the name in the file
	for _, m := range awsSDK.FindAllStringSubmatch(files[clients], -1) {
		imported[cmp.Or(m[1], m[2])] = m[2]
	}
	functions := strings.Split(files[clients], "\nfunc ")
	needed := map[string]bool{}
	for i, f := range functions[1:] {
		m := awsClient.FindStringSubmatch(f)
		switch {
		case m == nil || imported[m[1]] == "":
		case used[imported[m[1]]]:
			needed[imported[m[1]]] = true
		default:
			functions[i+1] = ""
		}
	}
	functions[0] = lines(functions[0], func(line string) bool {
		m := awsSDK.FindStringSubmatch(line)
		return m == nil || needed[m[2]]
	})
	files[clients] = strings.Join(slices.DeleteFunc(functions, func(f string) bool { return f == "" }), "\nfunc ")
	for name, text := range files {
		write(t, filepath.Join(to, name), text, 0o644)
	}
}

// lines returns the lines of a text that are kept.
func lines(text string, keep func(line string) bool) string {
	return strings.Join(slices.DeleteFunc(strings.Split(text, "\n"), func(line string) bool { return !keep(line) }), "\n")
}
