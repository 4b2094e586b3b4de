package settings

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
)

// maxSecret bounds a file with a secret.
const maxSecret = 64 << 10

// ReadSecrets fills secrets from the files that the settings of the same names with _file
// after them point to, without the newline at their end.
func ReadSecrets(config any) error {
	by := map[string]Setting{}
	all := Of(config)
	for _, s := range all {
		by[s.Path] = s
	}
	var errs []error
	for _, s := range all {
		f, ok := by[s.Path+"_file"]
		if !s.Secret || !ok || f.value.String() == "" {
			continue
		}
		if !s.value.IsZero() {
			errs = append(errs, fmt.Errorf("%s and %s are both set: give one of them", s.Path, f.Path))
			continue
		}
		text, err := readSecret(f.value.String())
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", f.Path, err))
			continue
		}
		s.value.SetString(text)
	}
	return errors.Join(errs...)
}

func readSecret(name string) (string, error) {
	f, err := os.Open(name)
	if err != nil {
		return "", err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxSecret+1))
	switch text := strings.TrimRight(string(b), "\r\n"); {
	case err != nil:
		return "", fmt.Errorf("read %s: %w", name, err)
	case text == "":
		return "", fmt.Errorf("%s is empty", name)
	case len(b) > maxSecret:
		return "", fmt.Errorf("%s has more than %d bytes", name, maxSecret)
	default:
		return text, nil
	}
}
