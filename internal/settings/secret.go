package settings

import (
	"errors"
	"fmt"
	"strings"
)

// ReadSecrets fills secrets from the files that the settings of the same names with _file
// after them point to, without the newline at their end.
func ReadSecrets(config any, read func(name string, limit int64) ([]byte, error)) error {
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
		text, err := readSecret(f.value.String(), read)
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", f.Path, err))
			continue
		}
		s.value.SetString(text)
	}
	return errors.Join(errs...)
}

// MaxSecret bounds a file with a secret.
const MaxSecret = 64 << 10

func readSecret(name string, read func(name string, limit int64) ([]byte, error)) (string, error) {
	b, err := read(name, MaxSecret)
	if err != nil {
		return "", err
	}
	text := strings.TrimRight(string(b), "\r\n")
	if text == "" {
		return "", fmt.Errorf("%s is empty", name)
	}
	return text, nil
}
